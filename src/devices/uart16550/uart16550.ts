// Longer than most: the registers share one state, and interrupt causes depend on all of them.

import type { ByteSink } from "../../bus/byte-sink.ts";
import type { Clock, Timer } from "../../bus/clock.ts";
import type { InterruptLine } from "../../bus/interrupt-line.ts";
import type { AccessBytes, PortDevice } from "../../bus/port-bus.ts";
import { cloneState } from "../../bus/structured-clone.ts";

export const COM1_PORT = 0x3f8; // eight ports
export const COM1_IRQ = 4;
export const COM2_PORT = 0x2f8;
export const COM2_IRQ = 3;

// Register offsets from the port base ("Register Addresses").
const RBR_THR = 0; // receive buffer when read, transmit holding when written
const IER = 1; // interrupt enable
const IIR_FCR = 2; // interrupt identification when read, FIFO control when written
const LCR = 3; // line control
const MCR = 4; // modem control
const LSR = 5; // line status
const MSR = 6; // modem status

const IER_RECEIVED = 1 << 0;
const IER_THR_EMPTY = 1 << 1;
const IER_LINE_STATUS = 1 << 2;
const IER_MODEM_STATUS = 1 << 3;
const IIR_NONE = 0b0001;
const IIR_LINE_STATUS = 0b0110;
const IIR_RECEIVED = 0b0100;
const IIR_TIMEOUT = 0b1100;
const IIR_THR_EMPTY = 0b0010;
const IIR_MODEM_STATUS = 0b0000;
const IIR_FIFOS_ENABLED = 0b1100_0000;
const FCR_ENABLE = 1 << 0;
const FCR_CLEAR_RECEIVE = 1 << 1;
const LCR_DLAB = 1 << 7;
const MCR_DTR = 1 << 0;
const MCR_RTS = 1 << 1;
const MCR_OUT1 = 1 << 2;
const MCR_OUT2 = 1 << 3;
const MCR_LOOP = 1 << 4;
const LSR_DATA_READY = 1 << 0;
const LSR_OVERRUN = 1 << 1;
const LSR_BREAK = 1 << 4;
const LSR_THR_EMPTY = 1 << 5;
const LSR_IDLE = 1 << 6;
const LSR_FIFO_ERROR = 1 << 7;
/** Errors of one character: parity, framing, break. */
const LSR_CHARACTER_ERRORS = 0b0001_1100;
const MSR_DCTS = 1 << 0;
const MSR_DDSR = 1 << 1;
const MSR_TERI = 1 << 2;
const MSR_DDCD = 1 << 3;
const MSR_CTS = 1 << 4;
const MSR_DSR = 1 << 5;
const MSR_RI = 1 << 6;
const MSR_DCD = 1 << 7;

const FIFO_BYTES = 16;
const TRIGGER_BYTES = [1, 4, 8, 14] as const;
/** The timeout interrupt comes after this many character times ("FIFO Interrupt Mode Operation"). */
const TIMEOUT_CHARACTERS = 4;
const OSCILLATOR_HZ = 1_843_200;

/** Everything a snapshot must carry. */
export interface Uart16550State {
  interruptEnable: number;
  lineControl: number;
  modemControl: number;
  scratch: number;
  /** Divisor latch; baud = 115200 / divisor. Times the receive timeout and nothing else */
  divisor: number;
  fifosEnabled: boolean;
  /** Index of TRIGGER_BYTES */
  trigger: number;
  /** Characters the guest has not read, oldest first: the byte, and its LSR error bits times 256 */
  received: number[];
  /** Error bits of LSR, cleared when it is read */
  lineErrors: number;
  /** CTS, DSR, RI, DCD as the other end drives them, at their bits of MSR */
  modemInputs: number;
  /** Delta bits of MSR, cleared when it is read */
  modemDeltas: number;
  /** A THR-empty interrupt waits to be identified by an IIR read */
  thrEmptyPending: boolean;
  timeoutPending: boolean;
  /** When the receive timeout strikes, in the clock's time */
  timeoutAtNs: number | null;
}

