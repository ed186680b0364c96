import { GENERAL_REGISTERS, generalRegisterOffset, SEGMENT_REGISTERS } from "../isa/registers.ts";
import * as cpu from "../layout/cpu-state.ts";
import { invariant } from "../layout/invariant.ts";
import type { CoreExports } from "./core-exports.ts";
import type { ProcessorRegisters } from "./processor.ts";
import type { StateView } from "./state-view.ts";

/** Registers that are one i64 of the state each. */
const WIDE: Readonly<Record<string, number>> = {
  ...Object.fromEntries(GENERAL_REGISTERS.map((name) => [name, generalRegisterOffset(name)])),
  rip: cpu.RIP,
  cr0: cpu.CR0,
  cr2: cpu.CR2,
  cr3: cpu.CR3,
  cr4: cpu.CR4,
  xcr0: cpu.XCR0,
  efer: cpu.MSR_EFER,
  "gdtr.base": cpu.GDTR_BASE,
  "idtr.base": cpu.IDTR_BASE,
  dr0: cpu.DR,
  dr1: cpu.DR + 8,
  dr2: cpu.DR + 16,
  dr3: cpu.DR + 24,
  dr6: cpu.DR6,
  dr7: cpu.DR7,
};
const NARROW: Readonly<Record<string, number>> = {
  "gdtr.limit": cpu.GDTR_LIMIT,
  "idtr.limit": cpu.IDTR_LIMIT,
  cpl: cpu.CPL,
  mxcsr: cpu.MXCSR,
};
/** Registers on which the running mode and what the TLBs hold depend. */
const MODE_REGISTERS = ["cr0", "cr3", "cr4", "efer", "cpl"];
const SEGMENT_PLACES = [...SEGMENT_REGISTERS, "ldtr", "tr"] as const;
const ALL_FLAGS = 0xffff_ffffn;

/** The registers of one processor by the manual's names. */
export class RegisterFile implements ProcessorRegisters {
  readonly #state: StateView;
  readonly #core: CoreExports;

  constructor(state: StateView, core: CoreExports) {
    this.#state = state;
    this.#core = core;
  }

  get(name: string): bigint {
    if (name === "rflags") return BigInt.asUintN(64, this.#core.readFlags());
    const wide = WIDE[name];
    if (wide !== undefined) return this.#state.get64(wide);
    const segment = SEGMENT_PLACES.indexOf(name as (typeof SEGMENT_PLACES)[number]);
    if (segment >= 0)
      return BigInt(this.#state.get16(cpu.SEGMENTS + cpu.SEGMENT_BYTES * segment + cpu.SEGMENT_SELECTOR));
    const narrow = NARROW[name];
    invariant(narrow !== undefined, `no register is called ${name}`);
    return BigInt(this.#state.get32(narrow) >>> 0);
  }

  set(name: string, value: bigint): void {
    if (name === "rflags") return this.#core.writeFlags(BigInt.asIntN(64, value), ALL_FLAGS);
    const wide = WIDE[name];
    if (wide !== undefined) this.#state.set64(wide, value);
    else {
      const narrow = NARROW[name];
      invariant(narrow !== undefined, `no register is called ${name}`);
      this.#state.set32(narrow, Number(BigInt.asIntN(32, value)));
    }
    if (MODE_REGISTERS.includes(name)) this.#modeChanged();
  }

  setSegment(
    name: (typeof SEGMENT_PLACES)[number],
    segment: { selector: number; base: bigint; limit: number; attributes: number },
  ): void {
    const at = cpu.SEGMENTS + cpu.SEGMENT_BYTES * SEGMENT_PLACES.indexOf(name);
    this.#state.set64(at + cpu.SEGMENT_BASE, segment.base);
    this.#state.set32(at + cpu.SEGMENT_LIMIT, segment.limit | 0);
    this.#state.set32(at + cpu.SEGMENT_ATTRIBUTES, segment.attributes);
    this.#state.set16(at + cpu.SEGMENT_SELECTOR, segment.selector);
    if (name === "cs") this.#state.set32(cpu.CPL, segment.selector & 3);
    this.#modeChanged();
  }

  #modeChanged(): void {
    this.#core.updateMode();
    this.#core.flushTlb(0);
  }
}
