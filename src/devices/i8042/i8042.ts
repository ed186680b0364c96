import type { InterruptLine } from "../../bus/interrupt-line.ts";
import type { PortDevice } from "../../bus/port-bus.ts";
import { cloneState } from "../../bus/structured-clone.ts";
import type { Ps2Device } from "./ps2-device.ts";
import { SET2_RELEASE, translateScancode } from "./scancode-translation.ts";

export const I8042_DATA_PORT = 0x60;
export const I8042_COMMAND_PORT = 0x64;
export const KEYBOARD_IRQ = 1;
export const AUX_IRQ = 12;

// Status register ("Status Register", read at 0x64).
const STATUS_OUTPUT_FULL = 1 << 0;
const STATUS_SYSTEM = 1 << 2;
const STATUS_COMMAND = 1 << 3;
const STATUS_NOT_INHIBITED = 1 << 4;
const STATUS_AUX_OUTPUT_FULL = 1 << 5;

// Command byte ("Controller Command Byte").
const KEYBOARD_INTERRUPT = 1 << 0;
const AUX_INTERRUPT = 1 << 1;
const SYSTEM_FLAG = 1 << 2;
const KEYBOARD_DISABLED = 1 << 4;
const AUX_DISABLED = 1 << 5;
const TRANSLATE = 1 << 6;

// Output port ("Output Port").
const OUTPUT_NOT_RESET = 1 << 0;
const OUTPUT_A20 = 1 << 1;
const OUTPUT_KEYBOARD_FULL = 1 << 4;
const OUTPUT_AUX_FULL = 1 << 5;

// Commands ("Commands", written at 0x64).
const READ_RAM = 0x20; // to 0x3f; the first is the command byte
const WRITE_RAM = 0x60; // to 0x7f
const DISABLE_AUX = 0xa7;
const ENABLE_AUX = 0xa8;
const TEST_AUX = 0xa9;
const SELF_TEST = 0xaa;
const TEST_KEYBOARD = 0xab;
const DISABLE_KEYBOARD = 0xad;
const ENABLE_KEYBOARD = 0xae;
const READ_INPUT_PORT = 0xc0;
const READ_OUTPUT_PORT = 0xd0;
const WRITE_OUTPUT_PORT = 0xd1;
const WRITE_KEYBOARD_OUTPUT = 0xd2;
const WRITE_AUX_OUTPUT = 0xd3;
const WRITE_AUX = 0xd4;
const A20_OFF = 0xdd;
const A20_ON = 0xdf;
const PULSE_OUTPUT = 0xf0; // to 0xff; a zero in bit 0 pulses reset

const SELF_TEST_OK = 0x55;
const LINE_TEST_OK = 0x00;
/** Keyboard not locked, manufacturing jumper absent. */
const INPUT_PORT = 0xa0;

type Source = "controller" | "keyboard" | "aux";
interface OutputByte {
  byte: number;
  source: Source;
}

/** Everything a snapshot must carry. The keyboard and mouse have states of their own. */
export interface I8042State {
  commandByte: number;
  /** Controller RAM; byte 0 is unused, the command byte stands for it */
  ram: number[];
  outputPort: number;
  /** The output buffer, and behind it answers of the controller */
  output: OutputByte[];
  /** Command that waits for its argument at 0x60 */
  pendingCommand: number | null;
  /** The last write went to 0x64 */
  lastWasCommand: boolean;
  /** Translation has seen the release prefix */
  releaseSeen: boolean;
}

/** As a PC's firmware leaves the controller, since guests may be started without firmware. */
export const resetState = (): I8042State => ({
  commandByte: KEYBOARD_INTERRUPT | AUX_INTERRUPT | SYSTEM_FLAG | TRANSLATE,
  ram: new Array<number>(32).fill(0),
  outputPort: OUTPUT_NOT_RESET | OUTPUT_A20,
  output: [],
  pendingCommand: null,
  lastWasCommand: false,
  releaseSeen: false,
});