export const resetState = (): Uart16550State => ({
  interruptEnable: 0,
  lineControl: 0,
  modemControl: 0,
  scratch: 0,
  divisor: 12,
  fifosEnabled: false,
  trigger: 0,
  received: [],
  lineErrors: 0,
  modemInputs: MSR_CTS | MSR_DSR | MSR_DCD,
  modemDeltas: 0,
  thrEmptyPending: false,
  timeoutPending: false,
  timeoutAtNs: null,
});

/**
 * PC16550D serial port, as a PC's COM1 presents it: OUT2 gates the interrupt.
 *
 * Transmission is instantaneous: the transmitter always reads as empty.
 * A break that the guest sends and the DMA signals are not modelled.
 *
 * Source: National Semiconductor PC16550D datasheet, section 8, "Registers".
 */
export class Uart16550 implements PortDevice {
  readonly maxPortBytes = 1;
  /** Called when there is room again after `receive` refused a byte. */
  onRoom: (() => void) | undefined;
  readonly #irq: InterruptLine;
  readonly #output: ByteSink;
  readonly #clock: Clock;
  readonly #state: Uart16550State;
  #timer: Timer | undefined;
  #refused = false;

  constructor(irq: InterruptLine, output: ByteSink, clock: Clock, state: Uart16550State = resetState()) {
    this.#irq = irq;
    this.#output = output;
    this.#clock = clock;
    this.#state = state;
    this.#scheduleTimeout(state.timeoutAtNs);
    this.#updateInterrupt();
  }

  get state(): Uart16550State {
    return cloneState(this.#state);
  }

  readPort(offset: number, _bytes: AccessBytes): number {
    const s = this.#state;
    switch (offset) {
      case RBR_THR:
        return this.#divisorSelected ? s.divisor & 0xff : this.#readReceived();
      case IER:
        return this.#divisorSelected ? s.divisor >> 8 : s.interruptEnable;
      case IIR_FCR:
        return this.#identifyInterrupt();
      case LCR:
        return s.lineControl;
      case MCR:
        return s.modemControl;
      case LSR:
        return this.#readLineStatus();
      case MSR:
        return this.#readModemStatus();
      default:
        return s.scratch;
    }
  }

  writePort(offset: number, _bytes: AccessBytes, value: number): void {
    const s = this.#state;
    switch (offset) {
      case RBR_THR:
        if (this.#divisorSelected) s.divisor = (s.divisor & 0xff00) | value;
        else this.#transmit(value);
        break;
      case IER:
        if (this.#divisorSelected) {
          s.divisor = (value << 8) | (s.divisor & 0xff);
          break;
        }
        // Enabling the interrupt while the transmitter is idle raises it at once.
        if ((value & ~s.interruptEnable & IER_THR_EMPTY) !== 0) s.thrEmptyPending = true;
        s.interruptEnable = value & 0x0f;
        break;
      case IIR_FCR:
        this.#writeFifoControl(value);
        break;
      case LCR:
        s.lineControl = value;
        break;
      case MCR:
        this.#writeModemControl(value);
        break;
      case LSR:
      case MSR:
        break; // "intended for read operations only"
      default:
        s.scratch = value;
        break;
    }
    this.#updateInterrupt();
    this.#offerRoom();
  }

  /** Offers one byte from the host. Returns false, dropping nothing, when there is no room. */
  receive(byte: number): boolean {
    return this.#offer(byte);
  }

  /** Offers a break, which Linux's console takes for SysRq. Returns false when there is no room. */
  receiveBreak(): boolean {
    return this.#offer(LSR_BREAK << 8);
  }

  /** Bytes that `receive` would take now. */
  get room(): number {
    if ((this.#state.modemControl & MCR_LOOP) !== 0) return 0; // the receiver is cut off
    return this.#capacity - this.#state.received.length;
  }

  /** RTS: with hardware flow control, the guest lets it fall when it is slow to take what has come. */
  get requestsToSend(): boolean {
    return (this.#state.modemControl & MCR_RTS) !== 0;
  }

  /** Drives the modem lines from the other end. */
  setModemInputs(lines: { cts: boolean; dsr: boolean; ri: boolean; dcd: boolean }): void {
    const before = this.#modemLines;
    this.#state.modemInputs =
      (lines.cts ? MSR_CTS : 0) |
      (lines.dsr ? MSR_DSR : 0) |
      (lines.ri ? MSR_RI : 0) |
      (lines.dcd ? MSR_DCD : 0);
    this.#noteModemChange(before);
    this.#updateInterrupt();
  }

  get #divisorSelected(): boolean {
    return (this.#state.lineControl & LCR_DLAB) !== 0;
  }

  get #capacity(): number {
    return this.#state.fifosEnabled ? FIFO_BYTES : 1;
  }

  #offer(character: number): boolean {
    if (this.room <= 0) {
      this.#refused = true;
      return false;
    }
    this.#push(character);
    this.#updateInterrupt();
    return true;
  }

  #offerRoom(): void {
    if (!this.#refused || this.room <= 0) return;
    this.#refused = false;
    this.onRoom?.();
  }

  #push(character: number): void {
    const s = this.#state;
    s.received.push(character);
    if (s.received.length === 1) this.#revealErrors();
    this.#restartTimeout();
  }

  /** Errors show in LSR when their character is at the top of the FIFO. */
  #revealErrors(): void {
    this.#state.lineErrors |= ((this.#state.received[0] ?? 0) >> 8) & LSR_CHARACTER_ERRORS;
  }

  #readReceived(): number {
    const s = this.#state;
    const byte = (s.received.shift() ?? 0) & 0xff;
    this.#revealErrors();
    this.#restartTimeout();
    this.#updateInterrupt();
    this.#offerRoom();
    return byte;
  }

