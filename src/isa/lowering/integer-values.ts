import { invariant } from "../../layout/invariant.ts";
import type { Expr, FunctionBuilder } from "../../wasm/function-builder.ts";
import type { OpName } from "../../wasm/opcodes.ts";
import type { Bits } from "../ops.ts";
import { Value } from "./value.ts";

const maskOf = (bits: number): number => (bits >= 32 ? -1 : (1 << bits) - 1);

/** The integer part of `Ops`: pure computations, lowered to WebAssembly. */
export class IntegerValues {
  readonly b: FunctionBuilder;

  constructor(b: FunctionBuilder) {
    this.b = b;
  }

  constant(value: bigint | number, bits: Bits): Value {
    if (bits === 64) return new Value(64, this.b.i64(BigInt.asIntN(64, BigInt(value))));
    if (bits === 128) return new Value(128, this.b.v128(bytesOf(BigInt(value))));
    invariant(bits !== 256, "halves are constants of their own");
    return new Value(bits, this.b.i32(Number(BigInt.asUintN(bits, BigInt(value))) | 0));
  }

  bitsOf(v: Value): Bits {
    return v.bits;
  }

  add(a: Value, b: Value): Value {
    return this.#wrapping("add", a, b);
  }

  subtract(a: Value, b: Value): Value {
    return this.#wrapping("sub", a, b);
  }

  multiply(a: Value, b: Value): Value {
    return this.#wrapping("mul", a, b);
  }

  divideUnsigned(a: Value, b: Value): Value {
    return this.#dividing("div_u", a, b);
  }

  divideSigned(a: Value, b: Value): Value {
    return this.#dividing("div_s", a, b);
  }

  remainderUnsigned(a: Value, b: Value): Value {
    return this.#dividing("rem_u", a, b);
  }

  remainderSigned(a: Value, b: Value): Value {
    return this.#dividing("rem_s", a, b);
  }

  and(a: Value, b: Value): Value {
    return this.#bitwise("and", a, b);
  }

  or(a: Value, b: Value): Value {
    return this.#bitwise("or", a, b);
  }

  xor(a: Value, b: Value): Value {
    return this.#bitwise("xor", a, b);
  }

  not(a: Value): Value {
    if (a.bits === 1) return new Value(1, this.b.op("i32.eqz", a.e));
    if (a.bits === 128) return new Value(128, this.b.op("v128.not", a.e));
    return this.xor(a, this.constant(-1n, a.bits));
  }

  negate(a: Value): Value {
    return this.subtract(this.constant(0, a.bits), a);
  }

