import { cloneState } from "../../bus/structured-clone.ts";
import { ACK, type Ps2Device, RESEND, SELF_TEST_PASSED } from "./ps2-device.ts";

const SET_LEDS = 0xed;
const ECHO = 0xee;
const SELECT_SCAN_CODES = 0xf0;
const READ_ID = 0xf2;
const SET_TYPEMATIC = 0xf3;
const ENABLE = 0xf4;
const DISABLE = 0xf5;
const SET_DEFAULTS = 0xf6;
const RESET = 0xff;
/** Commands for typematic, make and break of all keys: set 3 only, acknowledged and not modelled. */
const SET3_ALL_KEYS_FIRST = 0xf7;
const SET3_ALL_KEYS_LAST = 0xfa;

const KEYBOARD_ID = [0xab, 0x83] as const;
const BUFFER_BYTES = 16;

/** Everything a snapshot must carry. */
export interface Ps2KeyboardState {
  /** Answers and scan codes that the controller has not taken */
  queue: number[];
  /** Keys are reported */
  scanning: boolean;
  scanCodeSet: 1 | 2 | 3;
  /** Bit 0 scroll lock, bit 1 num lock, bit 2 caps lock */
  leds: number;
  /** Command that waits for its argument */
  pendingCommand: number | null;
  /** For the resend command */
  lastSent: number;
}

export const resetState = (): Ps2KeyboardState => ({
  queue: [],
  scanning: true,
  scanCodeSet: 2,
  leds: 0,
  pendingCommand: null,
  lastSent: 0,
});

/** A PS/2 keyboard. Source: IBM PS/2 Technical Reference, "Keyboard (101- and 102-Key)". */
export class Ps2Keyboard implements Ps2Device {
  onData: (() => void) | undefined;
  /** Called with the new LEDs, as in the state. */
  onLeds: ((leds: number) => void) | undefined;
  readonly #state: Ps2KeyboardState;

  constructor(state: Ps2KeyboardState = resetState()) {
    this.#state = state;
  }

  get state(): Ps2KeyboardState {
    return cloneState(this.#state);
  }

  write(byte: number): void {
    const s = this.#state;
    const command = s.pendingCommand;
    s.pendingCommand = null;
    // A command byte in place of an argument ends the command that waited.
    if (command !== null && byte < SET_LEDS) this.#argument(command, byte);
    else this.#command(byte);
    this.onData?.();
  }

  take(): number | undefined {
    const byte = this.#state.queue.shift();
    if (byte !== undefined) this.#state.lastSent = byte;
    return byte;
  }

  /** Bytes that `send` would take now. */
  get room(): number {
    return Math.max(0, BUFFER_BYTES - this.#state.queue.length);
  }

  /**
   * Sends the scan codes of a key (set 2 unless the guest chose another).
   * All or nothing: returns false when the buffer is full or the guest has scanning off.
   */
  send(scancodes: readonly number[]): boolean {
    if (!this.#state.scanning || scancodes.length > this.room) return false;
    this.#state.queue.push(...scancodes);
    this.onData?.();
    return true;
  }

  #command(byte: number): void {
    const s = this.#state;
    switch (byte) {
      case SET_LEDS:
      case SELECT_SCAN_CODES:
      case SET_TYPEMATIC:
        s.pendingCommand = byte;
        s.queue.push(ACK);
        break;
      case ECHO:
        s.queue.push(ECHO);
        break;
      case READ_ID:
        s.queue.push(ACK, ...KEYBOARD_ID);
        break;
      case ENABLE:
        this.#restart(true);
        break;
      case DISABLE:
        this.#restart(false);
        break;
      case SET_DEFAULTS:
        this.#restart(s.scanning);
        break;
      case RESEND:
        s.queue.unshift(s.lastSent);
        break;
      case RESET:
        this.#restart(true);
        this.#setLeds(0);
        s.queue.push(SELF_TEST_PASSED);
        break;
      default:
        s.queue.push(byte >= SET3_ALL_KEYS_FIRST && byte <= SET3_ALL_KEYS_LAST ? ACK : RESEND);
        break;
    }
  }

  #argument(command: number, byte: number): void {
    const s = this.#state;
    s.queue.push(ACK);
    if (command === SET_LEDS) this.#setLeds(byte & 7);
    else if (command === SELECT_SCAN_CODES && byte === 0) s.queue.push(s.scanCodeSet);
    else if (command === SELECT_SCAN_CODES && byte <= 3) s.scanCodeSet = byte as 1 | 2 | 3;
  }

  /** "Enable", "Default Disable" and "Set Default" drop what is in the buffer. */
  #restart(scanning: boolean): void {
    const s = this.#state;
    s.queue = [ACK];
    s.scanning = scanning;
  }

  #setLeds(leds: number): void {
    this.#state.leds = leds;
    this.onLeds?.(leds);
  }
}
