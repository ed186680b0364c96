import type { AccessBytes, PortDevice } from "../../bus/port-bus.ts";

/** Where test kernels expect the device, four ports; the machine may put it elsewhere. */
export const DEBUG_EXIT_PORT = 0xf4;

/** Lets a guest end the run with a value. Has no registers, hence no state. */
export class DebugExit implements PortDevice {
  readonly #exit: (value: number) => void;

  constructor(exit: (value: number) => void) {
    this.#exit = exit;
  }

  readPort(): number {
    return 0;
  }

  /** What the value means is the caller's: QEMU's device makes an odd status of it, an imported image's init writes one. */
  writePort(_offset: number, _bytes: AccessBytes, value: number): void {
    this.#exit(value);
  }
}
