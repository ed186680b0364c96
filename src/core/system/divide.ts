// Division of 128 by 64 bits, and the upper half of 64 by 64 bit products.
// SDM 2 "DIV—Unsigned Divide", "IDIV—Signed Divide", "MUL—Unsigned Multiply", "IMUL—Signed Multiply".
import { STATUS_OK } from "../../layout/cpu-state";
import { raise, VECTOR_DE } from "../processor/faults";
import { RESULT, RESULT_SECOND } from "./results";

/** hi:lo / divisor, unsigned. STATUS_OK with quotient at RESULT and remainder at RESULT_SECOND, or #DE. */
export function divide128(hi: u64, lo: u64, divisor: u64): i32 {
  // The quotient fits in 64 bits just when hi < divisor; this refuses a zero divisor too.
  if (hi >= divisor) return raise(VECTOR_DE);
  divideWide(hi, lo, divisor);
  store<u64>(RESULT, wideQuotient);
  store<u64>(RESULT_SECOND, wideRemainder);
  return STATUS_OK;
}

/** hi:lo / divisor, signed, truncated toward zero; the remainder has the dividend's sign. Results as divide128. */
export function divideSigned128(hi: i64, lo: u64, divisor: i64): i32 {
  let high = <u64>hi;
  let low = lo;
  if (hi < 0) {
    low = 0 - lo;
    high = ~high + (lo == 0 ? 1 : 0);
  }
  const magnitude = divisor < 0 ? 0 - <u64>divisor : <u64>divisor;
  if (high >= magnitude) return raise(VECTOR_DE);
  divideWide(high, low, magnitude);
  const negative = (hi ^ divisor) < 0;
  const limit: u64 = negative ? 0x8000000000000000 : 0x7fffffffffffffff;
  if (wideQuotient > limit) return raise(VECTOR_DE);
  store<u64>(RESULT, negative ? 0 - wideQuotient : wideQuotient);
  store<u64>(RESULT_SECOND, hi < 0 ? 0 - wideRemainder : wideRemainder);
  return STATUS_OK;
}

/** Bits 127..64 of the unsigned product. */
export function multiplyHigh(a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff;
  const aHigh = a >> 32;
  const bLow = b & 0xffffffff;
  const bHigh = b >> 32;
  const middle = aHigh * bLow + ((aLow * bLow) >> 32);
  const carry = aLow * bHigh + (middle & 0xffffffff);
  return aHigh * bHigh + (middle >> 32) + (carry >> 32);
}

/** Bits 127..64 of the signed product. */
export function multiplyHighSigned(a: i64, b: i64): i64 {
  return <i64>multiplyHigh(<u64>a, <u64>b) - ((a >> 63) & b) - ((b >> 63) & a);
}

let wideQuotient: u64 = 0;
let wideRemainder: u64 = 0;

/** Schoolbook division in base 2^32; needs hi < divisor. Knuth, TAOCP Vol. 2, 4.3.1, Algorithm D, for two quotient digits. */
function divideWide(hi: u64, lo: u64, divisor: u64): void {
  if (hi == 0) {
    wideQuotient = lo / divisor;
    wideRemainder = lo % divisor;
    return;
  }
  // Normalised: the divisor's top bit is set, so that a digit's estimate is at most two too large.
  const shift = clz(divisor);
  const d = divisor << shift;
  const upper = shift == 0 ? hi : (hi << shift) | (lo >> (64 - shift));
  const lower = lo << shift;
  const first = quotientDigit(upper, lower >> 32, d);
  const rest = ((upper << 32) | (lower >> 32)) - first * d;
  const second = quotientDigit(rest, lower & 0xffffffff, d);
  wideQuotient = (first << 32) | second;
  wideRemainder = (((rest << 32) | (lower & 0xffffffff)) - second * d) >> shift;
}

/** (upper * 2^32 + digit) / d as one digit, where upper < d and d is normalised. */
function quotientDigit(upper: u64, digit: u64, d: u64): u64 {
  const dHigh = d >> 32;
  const dLow = d & 0xffffffff;
  let estimate = upper / dHigh;
  let left = upper % dHigh;
  while (estimate >> 32 != 0 || estimate * dLow > ((left << 32) | digit)) {
    estimate--;
    left += dHigh;
    if (left >> 32 != 0) break;
  }
  return estimate;
}
