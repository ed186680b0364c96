import type { FlagUse } from "../isa/instruction.ts";
import type { IntegerValues } from "../isa/lowering/integer-values.ts";
import type { Value } from "../isa/lowering/value.ts";
import type { Condition, StatusFlag } from "../isa/registers.ts";
import { FLAG_C, FLAG_R, FLAG_X, FLAG_Y } from "../layout/cpu-state.ts";
import { constantOf, type Expr, type FunctionBuilder } from "../wasm/function-builder.ts";
import type { OpName } from "../wasm/opcodes.ts";
import { type KnownFlags, knownCondition } from "./known-condition.ts";
import type { RecordContext } from "./record-context.ts";

const ALL_FLAGS = ["cf", "pf", "af", "zf", "sf", "of"] as const;
const SIGN = 1n << 63n;
/** Inverts a subtrahend in all bits but bit 4, so that X, Y and R mean the same as after an addition. */
export const SUBTRAHEND_MASK = ~0x10n;

/** Where the flag words of layout/cpu-state.ts lie. */
export type FlagStorage = Pick<RecordContext, "b" | "loadState" | "storeState">;

/** Whether an instruction sets all status flags, whatever they were. */
export function replacesFlags({ reads, writes = "", undefined: open = "af" }: FlagUse): boolean {
  return open === "af" && reads === undefined && ALL_FLAGS.every((flag) => writes.includes(flag));
}

/** What an instruction has said of the flags and what is not yet in memory. */
interface Pending {
  cf?: Value;
  result?: Value;
  overflow?: { readonly x: Expr; readonly y: Expr };
  of?: Value;
  af?: Value;
  zf?: Value;
  sf?: Value;
  pf?: Value;
}

/** All six flags are those of `a` - `b`, or of `a` + `b`, where without `b` that is `a`. */
export interface FlagOperandValues {
  readonly a: Value;
  readonly b: Value | undefined;
  readonly subtracts: boolean;
}

/**
 * Status flags of the code under construction, kept lazily in memory as
 * layout/cpu-state.ts describes. Writes gather until `flush`.
 */
export class FlagState {
  readonly #context: FlagStorage;
  readonly #b: FunctionBuilder;
  readonly #values: IntegerValues;
  #pending: Pending = {};
  /** The running instruction's flags take the place of all that is pending. */
  #replaces = false;
  /** What all that is pending follows from. */
  #operands: FlagOperandValues | undefined;
  /** Flags that an earlier instruction of the same handler left. */
  #known: KnownFlags = {};

  constructor(context: FlagStorage, values: IntegerValues) {
    this.#context = context;
    this.#b = context.b;
    this.#values = values;
  }

  /**
   * An instruction begins whose use of flags is `use`, with flags of earlier
   * ones still pending. One that writes all six in one go makes those
   * superfluous; before any other that sets flags they are written.
   */
  begin(use: FlagUse): void {
    const replaces = replacesFlags(use);
    this.#replaces = replaces;
    if (!replaces && use.writes !== undefined) this.flush();
  }

  /** Writes what is pending where control leaves; it stays pending where control goes on. */
  spill(): void {
    const pending = this.#pending;
    const operands = this.#operands;
    const known = this.#known;
    this.flush();
    this.#pending = pending;
    this.#operands = operands;
    this.#known = known;
  }

