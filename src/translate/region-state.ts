import * as cpu from "../layout/cpu-state.ts";
import { invariant } from "../layout/invariant.ts";
import { CPU_STATE } from "../layout/memory-map.ts";
import type { RegisterBits } from "../lower/record-context.ts";
import { constantOf, type Expr, type FunctionBuilder, type Variable } from "../wasm/function-builder.ts";
import type { OpName } from "../wasm/opcodes.ts";

const LOADS: Record<RegisterBits, OpName> = {
  8: "i32.load8_u",
  16: "i32.load16_u",
  32: "i32.load",
  64: "i64.load",
  128: "v128.load",
};
const STORES: Record<RegisterBits, OpName> = {
  8: "i32.store8",
  16: "i32.store16",
  32: "i32.store",
  64: "i64.store",
  128: "v128.store",
};
const GENERAL_END = cpu.GPR + 16 * 8;
/** The upper halves of the YMM registers follow. */
const XMM_END = cpu.YMM_HIGH + 16 * 16;
const FLAG_WORDS: readonly number[] = [cpu.FLAG_C, cpu.FLAG_R, cpu.FLAG_X, cpu.FLAG_Y];
/** State that no translated instruction changes: read once, at the region's entry. */
const CONSTANT_32: readonly number[] = [cpu.TLB_BASE, cpu.CR0, cpu.CR4];
const CONSTANT_64: readonly number[] = [cpu.RIP_BASE];

/** Which state a region keeps in locals: found by building it once. */
export class StateUse {
  readonly used = new Set<number>();
  readonly written = new Set<number>();
}

type Kind = "i32" | "i64" | "v128";

const kindOf = (slot: number): Kind => (slot >= cpu.XMM ? "v128" : slot === cpu.FLAG_C ? "i32" : "i64");
const bitsOf = (kind: Kind): RegisterBits => (kind === "v128" ? 128 : kind === "i32" ? 32 : 64);

/** The processor state as the code of a region sees it: registers and flag words in locals, the rest in memory. */
export class RegionState {
  readonly #b: FunctionBuilder;
  readonly #use: StateUse;
  readonly #locals = new Map<number, Variable>();
  readonly #constants = new Map<number, Expr>();

  /** Loads what `known` says is used; without it, everything. */
  constructor(b: FunctionBuilder, use: StateUse, known: StateUse | undefined) {
    this.#b = b;
    this.#use = use;
    for (const slot of allSlots()) {
      if (known !== undefined && !known.used.has(slot)) continue;
      const kind = kindOf(slot);
      this.#locals.set(slot, b.variable(kind, this.#memoryLoad(bitsOf(kind), b.i32(slot))));
    }
    for (const field of CONSTANT_32) this.#constants.set(field, this.#memoryLoad(32, b.i32(field)));
    for (const field of CONSTANT_64) this.#constants.set(field, this.#memoryLoad(64, b.i32(field)));
  }

  load(bits: RegisterBits, offset: Expr): Expr {
    const at = constantOf(offset);
    invariant(typeof at === "number", "translated code knows which state it accesses");
    const slot = slotOf(at);
    if (slot === undefined) {
      if (at === cpu.ZERO) return this.#b.i64(0n);
      return this.#constants.get(at) ?? this.#memoryLoad(bits, offset);
    }
    const value = this.#b.get(this.#local(slot));
    if (slot >= cpu.XMM) {
      invariant(bits === 128 && at === slot, "a vector register is read whole");
      return value;
    }
    if (bits === 64 || slot === cpu.FLAG_C) return value;
    const shifted =
      at === slot ? value : this.#b.op("i64.shr_u", value, this.#b.i64(BigInt(8 * (at - slot))));
    const low = this.#b.op("i32.wrap_i64", shifted);
    return bits === 32 ? low : this.#b.op("i32.and", low, this.#b.i32(bits === 8 ? 0xff : 0xffff));
  }

  store(bits: RegisterBits, offset: Expr, value: Expr): void {
    const at = constantOf(offset);
    invariant(typeof at === "number", "translated code knows which state it accesses");
    const slot = slotOf(at);
    if (slot === undefined) {
      this.#b.store(STORES[bits], offset, value, CPU_STATE);
      return;
    }
    this.#use.written.add(slot);
    const local = this.#local(slot);
    if (slot >= cpu.XMM || slot === cpu.FLAG_C || bits === 64) return this.#b.set(local, value);
    invariant(bits === 8 || bits === 16, "32 bits are written as 64");
    const b = this.#b;
    const shift = BigInt(8 * (at - slot));
    const mask = (bits === 8 ? 0xffn : 0xffffn) << shift;
    const kept = b.op("i64.and", b.get(local), b.i64(BigInt.asIntN(64, ~mask)));
    const narrow = b.op("i64.extend_i32_u", b.op("i32.and", value, b.i32(bits === 8 ? 0xff : 0xffff)));
    b.set(local, b.op("i64.or", kept, b.op("i64.shl", narrow, b.i64(shift))));
  }

  /** Writes all locals that have been written back to memory. */
  writeBack(known: StateUse): void {
    for (const slot of known.written) {
      const kind = kindOf(slot);
      this.#b.store(STORES[bitsOf(kind)], this.#b.i32(slot), this.#b.getLazy(this.#local(slot)), CPU_STATE);
    }
  }

  /** Writes the flag words to memory, for a helper that may write them there. */
  storeFlags(): void {
    for (const slot of FLAG_WORDS) {
      const bits = bitsOf(kindOf(slot));
      this.#b.store(STORES[bits], this.#b.i32(slot), this.#b.get(this.#local(slot)), CPU_STATE);
    }
  }

  /** A helper has written the flag words in memory. */
  reloadFlags(): void {
    for (const slot of FLAG_WORDS) {
      this.#use.written.add(slot);
      this.#b.set(this.#local(slot), this.#memoryLoad(bitsOf(kindOf(slot)), this.#b.i32(slot)));
    }
  }

  #local(slot: number): Variable {
    this.#use.used.add(slot);
    const local = this.#locals.get(slot);
    invariant(local !== undefined, "state that was not used in the first pass");
    return local;
  }

  #memoryLoad(bits: RegisterBits, offset: Expr): Expr {
    return this.#b.load(LOADS[bits], offset, CPU_STATE);
  }
}

/** The register or flag word that a state offset lies in. */
function slotOf(offset: number): number | undefined {
  if (offset >= cpu.GPR && offset < GENERAL_END) return offset & ~7;
  if (offset >= cpu.XMM && offset < XMM_END) return offset & ~15;
  return FLAG_WORDS.includes(offset) ? offset : undefined;
}

function allSlots(): number[] {
  const slots: number[] = [];
  for (let at = cpu.GPR; at < GENERAL_END; at += 8) slots.push(at);
  for (let at = cpu.XMM; at < XMM_END; at += 16) slots.push(at);
  return [...slots, ...FLAG_WORDS];
}
