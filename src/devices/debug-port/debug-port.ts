import type { ByteSink } from "../../bus/byte-sink.ts";
import type { PortDevice } from "../../bus/port-bus.ts";

/** Where firmware and test kernels write their messages (the port of Bochs and QEMU). */
export const DEBUG_PORT = 0xe9;

/** Has no registers, hence no state. */
export class DebugPort implements PortDevice {
  readonly maxPortBytes = 1;
  readonly #output: ByteSink;

  constructor(output: ByteSink) {
    this.#output = output;
  }

  /** The port's own number tells software that it is there. */
  readPort(): number {
    return DEBUG_PORT;
  }

  writePort(_offset: number, _bytes: 1 | 2 | 4, value: number): void {
    this.#output.write(value);
  }
}