/** What the controller's output port drives besides its interrupts. */
export interface I8042Outputs {
  resetSystem(): void;
  setA20(enabled: boolean): void;
}

/**
 * Keyboard and auxiliary device controller. Commands take no time, so the input
 * buffer always reads as empty.
 *
 * Source: IBM PS/2 Technical Reference, "Keyboard and Auxiliary Device Controller".
 */
export class I8042 {
  readonly data: PortDevice;
  readonly command: PortDevice;
  readonly #keyboardIrq: InterruptLine;
  readonly #auxIrq: InterruptLine;
  readonly #outputs: I8042Outputs;
  readonly #keyboard: Ps2Device;
  readonly #mouse: Ps2Device;
  readonly #state: I8042State;

  constructor(
    keyboardIrq: InterruptLine,
    auxIrq: InterruptLine,
    outputs: I8042Outputs,
    keyboard: Ps2Device,
    mouse: Ps2Device,
    state: I8042State = resetState(),
  ) {
    this.#keyboardIrq = keyboardIrq;
    this.#auxIrq = auxIrq;
    this.#outputs = outputs;
    this.#keyboard = keyboard;
    this.#mouse = mouse;
    this.#state = state;
    keyboard.onData = () => this.#refill();
    mouse.onData = () => this.#refill();
    this.data = {
      maxPortBytes: 1,
      readPort: () => this.#readData(),
      writePort: (_offset, _bytes, value) => this.#writeData(value),
    };
    this.command = {
      maxPortBytes: 1,
      readPort: () => this.#status,
      writePort: (_offset, _bytes, value) => this.#writeCommand(value),
    };
    this.#refill();
  }

  get state(): I8042State {
    return cloneState(this.#state);
  }

  get #status(): number {
    const s = this.#state;
    const head = s.output[0];
    return (
      STATUS_NOT_INHIBITED |
      ((s.commandByte & SYSTEM_FLAG) !== 0 ? STATUS_SYSTEM : 0) |
      (s.lastWasCommand ? STATUS_COMMAND : 0) |
      (head !== undefined ? STATUS_OUTPUT_FULL : 0) |
      (head?.source === "aux" ? STATUS_AUX_OUTPUT_FULL : 0)
    );
  }