  /** What all that is pending follows from, if that is a sum, a difference, or a result without carry and overflow. */
  get operands(): FlagOperandValues | undefined {
    if (this.#operands !== undefined) return this.#operands;
    const { result, overflow, cf, of, af, zf, sf, pf } = this.#pending;
    if (result === undefined || overflow === undefined || cf === undefined) return undefined;
    if ([of, af, zf, sf, pf].some((single) => single !== undefined)) return undefined;
    if (constantOf(cf.e) !== 0 || constantOf(overflow.y) !== 0n) return undefined;
    return { a: result, b: undefined, subtracts: false };
  }

  #replacePending(): void {
    if (!this.#replaces) return;
    this.#replaces = false;
    this.#pending = {};
    this.#operands = undefined;
  }

  set(flag: StatusFlag, value: Value): void {
    this.#replacePending();
    this.#pending[flag] = value;
    this.#operands = undefined;
  }

  setResult(result: Value): void {
    this.#replacePending();
    this.#operands = undefined;
    this.#pending.result = result;
    delete this.#pending.zf;
    delete this.#pending.sf;
    delete this.#pending.pf;
  }

  setAddition(a: Value, b: Value): void {
    this.#replacePending();
    this.#overflow(this.#values.signed64(a), this.#values.signed64(b));
    this.#operands = undefined;
  }

  setSubtraction(a: Value, b: Value): void {
    this.#replacePending();
    const inverted = this.#b.op("i64.xor", this.#values.signed64(b), this.#b.i64(SUBTRAHEND_MASK));
    this.#overflow(this.#values.signed64(a), inverted);
    this.#operands = undefined;
  }

  /** All flags, CF too, have been set to those of `a` - `b`. */
  setComparison(a: Value, b: Value): void {
    this.#operands = { a, b, subtracts: true };
  }

  /** All flags, CF too, have been set to those of `a` + `b`. */
  setSum(a: Value, b: Value): void {
    this.#operands = { a, b, subtracts: false };
  }

  get #difference(): { readonly a: Value; readonly b: Value } | undefined {
    if (this.#operands?.subtracts !== true || this.#operands.b === undefined) return undefined;
    return { a: this.#operands.a, b: this.#operands.b };
  }

  #overflow(x: Expr, y: Expr): void {
    this.#pending.overflow = { x, y };
    delete this.#pending.of;
    delete this.#pending.af;
  }

  get(flag: StatusFlag): Value {
    if (flag === "cf" && this.#pending.cf) return this.#pending.cf;
    if (flag === "cf" && this.#known.cf && !this.#anyPending()) return this.#known.cf;
    this.flush();
    return this.#read(flag);
  }

  condition(condition: Condition): Value {
    return (
      knownCondition(this.#values, condition, this.#anyPending() ? this.#pendingKnown() : this.#known) ??
      this.#computedCondition(condition)
    );
  }

  /** What will be known once the pending flags have been written. */
  #pendingKnown(): KnownFlags {
    const { cf, result, zf, sf, pf } = this.#pending;
    if (zf !== undefined || sf !== undefined || pf !== undefined) return {};
    return {
      cf: cf ?? this.#known.cf,
      result: result ?? this.#known.result,
      difference: onlyAf(this.#pending) ? this.#known.difference : this.#difference,
    };
  }

  /** The same flags, for code that follows only some of what follows these. */
  copy(): FlagState {
    const copy = new FlagState(this.#context, this.#values);
    copy.#pending = { ...this.#pending };
    copy.#operands = this.#operands;
    copy.#known = this.#known;
    return copy;
  }

  /** Writes what is pending to memory; what it says stays known for the rest of the handler. */
  flush(): void {
    const p = this.#pending;
    if (!this.#anyPending()) return;
    this.#pending = {};
    const v = this.#values;
    const single = p.zf !== undefined || p.sf !== undefined || p.pf !== undefined;
    if (single) {
      this.#flushSingle(p);
      this.#known = {};
      return;
    }
    const result = p.result === undefined ? undefined : v.keep(p.result);
    const cf = p.cf === undefined ? undefined : v.keep(p.cf);
    const compared = this.#difference;
    const difference = compared && { a: v.keep(compared.a), b: v.keep(compared.b) };
    if (cf !== undefined && result !== undefined) this.#store32(FLAG_C, cf.e);
    else if (cf !== undefined) {
      const corrections = this.#b.op("i32.and", this.#load32(FLAG_C), this.#b.i32(6));
      this.#store32(FLAG_C, this.#b.op("i32.or", corrections, cf.e));
    } else if (result !== undefined) {
      this.#store32(FLAG_C, this.#b.op("i32.and", this.#load32(FLAG_C), this.#b.i32(1)));
    }
    if (p.of !== undefined || p.af !== undefined) this.#flushOverflowBits(p, result);
    else if (p.overflow !== undefined) {
      this.#store64(FLAG_X, p.overflow.x);
      this.#store64(FLAG_Y, p.overflow.y);
    }
    if (result !== undefined) this.#store64(FLAG_R, v.signed64(result));
    this.#known = {
      cf: cf ?? this.#known.cf,
      result: result ?? this.#known.result,
      // CF or OF by itself leaves nothing to compare.
      difference: onlyAf(p) ? this.#known.difference : difference,
    };
    this.#operands = undefined;
  }

  /** Forgets what is known: after code that may have changed flags behind our back, or on leaving an arm. */
  forget(): void {
    this.#known = {};
    this.#operands = undefined;
  }

  #anyPending(): boolean {
    for (const _ in this.#pending) return true;
    return false;
  }

  /** OF or AF by themselves: bit 63 of X and Y is OF's, bit 4 is AF's. */
  #flushOverflowBits(p: Pending, result: Value | undefined): void {
    const op = (name: OpName, ...args: Expr[]) => this.#b.op(name, ...args);
    const r = this.#b.bind(result === undefined ? this.#load64(FLAG_R) : this.#values.signed64(result));
    const bit63 = (flag: Value) => op("i64.shl", op("i64.extend_i32_u", flag.e), this.#b.i64(63n));
    const sign = this.#b.i64(SIGN);
    if (result !== undefined && p.overflow === undefined) {
      const x = p.of === undefined ? r : op("i64.xor", r, bit63(p.of));
      // AF is 0 unless given: bit 4 of X ^ R is 0, so bit 4 of Y is AF itself.
      let y = op("i64.and", x, sign);
      if (p.af !== undefined)
        y = op("i64.or", y, op("i64.shl", op("i64.extend_i32_u", p.af.e), this.#b.i64(4n)));
      this.#store64(FLAG_X, x);
      this.#store64(FLAG_Y, y);
      return;
    }
    const keepX = p.overflow?.x ?? this.#load64(FLAG_X);
    const keepY = p.overflow?.y ?? this.#load64(FLAG_Y);
    let x = this.#b.bind(keepX);
    let y = this.#b.bind(keepY);
    if (p.of !== undefined) {
      const top = this.#b.bind(op("i64.and", op("i64.xor", r, bit63(p.of)), sign));
      x = op("i64.or", op("i64.and", x, this.#b.i64(~SIGN)), top);
      y = op("i64.or", op("i64.and", y, this.#b.i64(~SIGN)), top);
    }
    if (p.af !== undefined) {
      const af = op("i64.shl", op("i64.extend_i32_u", p.af.e), this.#b.i64(4n));
      const wanted = op("i64.and", op("i64.xor", op("i64.xor", x, r), af), this.#b.i64(0x10n));
      y = op("i64.or", op("i64.and", y, this.#b.i64(~0x10n)), wanted);
    }
    this.#store64(FLAG_X, x);
    this.#store64(FLAG_Y, y);
  }

  /** ZF, SF or PF by themselves: all six flags are read or taken, and written anew. */
  #flushSingle(p: Pending): void {
    const v = this.#values;
    const fromResult = (flag: "zf" | "sf" | "pf"): Value | undefined =>
      p.result === undefined ? undefined : this.#ofResult(flag, p.result);
    const take = (flag: "zf" | "sf" | "pf") => v.keep(p[flag] ?? fromResult(flag) ?? this.#read(flag));
    const zf = take("zf");
    const sf = take("sf");
    const pf = take("pf");
    const cf = v.keep(p.cf ?? this.#read("cf"));
    const of = v.keep(p.of ?? this.#read("of"));
    const af = v.keep(p.af ?? this.#read("af"));
    const b = this.#b;
    const corrections = b.op(
      "i32.or",
      b.op("i32.shl", sf.e, b.i32(1)),
      b.op("i32.shl", b.op("i32.eqz", pf.e), b.i32(2)),
    );
    this.#store32(FLAG_C, b.op("i32.or", cf.e, corrections));
    // R is 0 for ZF, else 0x100: sign clear and parity even, so SF and PF lie in the corrections.
    this.#store64(FLAG_R, b.op("i64.shl", b.op("i64.extend_i32_u", b.op("i32.eqz", zf.e)), b.i64(8n)));
    this.#store64(FLAG_X, b.op("i64.shl", b.op("i64.extend_i32_u", of.e), b.i64(63n)));
    const of63 = b.op("i64.shl", b.op("i64.extend_i32_u", of.e), b.i64(63n));
    const y = b.op("i64.or", of63, b.op("i64.shl", b.op("i64.extend_i32_u", af.e), b.i64(4n)));
    this.#store64(FLAG_Y, y);
  }

  #ofResult(flag: "zf" | "sf" | "pf", result: Value): Value {
    const v = this.#values;
    if (flag === "zf") return v.isZero(result);
    if (flag === "sf") return v.bit(result, result.bits - 1);
    return v.parityOfLowByte(result);
  }

  /** A flag from memory. */
  #read(flag: StatusFlag): Value {
    const b = this.#b;
    const v = this.#values;
    const corrected = (plain: Value, position: number): Value => {
      const correction = b.op("i32.and", b.op("i32.shr_u", this.#load32(FLAG_C), b.i32(position)), b.i32(1));
      return v.xor(plain, { bits: 1, e: correction, relative: false });
    };
    const truth = (e: Expr): Value => ({ bits: 1, e, relative: false });
    switch (flag) {
      case "cf":
        return truth(b.op("i32.and", this.#load32(FLAG_C), b.i32(1)));
      case "zf":
        return truth(b.op("i64.eqz", this.#load64(FLAG_R)));
      case "sf":
        return corrected(truth(b.op("i32.wrap_i64", b.op("i64.shr_u", this.#load64(FLAG_R), b.i64(63n)))), 1);
      case "pf":
        return corrected(v.parityOfLowByte({ bits: 64, e: this.#load64(FLAG_R), relative: false }), 2);
      case "of": {
        const r = this.#load64(FLAG_R);
        const x = b.op("i64.xor", this.#load64(FLAG_X), r);
        const y = b.op("i64.xor", this.#load64(FLAG_Y), r);
        return truth(b.op("i32.wrap_i64", b.op("i64.shr_u", b.op("i64.and", x, y), b.i64(63n))));
      }
      case "af": {
        const bits = b.op(
          "i64.xor",
          b.op("i64.xor", this.#load64(FLAG_X), this.#load64(FLAG_Y)),
          this.#load64(FLAG_R),
        );
        return v.bit({ bits: 64, e: bits, relative: false }, 4);
      }
    }
  }

  #computedCondition(condition: Condition): Value {
    const v = this.#values;
    switch (condition) {
      case "o":
        return this.get("of");
      case "no":
        return v.not(this.get("of"));
      case "b":
        return this.get("cf");
      case "ae":
        return v.not(this.get("cf"));
      case "e":
        return this.get("zf");
      case "ne":
        return v.not(this.get("zf"));
      case "be":
        return v.or(this.get("cf"), this.get("zf"));
      case "a":
        return v.not(v.or(this.get("cf"), this.get("zf")));
      case "s":
        return this.get("sf");
      case "ns":
        return v.not(this.get("sf"));
      case "p":
        return this.get("pf");
      case "np":
        return v.not(this.get("pf"));
      case "l":
        return v.xor(this.get("sf"), this.get("of"));
      case "ge":
        return v.not(v.xor(this.get("sf"), this.get("of")));
      case "le":
        return v.or(this.get("zf"), v.xor(this.get("sf"), this.get("of")));
      case "g":
        return v.not(v.or(this.get("zf"), v.xor(this.get("sf"), this.get("of"))));
    }
  }

  #load32(field: number): Expr {
    return this.#context.loadState(32, this.#b.i32(field));
  }

  #load64(field: number): Expr {
    return this.#context.loadState(64, this.#b.i32(field));
  }

  #store32(field: number, e: Expr): void {
    this.#context.storeState(32, this.#b.i32(field), e);
  }

  #store64(field: number, e: Expr): void {
    this.#context.storeState(64, this.#b.i32(field), e);
  }
}

function onlyAf({ cf, result, of, overflow }: Pending): boolean {
  return cf === undefined && result === undefined && of === undefined && overflow === undefined;
}
