import type { PortDevice } from "../../bus/port-bus.ts";
import { cloneState } from "../../bus/structured-clone.ts";

export const SYSTEM_CONTROL_PORT_A = 0x92;
export const RESET_CONTROL_PORT = 0xcf9;
/** Written to the reset control register, resets the system; for the FADT's RESET_VALUE. */
export const RESET_CONTROL_RESET = 0x06;

// Port 0x92 (82371AB PIIX4, "Port 92 Register").
const FAST_INIT = 1 << 0;
const FAST_A20 = 1 << 1;

// Port 0xcf9 (82371AB PIIX4, "RC: Reset Control Register").
const SYSTEM_RESET = 1 << 1;
const RESET_CPU = 1 << 2;

/** Everything a snapshot must carry. */
export interface SystemControlState {
  portA: number;
  resetControl: number;
}

/** A20 is on, as firmware leaves it. */
export const resetState = (): SystemControlState => ({ portA: FAST_A20, resetControl: 0 });

export interface SystemControlOutputs {
  /** `hard` resets the devices too; otherwise only the processor gets INIT. */
  resetSystem(hard: boolean): void;
  setA20(enabled: boolean): void;
}

/** The chipset's two reset registers. Source: Intel 82371AB (PIIX4) datasheet. */
export class SystemControl {
  readonly portA: PortDevice;
  readonly resetControl: PortDevice;
  readonly #outputs: SystemControlOutputs;
  readonly #state: SystemControlState;

  constructor(outputs: SystemControlOutputs, state: SystemControlState = resetState()) {
    this.#outputs = outputs;
    this.#state = state;
    this.portA = {
      maxPortBytes: 1,
      readPort: () => this.#state.portA,
      writePort: (_offset, _bytes, value) => this.#writePortA(value),
    };
    this.resetControl = {
      maxPortBytes: 1,
      readPort: () => this.#state.resetControl,
      writePort: (_offset, _bytes, value) => this.#writeResetControl(value),
    };
  }

  get state(): SystemControlState {
    return cloneState(this.#state);
  }

  #writePortA(value: number): void {
    const before = this.#state.portA;
    this.#state.portA = value & (FAST_INIT | FAST_A20);
    if (((before ^ value) & FAST_A20) !== 0) this.#outputs.setA20((value & FAST_A20) !== 0);
    if ((value & ~before & FAST_INIT) !== 0) this.#outputs.resetSystem(false);
  }

  /** Bit 1 chooses the kind of reset, a rise of bit 2 does it. */
  #writeResetControl(value: number): void {
    const before = this.#state.resetControl;
    this.#state.resetControl = value & 0x0e;
    if ((value & ~before & RESET_CPU) !== 0) this.#outputs.resetSystem((value & SYSTEM_RESET) !== 0);
  }
}
