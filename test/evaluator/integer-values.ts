import type { Bits } from "../../src/isa/ops.ts";
import { invariant } from "../../src/layout/invariant.ts";
import { cut, isTrue, signed, truth, type Value } from "./value.ts";

/** The integer operations of `Ops`, by their definitions. */
export class IntegerValues {
  constant(value: bigint | number, bits: Bits): Value {
    return cut(bits, value);
  }
  bitsOf(v: Value): Bits {
    return v.bits;
  }
  add(a: Value, b: Value): Value {
    return cut(width(a, b), a.value + b.value);
  }
  subtract(a: Value, b: Value): Value {
    return cut(width(a, b), a.value - b.value);
  }
  multiply(a: Value, b: Value): Value {
    return cut(width(a, b), a.value * b.value);
  }
  divideUnsigned(a: Value, b: Value): Value {
    return cut(width(a, b), a.value / b.value);
  }
  divideSigned(a: Value, b: Value): Value {
    const quotient = signed(a) / signed(b);
    invariant(BigInt.asIntN(a.bits, quotient) === quotient, "a signed quotient fits");
    return cut(width(a, b), quotient);
  }
  remainderUnsigned(a: Value, b: Value): Value {
    return cut(width(a, b), a.value % b.value);
  }
  remainderSigned(a: Value, b: Value): Value {
    return cut(width(a, b), signed(a) % signed(b));
  }
  and(a: Value, b: Value): Value {
    return cut(width(a, b), a.value & b.value);
  }
  or(a: Value, b: Value): Value {
    return cut(width(a, b), a.value | b.value);
  }
  xor(a: Value, b: Value): Value {
    return cut(width(a, b), a.value ^ b.value);
  }
  not(a: Value): Value {
    return cut(a.bits, ~a.value);
  }
  negate(a: Value): Value {
    return cut(a.bits, -a.value);
  }

  shiftLeft(a: Value, count: Value | number): Value {
    return cut(a.bits, a.value << countOf(a, count));
  }
  shiftRight(a: Value, count: Value | number): Value {
    return cut(a.bits, a.value >> countOf(a, count));
  }
  shiftRightSigned(a: Value, count: Value | number): Value {
    return cut(a.bits, signed(a) >> countOf(a, count));
  }
  rotateLeft(a: Value, count: Value | number): Value {
    const n = countOf(a, count);
    return cut(a.bits, (a.value << n) | (a.value >> (BigInt(a.bits) - n)));
  }
  rotateRight(a: Value, count: Value | number): Value {
    const n = countOf(a, count);
    return cut(a.bits, (a.value >> n) | (a.value << (BigInt(a.bits) - n)));
  }

  lessUnsigned(a: Value, b: Value): Value {
    width(a, b);
    return truth(a.value < b.value);
  }
  lessSigned(a: Value, b: Value): Value {
    width(a, b);
    return truth(signed(a) < signed(b));
  }
  equal(a: Value, b: Value): Value {
    width(a, b);
    return truth(a.value === b.value);
  }
  isZero(a: Value): Value {
    return truth(a.value === 0n);
  }
  bit(a: Value, index: number): Value {
    invariant(index < a.bits, "a bit of the value");
    return truth(((a.value >> BigInt(index)) & 1n) === 1n);
  }
  zeroExtend(a: Value, bits: Bits): Value {
    invariant(bits >= a.bits, "zeroExtend does not narrow");
    return cut(bits, a.value);
  }
  signExtend(a: Value, bits: Bits): Value {
    invariant(bits >= a.bits, "signExtend does not narrow");
    return cut(bits, signed(a));
  }
  truncate(a: Value, bits: Bits): Value {
    invariant(bits <= a.bits, "truncate does not widen");
    return cut(bits, a.value);
  }
  select(condition: Value, whenTrue: Value, whenFalse: Value): Value {
    invariant(condition.bits === 1, "a condition is a truth value");
    width(whenTrue, whenFalse);
    return isTrue(condition) ? whenTrue : whenFalse;
  }
  parityOfLowByte(a: Value): Value {
    return truth(ones(a.value & 0xffn) % 2 === 0);
  }
  countLeadingZeros(a: Value): Value {
    return cut(a.bits, a.value === 0n ? a.bits : a.bits - a.value.toString(2).length);
  }
  countTrailingZeros(a: Value): Value {
    return cut(a.bits, a.value === 0n ? a.bits : (a.value & -a.value).toString(2).length - 1);
  }
  populationCount(a: Value): Value {
    return cut(a.bits, ones(a.value));
  }
  byteSwap(a: Value): Value {
    const digits = a.value.toString(16).padStart(a.bits / 4, "0");
    return cut(a.bits, BigInt(`0x${digits.match(/../g)!.reverse().join("")}`));
  }
  keep(a: Value): Value {
    return a;
  }
}

/** The common width of two operands. */
function width(a: Value, b: Value): Bits {
  invariant(a.bits === b.bits, `operands of one width, not ${a.bits} and ${b.bits}`);
  return a.bits;
}

function countOf(a: Value, count: Value | number): bigint {
  const n = typeof count === "number" ? BigInt(count) : count.value;
  // Semantics compute what they do not use as well: a count of no meaning has to give something.
  return n % BigInt(a.bits);
}

const ones = (value: bigint): number => value.toString(2).replaceAll("0", "").length;
