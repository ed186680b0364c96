import * as cpu from "../layout/cpu-state.ts";
import { invariant } from "../layout/invariant.ts";
import { CPU_STATE } from "../layout/memory-map.ts";
import type { RegisterBits } from "../lower/record-context.ts";
import {
  constantOf,
  type Expr,
  type FunctionBuilder,
  isConstant,
  type Variable,
  vectorOf,
} from "../wasm/function-builder.ts";
import type { OpName } from "../wasm/opcodes.ts";
import type { ValueNumbers } from "../wasm/value-numbers.ts";
import { isDenormal } from "./inline-float.ts";
import { type KnownRegisters, RegisterValues } from "./register-values.ts";
import {
  allSlots,
  FLAG_WORDS,
  GENERAL_END,
  isRegister,
  isX87,
  kindOf,
  slotOf,
  X87_COMPUTED,
} from "./state-slots.ts";
import type { StateUse } from "./state-use.ts";

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
/** State that no translated instruction changes, but for TLB_BASE: read once, at the region's entry. */
const CONSTANT_32: readonly number[] = [cpu.TLB_BASE, cpu.CR0, cpu.CR4];
const CONSTANT_64: readonly number[] = [cpu.RIP_BASE, cpu.MODE_KEY];
const CR0_EM_TS = 12;
const CR4_OSFXSR = 0x200;
const FSW_SUMMARY = 0x80;
/** Masks, PC and RC; everything masked, 64 bits of significand, to nearest (core/float/x87/plain.ts). */
const FCW_SETTING = 0x0f3f;
const FCW_PLAIN = 0x033f;

/** Whether a control word is one under which x87 instructions can be done inline. */
export function isControlPlain(control: number): boolean {
  return (control & FCW_SETTING) === FCW_PLAIN;
}

/** Where a register or flag word is kept. Of a vector register that holds numbers, two f64 locals. */
type Local =
  | { readonly kind: "i32" | "i64" | "v128"; readonly value: Variable }
  | { readonly kind: "halves"; readonly halves: readonly [Variable, Variable] };

const WIDTHS = { i32: 32, i64: 64, v128: 128 } as const;

/**
 * The processor state as the code of a region sees it: registers and flag
 * words in locals, the rest in memory.
 *
 * Or they stay in memory, and a register is read once from there in what runs straight (`StateUse.staysInMemory`). Then nothing
 * is to be written back where control leaves, and nothing merges there: V8's compilers take less than half the time for such
 * code, of which most is for locals that are merged at every exit.
 *
 * A lane in which the region computes with binary64 numbers never holds a
 * denormal one: `refuse` leaves the region where it would. So no instruction has to look at its operands for the sake of
 * the denormal flag.
 */
export class RegionState {
  readonly #b: FunctionBuilder;
  readonly #use: StateUse;
  readonly #known: StateUse | undefined;
  readonly #locals = new Map<number, Local>();
  readonly #constants = new Map<number, Expr>();
  /** TLB_BASE in a region that changes it. */
  readonly #tlbBank: Variable | undefined;
  /** Lanes, as i64, that are known not to be denormal. */
  readonly #clean = new WeakSet<Expr>();
  readonly #values: RegisterValues;

  /** Loads what `known` says is used; without it, everything. */
  constructor(b: FunctionBuilder, use: StateUse, known: StateUse | undefined) {
    this.#b = b;
    this.#use = use;
    this.#known = known;
    this.#values = new RegisterValues(b);
    for (const slot of known?.staysInMemory ? [] : allSlots()) {
      if (known !== undefined && !known.used.has(slot)) continue;
      if (known?.inlinesX87 === false && isX87(slot)) continue;
      if (slot >= cpu.XMM && (known?.floatLanes.has(slot) || known?.floatLanes.has(slot + 8))) {
        const halves = [b.variable("f64"), b.variable("f64")] as const;
        this.#locals.set(slot, { kind: "halves", halves });
        continue;
      }
      const kind = kindOf(slot);
      this.#locals.set(slot, { kind, value: b.variable(kind) });
    }
    for (const field of CONSTANT_32)
      if (field === cpu.TLB_BASE || known?.usesSse !== false)
        this.#constants.set(field, this.#memoryLoad(32, b.i32(field)));
    if (known !== undefined && !known.changesTlbBank && known.tlbBank !== 0)
      this.#constants.set(cpu.TLB_BASE, b.i32(known.tlbBank));
    if (known?.changesTlbBank) this.#tlbBank = b.variable("i32", this.#constants.get(cpu.TLB_BASE)!);
    for (const field of CONSTANT_64) this.#constants.set(field, this.#memoryLoad(64, b.i32(field)));
    this.reload();
  }

