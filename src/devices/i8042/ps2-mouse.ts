import { cloneState } from "../../bus/structured-clone.ts";
import { ACK, type Ps2Device, RESEND, SELF_TEST_PASSED } from "./ps2-device.ts";

const SCALING_1_TO_1 = 0xe6;
const SCALING_2_TO_1 = 0xe7;
const SET_RESOLUTION = 0xe8;
const STATUS_REQUEST = 0xe9;
const SET_STREAM_MODE = 0xea;
const READ_DATA = 0xeb;
const RESET_WRAP_MODE = 0xec;
const SET_WRAP_MODE = 0xee;
const SET_REMOTE_MODE = 0xf0;
const READ_DEVICE_TYPE = 0xf2;
const SET_SAMPLE_RATE = 0xf3;
const ENABLE = 0xf4;
const DISABLE = 0xf5;
const SET_DEFAULTS = 0xf6;
const RESET = 0xff;

const TYPE_PLAIN = 0;
const TYPE_WHEEL = 3;
/** Sample rates that, set one after the other, turn the wheel on (Microsoft IntelliMouse). */
const WHEEL_KNOCK = [200, 100, 80] as const;
/** Packets wait for the guest up to here; later motion adds up in the mouse. */
const BUFFER_BYTES = 16;

/** Everything a snapshot must carry. */
export interface Ps2MouseState {
  queue: number[];
  type: 0 | 3;
  reporting: boolean;
  remote: boolean;
  wrap: boolean;
  scaling2to1: boolean;
  resolution: number;
  sampleRate: number;
  /** The last three sample rates, oldest first */
  recentRates: number[];
  pendingCommand: number | null;
  lastSent: number;
  /** Motion that no packet has told; up is positive */
  dx: number;
  dy: number;
  wheel: number;
  /** Bit 0 left, bit 1 right, bit 2 middle */
  buttons: number;
  toldButtons: number;
}

export const resetState = (): Ps2MouseState => ({
  queue: [],
  type: TYPE_PLAIN,
  reporting: false,
  remote: false,
  wrap: false,
  scaling2to1: false,
  resolution: 2,
  sampleRate: 100,
  recentRates: [],
  pendingCommand: null,
  lastSent: 0,
  dx: 0,
  dy: 0,
  wheel: 0,
  buttons: 0,
  toldButtons: 0,
});

/** A PS/2 mouse with a wheel. Source: IBM PS/2 Technical Reference, "Mouse". */
export class Ps2Mouse implements Ps2Device {
  onData: (() => void) | undefined;
  #state: Ps2MouseState;

  constructor(state: Ps2MouseState = resetState()) {
    this.#state = state;
  }

  get state(): Ps2MouseState {
    return cloneState(this.#state);
  }

  write(byte: number): void {
    const s = this.#state;
    const command = s.pendingCommand;
    s.pendingCommand = null;
    if (command !== null) this.#argument(command, byte);
    else if (s.wrap && byte !== RESET && byte !== RESET_WRAP_MODE) s.queue.push(byte);
    else this.#command(byte);
    this.onData?.();
  }

  take(): number | undefined {
    const byte = this.#state.queue.shift();
    if (byte !== undefined) this.#state.lastSent = byte;
    if (this.#state.queue.length === 0) this.#report();
    return byte;
  }

  /** Moves the mouse (up and right are positive), turns its wheel, and sets its buttons. */
  move(dx: number, dy: number, wheel: number, buttons: number): void {
    const s = this.#state;
    s.dx += dx;
    s.dy += dy;
    s.wheel += wheel;
    s.buttons = buttons & 7;
    if (this.#report()) this.onData?.();
  }

  #command(byte: number): void {
    const s = this.#state;
    if (byte === RESEND) {
      s.queue.unshift(s.lastSent);
      return;
    }
    s.queue.push(ACK);
    switch (byte) {
      case SCALING_1_TO_1:
        s.scaling2to1 = false;
        break;
      case SCALING_2_TO_1:
        s.scaling2to1 = true;
        break;
      case SET_RESOLUTION:
      case SET_SAMPLE_RATE:
        s.pendingCommand = byte;
        break;
      case STATUS_REQUEST:
        s.queue.push(this.#status, s.resolution, s.sampleRate);
        break;
      case SET_STREAM_MODE:
        s.remote = false;
        break;
      case SET_REMOTE_MODE:
        s.remote = true;
        break;
      case READ_DATA:
        this.#pushPacket();
        break;
      case SET_WRAP_MODE:
        s.wrap = true;
        break;
      case RESET_WRAP_MODE:
        s.wrap = false;
        break;
      case READ_DEVICE_TYPE:
        s.queue.push(s.type);
        break;
      case ENABLE:
        s.reporting = true;
        break;
      case DISABLE:
        s.reporting = false;
        break;
      case SET_DEFAULTS:
        this.#state = { ...resetState(), type: s.type, buttons: s.buttons, queue: [ACK] };
        break;
      case RESET:
        this.#state = { ...resetState(), buttons: s.buttons, queue: [ACK, SELF_TEST_PASSED, TYPE_PLAIN] };
        break;
      default:
        s.queue.pop();
        s.queue.push(RESEND);
        break;
    }
  }

  #argument(command: number, byte: number): void {
    const s = this.#state;
    s.queue.push(ACK);
    if (command === SET_RESOLUTION) {
      s.resolution = byte & 3;
      return;
    }
    s.sampleRate = byte;
    s.recentRates = [...s.recentRates, byte].slice(-WHEEL_KNOCK.length);
    if (WHEEL_KNOCK.every((rate, index) => s.recentRates[index] === rate)) s.type = TYPE_WHEEL;
  }

  /** First byte of the status: remote, enabled, scaling, then left, middle, right. */
  get #status(): number {
    const s = this.#state;
    return (
      (s.remote ? 0x40 : 0) |
      (s.reporting ? 0x20 : 0) |
      (s.scaling2to1 ? 0x10 : 0) |
      ((s.buttons & 1) << 2) |
      ((s.buttons & 4) >> 1) |
      ((s.buttons & 2) >> 1)
    );
  }

  /** Queues a packet if there is something to tell. Returns whether it did. */
  #report(): boolean {
    const s = this.#state;
    const changed = s.dx !== 0 || s.dy !== 0 || s.wheel !== 0 || s.buttons !== s.toldButtons;
    if (!changed || !s.reporting || s.remote || s.wrap || s.queue.length + 4 > BUFFER_BYTES) return false;
    this.#pushPacket();
    return true;
  }

  /** "Data Packet": buttons with signs, X, Y, and the wheel's movement (down is positive) if it is on. */
  #pushPacket(): void {
    const s = this.#state;
    const dx = clamp(s.dx, -255, 255);
    const dy = clamp(s.dy, -255, 255);
    const wheel = clamp(s.wheel, -8, 7);
    s.queue.push(0x08 | s.buttons | (dx < 0 ? 0x10 : 0) | (dy < 0 ? 0x20 : 0), dx & 0xff, dy & 0xff);
    if (s.type === TYPE_WHEEL) s.queue.push(wheel & 0xff);
    s.dx -= dx;
    s.dy -= dy;
    s.wheel = s.type === TYPE_WHEEL ? s.wheel - wheel : 0;
    s.toldButtons = s.buttons;
  }
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, Math.trunc(value)));
}
