import { deliveryModeOf } from "./interrupt-message.ts";
import * as R from "./registers.ts";

/** What an event at the source of a local vector does. */
export type LocalEvent =
  | { readonly kind: "interrupt"; readonly vector: number }
  | { readonly kind: "nmi" | "nothing" };

const NOTHING: LocalEvent = { kind: "nothing" };

/** The local vector table: its registers by their offset, in the state that is handed over. */
export class LocalVectors {
  readonly #registers: () => Record<number, number>;

  /** @param registers The table, which a reset replaces. */
  constructor(registers: () => Record<number, number>) {
    this.#registers = registers;
  }

  has(offset: number): boolean {
    return offset in R.LVT_WRITABLE;
  }

  read(offset: number): number {
    return this.#registers()[offset] ?? R.LVT_MASKED;
  }

  /** With the APIC disabled by software all entries stay masked. */
  write(offset: number, value: number, softwareEnabled: boolean): void {
    const masked = softwareEnabled ? 0 : R.LVT_MASKED;
    this.#registers()[offset] = (value & (R.LVT_WRITABLE[offset] ?? 0)) | masked;
  }

  mask(offset: number): void {
    this.#registers()[offset] = this.read(offset) | R.LVT_MASKED;
  }

  maskAll(): void {
    for (const offset of Object.keys(R.LVT_WRITABLE)) this.mask(Number(offset));
  }

  /** LINT0 is passed through to the processor, as a level. */
  get passesExternal(): boolean {
    const lvt = this.read(R.LVT_LINT0);
    return (lvt & R.LVT_MASKED) === 0 && deliveryModeOf(lvt) === "external";
  }

  /** An edge at the source of an entry. */
  event(offset: number): LocalEvent {
    const lvt = this.read(offset);
    if ((lvt & R.LVT_MASKED) !== 0) return NOTHING;
    const mode = offset === R.LVT_TIMER || offset === R.LVT_ERROR ? "fixed" : deliveryModeOf(lvt);
    if (mode === "fixed") return { kind: "interrupt", vector: lvt & 0xff };
    return mode === "nmi" ? { kind: "nmi" } : NOTHING;
  }
}
