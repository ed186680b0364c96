import type { AccessBytes, PortDevice } from "../../bus/port-bus.ts";

/** Where test kernels expect the device, four ports; the machine may put it elsewhere. */
export const DEBUG_EXIT_PORT = 0xf4;

/** Lets a guest end the run with an exit status, which is always odd. Has no registers, hence no state. */
export class DebugExit implements PortDevice {
  readonly #exit: (status: number) => void;

  constructor(exit: (status: number) => void) {
    this.#exit = exit;
  }

  readPort(): number {
    return 0;
  }

  /** Status 0 is out of reach by design: it means that the guest shut down in order. */
  writePort(_offset: number, _bytes: AccessBytes, value: number): void {
    this.#exit(((value << 1) | 1) & 0xff);
  }
}