  /** Reads all locals from memory. */
  reload(): void {
    const b = this.#b;
    this.#values.forget();
    for (const [slot, local] of this.#locals) {
      if (local.kind === "halves") {
        for (const [i, half] of local.halves.entries())
          b.set(half, b.load("f64.load", b.i32(slot + 8 * i), CPU_STATE));
      } else b.set(local.value, this.#memoryLoad(WIDTHS[local.kind], b.i32(slot)));
    }
  }

  get numbers(): ValueNumbers {
    return this.#values.numbers;
  }

  /** What is known of the registers here. */
  get knownRegisters(): KnownRegisters {
    return this.#values.known;
  }

  /** The root of what a general register holds here, as far as it is known. */
  rootOf(slot: number): number | undefined {
    return this.#values.rootOf(slot);
  }

  /** Goes on with what is known of the registers, or with nothing. */
  knowRegisters(known: KnownRegisters | undefined): void {
    this.#values.know(known);
  }

  /** Code that is written into the innermost span from here on runs straight. */
  spanStarts(): void {
    this.#values.spanStarts();
  }

  /** An instruction has changed TLB_BASE. */
  reloadTlbBank(): void {
    this.#use.changesTlbBank = true;
    if (this.#tlbBank !== undefined) this.#b.set(this.#tlbBank, this.#memoryTlbBank());
  }

  /**
   * Behind a call: non-zero when what was called has left another TLB_BASE, and the region cannot go on with that; another privilege
   * level has one. A region that goes on with any asks for the level itself, by the mode key.
   */
  hasOtherTlbBank(): Expr {
    const b = this.#b;
    if (this.#tlbBank === undefined)
      return b.op("i32.ne", this.#memoryTlbBank(), this.#constants.get(cpu.TLB_BASE)!);
    this.reloadTlbBank();
    const key = this.#memoryLoad(64, b.i32(cpu.MODE_KEY));
    return b.op("i64.ne", key, this.modeKey);
  }

  /** The same, behind what cannot have come back with another bank in a region of a program. */
  mayHaveOtherTlbBank(): Expr {
    return this.keepsTlbBank ? this.#b.i32(0) : this.hasOtherTlbBank();
  }

  /** The region runs in the bank of programs: a call that comes back by a RET which it made itself comes back in that. */
  get keepsTlbBank(): boolean {
    return this.#known !== undefined && this.#known.tlbBank !== 0;
  }

  #memoryTlbBank(): Expr {
    return this.#memoryLoad(32, this.#b.i32(cpu.TLB_BASE));
  }

  /** What added to a position gives RIP. */
  get ripBase(): Expr {
    return this.#constants.get(cpu.RIP_BASE)!;
  }

  get tlbBase(): Expr {
    return this.load(32, this.#b.i32(cpu.TLB_BASE));
  }

  get modeKey(): Expr {
    return this.#constants.get(cpu.MODE_KEY)!;
  }

  /** Non-zero when an instruction of SSE faults (Intel SDM Vol. 3A, "x87 FPU and SIMD State"). */
  sseIsDisabled(): Expr {
    const b = this.#b;
    const cr4 = b.op("i32.xor", this.#constants.get(cpu.CR4)!, b.i32(CR4_OSFXSR));
    return b.op(
      "i32.or",
      b.op("i32.and", this.#constants.get(cpu.CR0)!, b.i32(CR0_EM_TS)),
      b.op("i32.and", cr4, b.i32(CR4_OSFXSR)),
    );
  }

  /** Non-zero when a lane for numbers holds a denormal one, just after `reload`. */
  hasDenormal(): Expr {
    const b = this.#b;
    let found = b.i32(0);
    for (const at of this.#known?.floatLanes ?? []) {
      const half = this.#half(at);
      if (half !== undefined)
        found = b.op("i32.or", found, isDenormal(b, b.op("i64.reinterpret_f64", b.getLazy(half))));
    }
    return found;
  }

  /** A lane, as i64, that an instruction has made and that is not denormal. */
  markClean(lane: Expr): void {
    this.#clean.add(lane);
  }

  isClean(lane: Expr): boolean {
    return this.#clean.has(lane) || isConstant(lane);
  }

  /** Whether a vector register is kept in two f64 locals. */
  isInHalves(slot: number): boolean {
    return this.#locals.get(slot)?.kind === "halves";
  }

  load(bits: RegisterBits, offset: Expr): Expr {
    const at = constantOf(offset);
    invariant(typeof at === "number", "translated code knows which state it accesses");
    const slot = this.#slotOf(at);
    if (slot === undefined) {
      if (at === cpu.ZERO) return this.#b.i64(0n);
      if (at === cpu.TLB_BASE && this.#tlbBank !== undefined) return this.#b.get(this.#tlbBank);
      return this.#constants.get(at) ?? this.#memoryLoad(bits, offset);
    }
    const b = this.#b;
    if (this.#staysInMemory) {
      if (!isRegister(slot)) return this.#memoryLoad(bits, offset);
      const value = this.#register(slot);
      if (slot >= cpu.XMM) return value;
      this.#values.assume(slot, value);
      return this.#narrow(value, bits, at - slot);
    }
    const local = this.#local(slot);
    if (local.kind === "halves") {
      const [low, high] = local.halves.map((half, i) => {
        const lane = b.op("i64.reinterpret_f64", b.get(half));
        if (this.#isFloatLane(slot + 8 * i)) this.#clean.add(lane);
        return lane;
      });
      return vectorOf(low!, high!);
    }
    const value = b.get(local.value);
    if (slot >= cpu.XMM) {
      invariant(bits === 128 && at === slot, "a vector register is read whole");
      return value;
    }
    if (slot < GENERAL_END) this.#values.assume(slot, value);
    return local.kind === "i32" ? value : this.#narrow(value, bits, at - slot);
  }

  /** The part of a 64-bit register at a distance in bytes. */
  #narrow(value: Expr, bits: RegisterBits, byte: number): Expr {
    if (bits === 64) return value;
    const b = this.#b;
    const shifted = byte === 0 ? value : b.op("i64.shr_u", value, b.i64(BigInt(8 * byte)));
    const low = b.op("i32.wrap_i64", shifted);
    return bits === 32 ? low : b.op("i32.and", low, b.i32(bits === 8 ? 0xff : 0xffff));
  }

  /** The value of a register that stays in memory. */
  #register(slot: number): Expr {
    const known = this.#values.atHand(slot);
    if (known !== undefined) return known;
    const value = this.#memoryLoad(slot >= cpu.XMM ? 128 : 64, this.#b.i32(slot));
    this.#values.noteRead(slot, value);
    return value;
  }

  get #staysInMemory(): boolean {
    return this.#known?.staysInMemory === true;
  }

  /** `refuse` leaves before the instruction. */
  store(bits: RegisterBits, offset: Expr, value: Expr, refuse: () => void): void {
    const at = constantOf(offset);
    invariant(typeof at === "number", "translated code knows which state it accesses");
    const slot = this.#slotOf(at);
    if (slot === undefined) {
      this.#b.store(STORES[bits], offset, value, CPU_STATE);
      return;
    }
    if (this.#staysInMemory) return this.#storeInMemory(bits, at, slot, value);
    this.#use.written.add(slot);
    const local = this.#local(slot);
    if (local.kind === "halves") return this.#storeHalves(slot, local.halves, value, refuse);
    if (slot < GENERAL_END) this.#values.noteStored(slot, bits, value);
    if (slot >= cpu.XMM || local.kind === "i32" || bits === 64) return this.#b.set(local.value, value);
    this.#b.set(local.value, this.#merged(this.#b.get(local.value), bits, at - slot, value));
  }

  /** Of a register that stays in memory. What is stored under a condition is not at hand without it. */
  #storeInMemory(bits: RegisterBits, at: number, slot: number, value: Expr): void {
    const b = this.#b;
    if (!isRegister(slot)) return b.store(STORES[bits], b.i32(0), value, CPU_STATE + slot);
    const whole = bits >= 64 ? value : this.#merged(this.#register(slot), bits, at - slot, value);
    if (slot < GENERAL_END) this.#values.noteStored(slot, bits, value);
    const bound = b.bind(whole);
    b.store(slot >= cpu.XMM ? "v128.store" : "i64.store", b.i32(0), bound, CPU_STATE + slot);
    this.#values.noteWritten(slot, bound);
  }

  /** A 64-bit register with the part at a distance in bytes replaced. */
  #merged(old: Expr, bits: RegisterBits, byte: number, value: Expr): Expr {
    invariant(bits === 8 || bits === 16, "32 bits are written as 64");
    const b = this.#b;
    const shift = BigInt(8 * byte);
    const mask = (bits === 8 ? 0xffn : 0xffffn) << shift;
    const kept = b.op("i64.and", old, b.i64(BigInt.asIntN(64, ~mask)));
    const narrow = b.op("i64.extend_i32_u", b.op("i32.and", value, b.i32(bits === 8 ? 0xff : 0xffff)));
    return b.op("i64.or", kept, b.op("i64.shl", narrow, b.i64(shift)));
  }

  #storeHalves(slot: number, halves: readonly [Variable, Variable], value: Expr, refuse: () => void): void {
    const b = this.#b;
    const vector = b.bind(value);
    const lanes = [0, 1].map((i) => b.opImm("i64x2.extract_lane", i, vector));
    for (const [i, lane] of lanes.entries()) {
      if (!this.#isFloatLane(slot + 8 * i) || this.isClean(lane)) continue;
      b.if(isDenormal(b, lane), refuse, undefined, "unlikely");
    }
    const numbers = lanes.map((lane) => b.bind(b.op("f64.reinterpret_i64", lane)));
    for (const [i, half] of halves.entries()) b.set(half, numbers[i]!);
  }

  /** Writes all locals that have been written back to memory, or all but flag words, or those alone. */
  writeBack(known: StateUse, which: "all" | "flags" | "others" = "all"): void {
    const b = this.#b;
    if (known.staysInMemory) return;
    for (const slot of known.written) {
      if (which !== "all" && FLAG_WORDS.includes(slot) !== (which === "flags")) continue;
      if (!known.inlinesX87 && isX87(slot)) continue;
      const local = this.#local(slot);
      if (local.kind === "halves") {
        for (const [i, half] of local.halves.entries())
          b.store("f64.store", b.i32(slot + 8 * i), b.getLazy(half), CPU_STATE);
      } else b.store(STORES[WIDTHS[local.kind]], b.i32(slot), b.getLazy(local.value), CPU_STATE);
    }
  }

  /** Writes the flag words to memory, for a helper that may write them there. */
  storeFlags(): void {
    if (this.#staysInMemory) return;
    for (const slot of FLAG_WORDS) {
      const local = this.#local(slot);
      invariant(local.kind !== "halves", "flag words are integers");
      this.#b.store(STORES[WIDTHS[local.kind]], this.#b.i32(slot), this.#b.get(local.value), CPU_STATE);
    }
  }

  /** Whether x87 instructions are done inline. */
  get inlinesX87(): boolean {
    return this.#known?.inlinesX87 !== false;
  }

  /** Non-zero when x87 instructions cannot be done inline: the unit is off, an exception waits, or the control word is an unusual one. */
  x87IsUnready(): Expr {
    const b = this.#b;
    const off = b.op("i32.and", b.load("i32.load", b.i32(0), CPU_STATE + cpu.CR0), b.i32(CR0_EM_TS));
    const waits = b.op("i32.and", b.load("i32.load", b.i32(0), CPU_STATE + cpu.X87_FSW), b.i32(FSW_SUMMARY));
    const control = b.op(
      "i32.and",
      b.load("i32.load", b.i32(0), CPU_STATE + cpu.X87_FCW),
      b.i32(FCW_SETTING),
    );
    return b.op("i32.or", b.op("i32.or", off, waits), b.op("i32.ne", control, b.i32(FCW_PLAIN)));
  }

  /** Writes what x87 instructions compute with to memory, for a helper. */
  storeX87(): void {
    for (const slot of X87_COMPUTED) {
      const { value } = this.#local(slot) as { value: Variable };
      this.#b.store("i32.store", this.#b.i32(slot), this.#b.get(value), CPU_STATE);
    }
  }

  /** A helper has written it. */
  reloadX87(): void {
    for (const slot of X87_COMPUTED) {
      this.#use.written.add(slot);
      const { value } = this.#local(slot) as { value: Variable };
      this.#b.set(value, this.#memoryLoad(32, this.#b.i32(slot)));
    }
  }

  /** The local's slot that a state offset lies in. */
  #slotOf(at: number): number | undefined {
    return isX87(at) && !this.inlinesX87 ? undefined : slotOf(at);
  }

  /** A helper has written the flag words in memory. */
  reloadFlags(): void {
    if (this.#staysInMemory) return;
    for (const slot of FLAG_WORDS) {
      this.#use.written.add(slot);
      const local = this.#local(slot);
      invariant(local.kind !== "halves", "flag words are integers");
      this.#b.set(local.value, this.#memoryLoad(WIDTHS[local.kind], this.#b.i32(slot)));
    }
  }

  #isFloatLane(at: number): boolean {
    return this.#known?.floatLanes.has(at) === true;
  }

  #half(at: number): Variable | undefined {
    const local = this.#locals.get(at & ~15);
    return local?.kind === "halves" ? local.halves[(at & 8) === 0 ? 0 : 1] : undefined;
  }

  #local(slot: number): Local {
    this.#use.used.add(slot);
    const local = this.#locals.get(slot);
    invariant(local !== undefined, "state that was not used in the first pass");
    return local;
  }

  #memoryLoad(bits: RegisterBits, offset: Expr): Expr {
    return this.#b.load(LOADS[bits], offset, CPU_STATE);
  }
}
