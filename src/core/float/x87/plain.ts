// FADD, FSUB and FMUL of two normal numbers with a normal result, under the control word that nearly all programs
// have. Everything else is left to the general functions of ../kernel, and gives the same where both apply.
import { X87_FSW } from "../../../layout/cpu-state";
import { CPU_STATE } from "../../../layout/memory-map";
import { C1, controlWord, statusWord } from "./unit";

const TOP_BIT: u64 = 0x8000000000000000;
const LOW_HALF: u64 = 0xffffffff;
export const SIGN: u32 = 0x8000;
const EXPONENT: u32 = 0x7fff;
const BIAS: i32 = 16383;
/** Masks, PC and RC of the control word. */
const FCW_SETTING: i32 = 0x0f3f;
/** Everything masked, 64 bits of significand, to nearest. */
const FCW_PLAIN: i32 = 0x033f;
const INEXACT_BIT: i32 = 5;
const C1_BIT: i32 = 9;

// @ts-ignore: decorator
@inline
export function isPlain(): bool {
  return (controlWord() & FCW_SETTING) == FCW_PLAIN;
}

// @ts-ignore: decorator
@inline
export function isNormal(significand: u64, signExponent: u32): bool {
  return <i64>significand < 0 && ((signExponent + 1) & EXPONENT) > 1;
}

/** What the functions here return when they have left everything as it was. */
export const NOT_DONE: i32 = -1;

/** Takes over PE and C1 of a result. Returns whether there is one. */
// @ts-ignore: decorator
@inline
export function noteRounding(result: i32): bool {
  if (result == NOT_DONE) return false;
  store<i32>(CPU_STATE + X87_FSW, (statusWord() & ~C1) | result);
  return true;
}

/**
 * Writes a rounded result to the register at `address`, which is not empty. `exponent` is biased.
 * Returns PE and C1 as bits of the status word, or NOT_DONE when it is out of range.
 */
// @ts-ignore: decorator
@inline
export function writeRounded(
  address: usize,
  sign: u32,
  exponent: i32,
  significand: u64,
  inexact: i32,
  up: i32,
): i32 {
  if (<u32>(exponent - 1) >= EXPONENT - 1) return NOT_DONE;
  store<u64>(address, significand);
  store<u16>(address, <u16>(sign | <u32>exponent), 8);
  return (inexact << INEXACT_BIT) | (up << C1_BIT);
}

/** Rounds (high, low), with bit 63 of `high` set, to nearest even, and writes it. */
// @ts-ignore: decorator
@inline
function writeNearest(address: usize, sign: u32, exponent: i32, high: u64, low: u64): i32 {
  const up = <i32>(low > TOP_BIT - (high & 1));
  const sum = high + <u64>up;
  const carry = <i32>(sum == 0);
  const significand = sum | (<u64>carry << 63);
  return writeRounded(address, sign, exponent + carry, significand, <i32>(low != 0), up);
}

/** a + b into the register at `address`, as writeRounded. */
// @ts-ignore: decorator
@inline
export function addNormals(address: usize, a: u64, aExponent: u32, b: u64, bExponent: u32): i32 {
  let larger = a;
  let largerExponent = aExponent;
  let smaller = b;
  let distance = <i32>(aExponent & EXPONENT) - <i32>(bExponent & EXPONENT);
  if (distance < 0 || (distance == 0 && a < b)) {
    larger = b;
    largerExponent = bExponent;
    smaller = a;
    distance = -distance;
  }
  if (distance > 63) return NOT_DONE;
  const high = smaller >> <u64>distance;
  const low = (smaller << 1) << <u64>(63 - distance);
  const sign = largerExponent & SIGN;
  const exponent = <i32>(largerExponent & EXPONENT);
  if (((aExponent ^ bExponent) & SIGN) == 0) {
    const sum = larger + high;
    if (sum >= high) return writeNearest(address, sign, exponent, sum, low);
    return writeNearest(
      address,
      sign,
      exponent + 1,
      (sum >> 1) | TOP_BIT,
      (low >> 1) | (sum << 63) | (low & 1),
    );
  }
  const difference = larger - high - <u64>(low != 0);
  if (difference == 0) return NOT_DONE;
  const rest: u64 = 0 - low;
  const shift = clz(difference);
  return writeNearest(
    address,
    sign,
    exponent - <i32>shift,
    (difference << shift) | ((rest >> 1) >> (63 - shift)),
    rest << shift,
  );
}

/** The high half of a * b. */
// @ts-ignore: decorator
@inline
export function highProduct(a: u64, b: u64): u64 {
  const aLow = a & LOW_HALF;
  const aHigh = a >> 32;
  const bLow = b & LOW_HALF;
  const bHigh = b >> 32;
  const middle = aHigh * bLow + ((aLow * bLow) >> 32);
  const cross = aLow * bHigh + (middle & LOW_HALF);
  return aHigh * bHigh + (middle >> 32) + (cross >> 32);
}

/** a * b into the register at `address`, as writeRounded. */
// @ts-ignore: decorator
@inline
export function multiplyNormals(address: usize, a: u64, aExponent: u32, b: u64, bExponent: u32): i32 {
  const high = highProduct(a, b);
  const low = a * b;
  const sign = (aExponent ^ bExponent) & SIGN;
  const exponent = <i32>(aExponent & EXPONENT) + <i32>(bExponent & EXPONENT) - BIAS;
  if (<i64>high < 0) return writeNearest(address, sign, exponent + 1, high, low);
  return writeNearest(address, sign, exponent, (high << 1) | (low >> 63), low << 1);
}
