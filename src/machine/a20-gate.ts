import type { BoardState } from "./board-state.ts";

const FAST_A20 = 1 << 1;
const OUTPUT_A20 = 1 << 1;

/** Who can hold address line 20 up: the keyboard controller's output port, and port 0x92. */
export type A20Source = "keyboard" | "port92";

/**
 * The gate of address line 20, which is masked while neither source asks for it. Calls `onChange` when it switches.
 *
 * Source: Intel 82371AB (PIIX4) datasheet, "Port 92 Register".
 */
export class A20Gate {
  readonly #asked: Record<A20Source, boolean>;
  readonly #onChange: (enabled: boolean) => void;

  constructor(onChange: (enabled: boolean) => void, state?: Pick<BoardState, "i8042" | "systemControl">) {
    this.#onChange = onChange;
    this.#asked = {
      keyboard: state === undefined || (state.i8042.outputPort & OUTPUT_A20) !== 0,
      port92: state === undefined || (state.systemControl.portA & FAST_A20) !== 0,
    };
  }

  get enabled(): boolean {
    return this.#asked.keyboard || this.#asked.port92;
  }

  set(source: A20Source, asked: boolean): void {
    const before = this.enabled;
    this.#asked[source] = asked;
    if (this.enabled !== before) this.#onChange(this.enabled);
  }
}
