// The operations of plain.ts and plain-quotient.ts on a register that holds a value, under their control word. Regions of
// the translator call them in the place of an x87 instruction; TOP, tags and status word are the caller's, only
// the register at `address` is touched. They return PE and C1 as bits of the status word, or NOT_DONE.
import { UNORDERED } from "../kernel/compare";
import { compareNormals } from "./compare";
import { addNormals, isNormal, multiplyNormals, NOT_DONE } from "./plain";
import { divideNormals, rootOfNormal } from "./plain-quotient";

/** The register plus an operand. `ownSign` is SIGN for the operand minus the register. */
export function x87PlainAdd(address: usize, ownSign: u32, significand: u64, signExponent: u32): i32 {
  const own = load<u64>(address);
  const ownExponent: u32 = load<u16>(address, 8);
  if (!isNormal(own, ownExponent) || !isNormal(significand, signExponent)) return NOT_DONE;
  return addNormals(address, own, ownExponent ^ ownSign, significand, signExponent);
}

export function x87PlainMultiply(address: usize, significand: u64, signExponent: u32): i32 {
  const own = load<u64>(address);
  const ownExponent: u32 = load<u16>(address, 8);
  if (!isNormal(own, ownExponent) || !isNormal(significand, signExponent)) return NOT_DONE;
  return multiplyNormals(address, own, ownExponent, significand, signExponent);
}

/** The register divided by an operand, or `reversed`. */
export function x87PlainDivide(address: usize, reversed: i32, significand: u64, signExponent: u32): i32 {
  const own = load<u64>(address);
  const ownExponent: u32 = load<u16>(address, 8);
  if (!isNormal(own, ownExponent) || !isNormal(significand, signExponent)) return NOT_DONE;
  const dividend = reversed ? significand : own;
  const divisor = reversed ? own : significand;
  const dividendExponent = reversed ? signExponent : ownExponent;
  const divisorExponent = reversed ? ownExponent : signExponent;
  return divideNormals(address, dividend, dividendExponent, divisor, divisorExponent);
}

export function x87PlainRoot(address: usize): i32 {
  const own = load<u64>(address);
  const ownExponent: u32 = load<u16>(address, 8);
  // The sign is the top bit of the exponent's word.
  if (!isNormal(own, ownExponent) || ownExponent > 0x7fff) return NOT_DONE;
  return rootOfNormal(address, own, ownExponent);
}

/** How the numbers in two registers relate: LESS, EQUAL or GREATER of kernel/compare.ts, or UNORDERED when it is not done here. */
export function x87PlainCompare(address: usize, other: usize): i32 {
  const own = load<u64>(address);
  const ownExponent: u32 = load<u16>(address, 8);
  const significand = load<u64>(other);
  const signExponent: u32 = load<u16>(other, 8);
  if (!isNormal(own, ownExponent) || !isNormal(significand, signExponent)) return UNORDERED;
  return compareNormals(own, ownExponent, significand, signExponent);
}