  #readData(): number {
    const byte = this.#state.output.shift()?.byte ?? 0;
    // The line falls between two bytes, so that each makes an edge.
    this.#keyboardIrq.set(false);
    this.#auxIrq.set(false);
    this.#refill();
    return byte;
  }

  #writeData(value: number): void {
    const s = this.#state;
    s.lastWasCommand = false;
    const command = s.pendingCommand;
    s.pendingCommand = null;
    switch (command) {
      case null:
        s.commandByte &= ~KEYBOARD_DISABLED; // sending clocks the keyboard's line again
        this.#keyboard.write(value);
        break;
      case WRITE_OUTPUT_PORT:
        this.#writeOutputPort(value);
        break;
      case WRITE_KEYBOARD_OUTPUT:
        this.#answer(value, "keyboard");
        break;
      case WRITE_AUX_OUTPUT:
        this.#answer(value, "aux");
        break;
      case WRITE_AUX:
        s.commandByte &= ~AUX_DISABLED;
        this.#mouse.write(value);
        break;
      case WRITE_RAM:
        s.commandByte = value;
        break;
      default:
        s.ram[command & 0x1f] = value;
        break;
    }
    this.#refill();
  }

  #writeCommand(value: number): void {
    const s = this.#state;
    s.lastWasCommand = true;
    s.pendingCommand = null;
    if (value >= WRITE_RAM && value < WRITE_RAM + 0x20) s.pendingCommand = value;
    else if (value >= READ_RAM && value < READ_RAM + 0x20) {
      this.#answer(value === READ_RAM ? s.commandByte : (s.ram[value & 0x1f] ?? 0), "controller");
    } else if (value >= PULSE_OUTPUT) {
      if ((value & OUTPUT_NOT_RESET) === 0) this.#outputs.resetSystem();
    } else this.#execute(value);
    this.#refill();
  }

  /** Commands that are a single code. Unknown ones are ignored. */
  #execute(command: number): void {
    const s = this.#state;
    switch (command) {
      case DISABLE_AUX:
        s.commandByte |= AUX_DISABLED;
        break;
      case ENABLE_AUX:
        s.commandByte &= ~AUX_DISABLED;
        break;
      case TEST_AUX:
      case TEST_KEYBOARD:
        this.#answer(LINE_TEST_OK, "controller");
        break;
      case SELF_TEST:
        s.commandByte |= SYSTEM_FLAG;
        this.#answer(SELF_TEST_OK, "controller");
        break;
      case DISABLE_KEYBOARD:
        s.commandByte |= KEYBOARD_DISABLED;
        break;
      case ENABLE_KEYBOARD:
        s.commandByte &= ~KEYBOARD_DISABLED;
        break;
      case READ_INPUT_PORT:
        this.#answer(INPUT_PORT, "controller");
        break;
      case READ_OUTPUT_PORT:
        this.#answer(this.#outputPort, "controller");
        break;
      case WRITE_OUTPUT_PORT:
      case WRITE_KEYBOARD_OUTPUT:
      case WRITE_AUX_OUTPUT:
      case WRITE_AUX:
        s.pendingCommand = command;
        break;
      case A20_OFF:
        this.#writeOutputPort(s.outputPort & ~OUTPUT_A20);
        break;
      case A20_ON:
        this.#writeOutputPort(s.outputPort | OUTPUT_A20);
        break;
      default:
        break;
    }
  }

  get #outputPort(): number {
    const head = this.#state.output[0];
    const full = head === undefined ? 0 : head.source === "aux" ? OUTPUT_AUX_FULL : OUTPUT_KEYBOARD_FULL;
    return this.#state.outputPort | full;
  }

  #writeOutputPort(value: number): void {
    const s = this.#state;
    const changed = s.outputPort ^ value;
    s.outputPort = (value & ~(OUTPUT_KEYBOARD_FULL | OUTPUT_AUX_FULL)) | OUTPUT_NOT_RESET;
    if ((changed & OUTPUT_A20) !== 0) this.#outputs.setA20((value & OUTPUT_A20) !== 0);
    if ((value & OUTPUT_NOT_RESET) === 0) this.#outputs.resetSystem();
  }

  #answer(byte: number, source: Source): void {
    this.#state.output.push({ byte, source });
  }

  /** Takes a byte from a device when the output buffer is empty, and drives the interrupts. */
  #refill(): void {
    const s = this.#state;
    if (s.output.length === 0) {
      const byte = this.#takeFromKeyboard();
      if (byte !== undefined) this.#answer(byte, "keyboard");
    }
    if (s.output.length === 0 && (s.commandByte & AUX_DISABLED) === 0) {
      const byte = this.#mouse.take();
      if (byte !== undefined) this.#answer(byte, "aux");
    }
    const source = s.output[0]?.source;
    this.#keyboardIrq.set(
      (source === "keyboard" || source === "controller") && (s.commandByte & KEYBOARD_INTERRUPT) !== 0,
    );
    this.#auxIrq.set(source === "aux" && (s.commandByte & AUX_INTERRUPT) !== 0);
  }

  /** The keyboard's next byte, translated. A release prefix vanishes into bit 7 of the code after it. */
  #takeFromKeyboard(): number | undefined {
    const s = this.#state;
    if ((s.commandByte & KEYBOARD_DISABLED) !== 0) return undefined;
    for (;;) {
      const byte = this.#keyboard.take();
      if (byte === undefined || (s.commandByte & TRANSLATE) === 0) return byte;
      if (byte === SET2_RELEASE) {
        s.releaseSeen = true;
        continue;
      }
      const code = translateScancode(byte) | (s.releaseSeen ? 0x80 : 0);
      s.releaseSeen = false;
      return code;
    }
  }
}
