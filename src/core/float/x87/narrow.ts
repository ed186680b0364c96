// FST of a normal number as a normal number of the single or the double format, as plain.ts has it.
import { INEXACT } from "../kernel/exception-flags";
import { isNormal } from "./plain";

const TOP_BIT: u64 = 0x8000000000000000;
const EXPONENT: u32 = 0x7fff;
const BIAS: i32 = 16383;

/** What rounding to the narrower format found. */
export class Narrowed {
  static raised: i32 = 0;
  static roundedUp: i32 = 0;
}

/** The encoding, rounded to nearest even, or 0 when it is not found here. */
// @ts-ignore: decorator
@inline
function narrow(significand: u64, signExponent: u32, precision: i32, bias: i32): u64 {
  const exponent = <i32>(signExponent & EXPONENT) - BIAS + bias;
  if (<u32>(exponent - 1) >= <u32>(2 * bias)) return 0;
  const fractionBits = precision - 1;
  const kept = significand >> <u64>(64 - precision);
  const rest = significand << <u64>precision;
  const up = <i32>(rest > TOP_BIT - (kept & 1));
  // The leading bit adds 1 to the exponent field, and so does a carry.
  const bits = (<u64>(exponent - 1) << <u64>fractionBits) + kept + <u64>up;
  if (<i32>(bits >> <u64>fractionBits) > 2 * bias) return 0;
  Narrowed.raised = rest != 0 ? INEXACT : 0;
  Narrowed.roundedUp = up;
  return bits | (<u64>(signExponent >> 15) << <u64>(precision == 24 ? 31 : 63));
}

export function narrowToSingle(significand: u64, signExponent: u32): u32 {
  return isNormal(significand, signExponent) ? <u32>narrow(significand, signExponent, 24, 127) : 0;
}

export function narrowToDouble(significand: u64, signExponent: u32): u64 {
  return isNormal(significand, signExponent) ? narrow(significand, signExponent, 53, 1023) : 0;
}