  #transmit(value: number): void {
    const s = this.#state;
    // THR fills and empties again: the interrupt goes away and comes back, so an edge is seen.
    s.thrEmptyPending = false;
    this.#updateInterrupt();
    if ((s.modemControl & MCR_LOOP) === 0) {
      this.#output.write(value);
    } else if (s.received.length < this.#capacity) {
      this.#push(value & ((0x20 << (s.lineControl & 3)) - 1));
    } else {
      s.lineErrors |= LSR_OVERRUN;
    }
    s.thrEmptyPending = true;
  }

  #writeFifoControl(value: number): void {
    const s = this.#state;
    const enable = (value & FCR_ENABLE) !== 0;
    const clear = enable !== s.fifosEnabled || (value & FCR_CLEAR_RECEIVE) !== 0;
    s.fifosEnabled = enable;
    if (enable) s.trigger = value >> 6;
    if (!clear) return;
    s.received = [];
    this.#restartTimeout();
  }

  #writeModemControl(value: number): void {
    const before = this.#modemLines;
    this.#state.modemControl = value & 0x1f;
    this.#noteModemChange(before);
  }

  /** The modem status lines; in loopback mode, the modem control outputs ("Modem Control Register"). */
  get #modemLines(): number {
    const { modemControl, modemInputs } = this.#state;
    if ((modemControl & MCR_LOOP) === 0) return modemInputs;
    return (
      ((modemControl & MCR_RTS) !== 0 ? MSR_CTS : 0) |
      ((modemControl & MCR_DTR) !== 0 ? MSR_DSR : 0) |
      ((modemControl & MCR_OUT1) !== 0 ? MSR_RI : 0) |
      ((modemControl & MCR_OUT2) !== 0 ? MSR_DCD : 0)
    );
  }

  #noteModemChange(before: number): void {
    const after = this.#modemLines;
    const changed = before ^ after;
    this.#state.modemDeltas |=
      ((changed & MSR_CTS) !== 0 ? MSR_DCTS : 0) |
      ((changed & MSR_DSR) !== 0 ? MSR_DDSR : 0) |
      ((before & ~after & MSR_RI) !== 0 ? MSR_TERI : 0) |
      ((changed & MSR_DCD) !== 0 ? MSR_DDCD : 0);
  }

  #readModemStatus(): number {
    const status = this.#modemLines | this.#state.modemDeltas;
    this.#state.modemDeltas = 0;
    this.#updateInterrupt();
    return status;
  }

  #readLineStatus(): number {
    const s = this.#state;
    const errorInFifo = s.fifosEnabled && s.received.some((character) => character > 0xff);
    const status =
      LSR_THR_EMPTY |
      LSR_IDLE |
      s.lineErrors |
      (s.received.length > 0 ? LSR_DATA_READY : 0) |
      (errorInFifo ? LSR_FIFO_ERROR : 0);
    s.lineErrors = 0;
    if (s.received.length > 0) s.received[0] = (s.received[0] ?? 0) & 0xff;
    this.#updateInterrupt();
    return status;
  }

  /** Highest-priority pending cause ("Interrupt Control Functions"). */
  #pendingCause(): number {
    const s = this.#state;
    if (s.lineErrors !== 0 && (s.interruptEnable & IER_LINE_STATUS) !== 0) return IIR_LINE_STATUS;
    if ((s.interruptEnable & IER_RECEIVED) !== 0) {
      if (s.received.length >= this.#triggerBytes) return IIR_RECEIVED;
      if (s.timeoutPending) return IIR_TIMEOUT;
    }
    if (s.thrEmptyPending && (s.interruptEnable & IER_THR_EMPTY) !== 0) return IIR_THR_EMPTY;
    if (s.modemDeltas !== 0 && (s.interruptEnable & IER_MODEM_STATUS) !== 0) return IIR_MODEM_STATUS;
    return IIR_NONE;
  }

  get #triggerBytes(): number {
    return this.#state.fifosEnabled ? (TRIGGER_BYTES[this.#state.trigger] ?? 1) : 1;
  }

  /** Reading IIR acknowledges THR empty, and only when THR empty is what it reports. */
  #identifyInterrupt(): number {
    const cause = this.#pendingCause();
    if (cause === IIR_THR_EMPTY) this.#state.thrEmptyPending = false;
    this.#updateInterrupt();
    return cause | (this.#state.fifosEnabled ? IIR_FIFOS_ENABLED : 0);
  }

  /** Every character that comes or is read starts the timeout anew while the FIFO is not empty. */
  #restartTimeout(): void {
    const s = this.#state;
    s.timeoutPending = false;
    const runs = s.fifosEnabled && s.received.length > 0 && s.received.length < this.#triggerBytes;
    this.#scheduleTimeout(runs ? this.#clock.nowNs() + TIMEOUT_CHARACTERS * this.#characterNs : null);
  }

  #scheduleTimeout(atNs: number | null): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#state.timeoutAtNs = atNs;
    if (atNs === null) return;
    this.#timer = this.#clock.schedule(atNs, () => {
      this.#state.timeoutAtNs = null;
      this.#state.timeoutPending = true;
      this.#updateInterrupt();
    });
  }

  /** Start bit, 5 to 8 data bits, parity, and one or two stop bits. */
  get #characterNs(): number {
    const { lineControl, divisor } = this.#state;
    const bits = 1 + 5 + (lineControl & 3) + ((lineControl & 8) >> 3) + 1 + ((lineControl & 4) >> 2);
    return Math.round((bits * 16 * (divisor === 0 ? 0x10000 : divisor) * 1e9) / OSCILLATOR_HZ);
  }

  /** On a PC the pin OUT2 gates the interrupt; loopback mode forces the pin inactive. */
  #updateInterrupt(): void {
    const gate = (this.#state.modemControl & (MCR_OUT2 | MCR_LOOP)) === MCR_OUT2;
    this.#irq.set(gate && this.#pendingCause() !== IIR_NONE);
  }
}
