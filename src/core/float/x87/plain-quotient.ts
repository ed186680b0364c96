// FDIV and FSQRT of normal numbers with a normal result, as plain.ts has it: an estimate in binary64, good to 2^-50,
// and one exact remainder that corrects it. The correction is rounded to the nearest integer, which rounds the result.
// No quotient and no root lies halfway between two numbers of 64 bits, and a correction that comes too near to one half
// to be sure of is left to the general functions.
import { highProduct, NOT_DONE, SIGN, writeRounded } from "./plain";

const EXPONENT: u32 = 0x7fff;
const BIAS: i32 = 16383;
/** A fraction of a unit, less than one half by more than the error of a correction. */
const SURE: f64 = 0.4999;
const BELOW_TWO: f64 = 1.9999999999999998;
const TWO_TO_62: f64 = 4611686018427387904.0;

/** `ratio`, from 1 to 2, as a significand. */
// @ts-ignore: decorator
@inline
function significandOf(ratio: f64): u64 {
  return (<u64>(<i64>(min(ratio, BELOW_TWO) * TWO_TO_62))) << 1;
}

/** a / b into the register at `address`, as writeRounded. */
// @ts-ignore: decorator
@inline
export function divideNormals(address: usize, a: u64, aExponent: u32, b: u64, bExponent: u32): i32 {
  // Halves: a conversion from i64 is cheaper than one from u64.
  const inverse = 1.0 / <f64>(<i64>(b >> 1));
  const ratio = <f64>(<i64>(a >> 1)) * inverse;
  const less = <u64>(a < b);
  const estimate = significandOf(less != 0 ? ratio + ratio : ratio);
  const product = estimate * b;
  const dividendLow = (a << 63) * (1 - less);
  const restLow = dividendLow - product;
  const restHigh = (a >> (1 - less)) - highProduct(estimate, b) - <u64>(dividendLow < product);
  // restHigh is below 2^14 either way.
  const exact = <f64>(<i64>((restHigh << 48) | (restLow >> 16))) * inverse * 32768.0;
  const correction = nearest(exact);
  if (abs(exact - correction) > SURE) return NOT_DONE;
  const step = <u64>(<i64>correction);
  const rest = restLow - step * b;
  return writeRounded(
    address,
    (aExponent ^ bExponent) & SIGN,
    <i32>(aExponent & EXPONENT) - <i32>(bExponent & EXPONENT) + BIAS - <i32>less,
    estimate + step,
    <i32>(rest != 0),
    <i32>(<i64>rest < 0),
  );
}

/** The root of a positive number, into the register at `address`, as writeRounded. */
// @ts-ignore: decorator
@inline
export function rootOfNormal(address: usize, a: u64, exponent: u32): i32 {
  // The radicand is (high, low) / 2^126 with an even exponent. The bias is odd.
  const even = <u64>(~exponent & 1);
  const high = a >> (1 - even);
  const low = (a << 63) * (1 - even);
  const root = sqrt(<f64>(<i64>(high >> 1)) * (0.5 / 1152921504606846976.0));
  const estimate = significandOf(root);
  const square = estimate * estimate;
  const restLow = low - square;
  const restHigh = high - highProduct(estimate, estimate) - <u64>(low < square);
  const exact = (<f64>(<i64>((restHigh << 48) | (restLow >> 16))) * (1.0 / 281474976710656.0)) / root;
  const correction = nearest(exact);
  const fraction = exact - correction;
  if (abs(fraction) > SURE) return NOT_DONE;
  const step = <u64>(<i64>correction);
  const rest = restLow - step * (estimate + estimate + step);
  // Up to a quarter the remainder fits into 64 bits with its sign; from there on the fraction has its sign for certain.
  const up = abs(fraction) < 0.25 ? <i64>rest < 0 : fraction < 0.0;
  return writeRounded(
    address,
    0,
    ((<i32>exponent - BIAS - <i32>even) >> 1) + BIAS,
    estimate + step,
    <i32>(rest != 0),
    <i32>up,
  );
}