  shiftLeft(a: Value, count: Value | number): Value {
    const shifted = this.b.op(`${typeOf(a)}.shl`, a.e, this.#count(a, count));
    return this.#normalised(a.bits, shifted);
  }

  shiftRight(a: Value, count: Value | number): Value {
    return new Value(a.bits, this.b.op(`${typeOf(a)}.shr_u`, a.e, this.#count(a, count)));
  }

  shiftRightSigned(a: Value, count: Value | number): Value {
    const signed = a.bits < 32 ? this.signed32(a) : a.e;
    return this.#normalised(a.bits, this.b.op(`${typeOf(a)}.shr_s`, signed, this.#count(a, count)));
  }

  rotateLeft(a: Value, count: Value | number): Value {
    if (a.bits === 64 || a.bits === 32) {
      return new Value(a.bits, this.b.op(`${typeOf(a)}.rotl`, a.e, this.#count(a, count)));
    }
    const left = this.#count(a, count);
    const right = this.b.op(
      "i32.and",
      this.b.op("i32.sub", this.b.i32(a.bits), left),
      this.b.i32(a.bits - 1),
    );
    const both = this.b.op("i32.or", this.b.op("i32.shl", a.e, left), this.b.op("i32.shr_u", a.e, right));
    return this.#normalised(a.bits, both);
  }

  rotateRight(a: Value, count: Value | number): Value {
    if (a.bits === 64 || a.bits === 32) {
      return new Value(a.bits, this.b.op(`${typeOf(a)}.rotr`, a.e, this.#count(a, count)));
    }
    const right = this.#count(a, count);
    const left = this.b.op(
      "i32.and",
      this.b.op("i32.sub", this.b.i32(a.bits), right),
      this.b.i32(a.bits - 1),
    );
    return this.rotateLeft(a, new Value(32, left));
  }

  lessUnsigned(a: Value, b: Value): Value {
    this.#sameWidth(a, b);
    return new Value(1, this.b.op(`${typeOf(a)}.lt_u`, a.e, b.e));
  }

  lessSigned(a: Value, b: Value): Value {
    this.#sameWidth(a, b);
    if (a.bits === 64) return new Value(1, this.b.op("i64.lt_s", a.e, b.e));
    return new Value(1, this.b.op("i32.lt_s", this.signed32(a), this.signed32(b)));
  }

  equal(a: Value, b: Value): Value {
    this.#sameWidth(a, b);
    return new Value(1, this.b.op(`${typeOf(a)}.eq`, a.e, b.e));
  }

  isZero(a: Value): Value {
    return new Value(1, this.b.op(`${typeOf(a)}.eqz`, a.e));
  }

  bit(a: Value, index: number): Value {
    if (a.bits === 64) {
      const shifted = this.b.op("i64.shr_u", a.e, this.b.i64(BigInt(index)));
      return new Value(1, this.b.op("i32.wrap_i64", this.b.op("i64.and", shifted, this.b.i64(1n))));
    }
    const shifted = this.b.op("i32.shr_u", a.e, this.b.i32(index));
    return new Value(1, index === a.bits - 1 ? shifted : this.b.op("i32.and", shifted, this.b.i32(1)));
  }

  zeroExtend(a: Value, bits: Bits): Value {
    invariant(bits >= a.bits, "zeroExtend does not narrow");
    if (bits === 64 && a.bits !== 64) return new Value(64, this.b.op("i64.extend_i32_u", a.e));
    return new Value(bits, a.e);
  }

  signExtend(a: Value, bits: Bits): Value {
    invariant(bits >= a.bits, "signExtend does not narrow");
    if (a.bits === bits) return a;
    if (a.bits === 1) return this.negate(this.zeroExtend(a, bits));
    if (bits === 64) return new Value(64, this.signed64(a));
    return this.#normalised(bits, this.signed32(a));
  }

  truncate(a: Value, bits: Bits): Value {
    invariant(bits <= a.bits, "truncate does not widen");
    if (a.bits === bits) return a;
    if (a.bits === 64) return this.#normalised(bits, this.b.op("i32.wrap_i64", a.e));
    return new Value(bits, this.b.op("i32.and", a.e, this.b.i32(maskOf(bits))));
  }

  select(condition: Value, whenTrue: Value, whenFalse: Value): Value {
    this.#sameWidth(whenTrue, whenFalse);
    return new Value(whenTrue.bits, this.b.select(condition.e, whenTrue.e, whenFalse.e));
  }

  parityOfLowByte(a: Value): Value {
    const low = a.bits === 64 ? this.b.op("i32.wrap_i64", a.e) : a.e;
    const ones = this.b.op("i32.popcnt", this.b.op("i32.and", low, this.b.i32(0xff)));
    return new Value(1, this.b.op("i32.eqz", this.b.op("i32.and", ones, this.b.i32(1))));
  }

  countLeadingZeros(a: Value): Value {
    const zeros = this.b.op(`${typeOf(a)}.clz`, a.e);
    if (a.bits >= 32) return new Value(a.bits, zeros);
    return new Value(a.bits, this.b.op("i32.sub", zeros, this.b.i32(32 - a.bits)));
  }

  countTrailingZeros(a: Value): Value {
    if (a.bits >= 32) return new Value(a.bits, this.b.op(`${typeOf(a)}.ctz`, a.e));
    return new Value(a.bits, this.b.op("i32.ctz", this.b.op("i32.or", a.e, this.b.i32(1 << a.bits))));
  }

  populationCount(a: Value): Value {
    return new Value(a.bits, this.b.op(`${typeOf(a)}.popcnt`, a.e));
  }

  byteSwap(a: Value): Value {
    const { b } = this;
    if (a.bits === 16) return this.rotateLeft(a, 8);
    if (a.bits === 32) {
      const odd = b.op("i32.and", b.op("i32.rotl", a.e, b.i32(8)), b.i32(0x00ff00ff));
      const even = b.op("i32.and", b.op("i32.rotr", a.e, b.i32(8)), b.i32(0xff00ff00 | 0));
      return new Value(32, b.op("i32.or", odd, even));
    }
    const high = this.byteSwap(new Value(32, b.op("i32.wrap_i64", a.e)));
    const low = this.byteSwap(new Value(32, b.op("i32.wrap_i64", b.op("i64.shr_u", a.e, b.i64(32n)))));
    const shifted = b.op("i64.shl", b.op("i64.extend_i32_u", high.e), b.i64(32n));
    return new Value(64, b.op("i64.or", shifted, b.op("i64.extend_i32_u", low.e)));
  }

  keep(a: Value): Value {
    return new Value(a.bits, this.b.bind(a.e), a.relative);
  }

  /** An integer of up to 32 bits as a sign-extended i32. */
  signed32(a: Value): Expr {
    if (a.bits === 8) return this.b.op("i32.extend8_s", a.e);
    if (a.bits === 16) return this.b.op("i32.extend16_s", a.e);
    return a.e;
  }

  /** An integer as a sign-extended i64. */
  signed64(a: Value): Expr {
    if (a.bits === 64) return a.e;
    return this.b.op("i64.extend_i32_s", this.signed32(a));
  }

  /** An integer as a zero-extended i64. */
  unsigned64(a: Value): Expr {
    return a.bits === 64 ? a.e : this.b.op("i64.extend_i32_u", a.e);
  }

  #wrapping(name: "add" | "sub" | "mul", a: Value, b: Value): Value {
    this.#sameWidth(a, b);
    return this.#normalised(a.bits, this.b.op(`${typeOf(a)}.${name}`, a.e, b.e));
  }

  #dividing(name: "div_u" | "div_s" | "rem_u" | "rem_s", a: Value, b: Value): Value {
    this.#sameWidth(a, b);
    invariant(a.bits >= 32, "divisions are 32 or 64 bits wide");
    return new Value(a.bits, this.b.op(`${typeOf(a)}.${name}`, a.e, b.e));
  }

  #bitwise(name: "and" | "or" | "xor", a: Value, b: Value): Value {
    this.#sameWidth(a, b);
    const type = a.bits === 128 ? "v128" : typeOf(a);
    return new Value(a.bits, this.b.op(`${type}.${name}` as OpName, a.e, b.e));
  }

  /** Clears what an i32 holds above the width. */
  #normalised(bits: Bits, e: Expr): Value {
    return new Value(bits, bits < 32 ? this.b.op("i32.and", e, this.b.i32(maskOf(bits))) : e);
  }

  #count(a: Value, count: Value | number): Expr {
    if (typeof count === "number") return a.bits === 64 ? this.b.i64(BigInt(count)) : this.b.i32(count);
    if (a.bits === 64) return this.unsigned64(count);
    return count.bits === 64 ? this.b.op("i32.wrap_i64", count.e) : count.e;
  }

  #sameWidth(a: Value, b: Value): void {
    invariant(a.bits === b.bits, `operands of one width, not ${a.bits} and ${b.bits}`);
  }
}

/** The 16 bytes of a vector, the lowest first. */
function bytesOf(value: bigint): Uint8Array {
  return Uint8Array.from({ length: 16 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

function typeOf(a: Value): "i32" | "i64" {
  invariant(a.bits < 128, "an integer, not a vector");
  return a.bits === 64 ? "i64" : "i32";
}
