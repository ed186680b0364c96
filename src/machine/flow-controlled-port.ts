import type { Uart16550 } from "../devices/uart16550/uart16550.ts";
import type { SerialConsole } from "./serial-console.ts";

/**
 * Bytes between two looks of the machine. The FIFO is refilled while the guest's interrupt handler reads it; without a
 * limit it would never find it empty, and Linux gives up after some rounds, with the interrupt lost.
 */
const TURN_BYTES = 240;

/** A serial port that takes much input at a time, with RTS for flow control. */
export class FlowControlledPort {
  readonly #uart: Uart16550;
  readonly #source: SerialConsole;
  #leftBytes = 0;

  constructor(uart: Uart16550, source: SerialConsole) {
    this.#uart = uart;
    this.#source = source;
    uart.onRoom = () => source.feed(this);
  }

  /** The machine has come round: input flows again. */
  takeTurn(): void {
    this.#leftBytes = TURN_BYTES;
    this.#source.feed(this);
  }

  /** Whether the next turn would hand over at least one byte. */
  get canTake(): boolean {
    return this.#uart.requestsToSend && this.#source.canFeed(this.#uart);
  }

  receive(byte: number): boolean {
    if (this.#leftBytes === 0 || !this.#uart.requestsToSend || !this.#uart.receive(byte)) return false;
    this.#leftBytes--;
    return true;
  }
}
