// Rounding of `Result` to the precision and the exponent range of a format.
import { INEXACT, OVERFLOW, ROUND_DOWN, ROUND_NEAREST, ROUND_UP, UNDERFLOW } from "./exception-flags";
import { KIND_FINITE, KIND_INFINITE, KIND_ZERO, Result } from "./number";

const TOP_BIT: u64 = 0x8000000000000000;

/** What an unmasked overflow or underflow adds to or takes from the exponent of an extended result. */
export const EXPONENT_ADJUSTMENT: i32 = 24576;

export class Rounded {
  static significand: u64 = 0;
  /** 1 when rounding carried out of bit 63; `significand` is then 2^63. */
  static carry: i32 = 0;
  static up: i32 = 0;
}

/** Rounds (high, low) to the upper `precision` bits of `high`. Returns whether that was inexact. */
export function roundSignificand(high: u64, low: u64, precision: i32, mode: i32, sign: i32): bool {
  let rest: u64;
  let kept = high;
  let unit: u64 = 1;
  if (precision == 64) {
    rest = low;
  } else {
    const dropped = <u64>(64 - precision);
    unit = (<u64>1) << dropped;
    rest = (high << (<u64>precision)) | (low != 0 ? 1 : 0);
    kept = high & (0 - unit);
  }
  Rounded.carry = 0;
  Rounded.up = 0;
  Rounded.significand = kept;
  if (rest == 0) return false;
  let up: bool;
  if (mode == ROUND_NEAREST) up = rest > TOP_BIT || (rest == TOP_BIT && (kept & unit) != 0);
  else if (mode == ROUND_DOWN) up = sign != 0;
  else up = mode == ROUND_UP && sign == 0;
  if (up) {
    Rounded.up = 1;
    const sum = kept + unit;
    if (sum == 0) {
      Rounded.carry = 1;
      Rounded.significand = TOP_BIT;
    } else {
      Rounded.significand = sum;
    }
  }
  return true;
}

/** Shifts the significand of `Result` right and keeps in bit 0 whether anything was lost. */
export function shiftResultRight(count: i32): void {
  const high = Result.high;
  const low = Result.low;
  if (count == 0) return;
  if (count < 64) {
    const n = <u64>count;
    Result.low = (low >> n) | (high << (64 - n)) | (low << (64 - n) != 0 ? 1 : 0);
    Result.high = high >> n;
  } else if (count == 64) {
    Result.low = high | (low != 0 ? 1 : 0);
    Result.high = 0;
  } else if (count < 128) {
    const n = <u64>(count - 64);
    Result.low = (high >> n) | (high << (64 - n) != 0 || low != 0 ? 1 : 0);
    Result.high = 0;
  } else {
    Result.low = (high | low) != 0 ? 1 : 0;
    Result.high = 0;
  }
}

/**
 * Rounds a finite `Result` and returns the exceptions that this raises.
 * Tininess is detected after rounding. `unmasked` selects the responses to
 * overflow and underflow that bring the exponent back into range.
 */
export function roundResult(
  precision: i32,
  minimum: i32,
  maximum: i32,
  mode: i32,
  unmasked: i32,
  flushToZero: bool,
): i32 {
  if (Result.kind != KIND_FINITE) return 0;
  const inexact = roundSignificand(Result.high, Result.low, precision, mode, Result.sign);
  const exponent = Result.exponent + Rounded.carry;
  if (exponent < minimum) return roundTiny(precision, minimum, mode, unmasked, flushToZero, inexact);
  if (exponent > maximum) return roundHuge(precision, maximum, mode, unmasked, inexact);
  Result.exponent = exponent;
  Result.high = Rounded.significand;
  Result.roundedUp = Rounded.up;
  return inexact ? INEXACT : 0;
}

function roundTiny(
  precision: i32,
  minimum: i32,
  mode: i32,
  unmasked: i32,
  flushToZero: bool,
  inexact: bool,
): i32 {
  if (unmasked & UNDERFLOW) {
    Result.exponent += Rounded.carry + EXPONENT_ADJUSTMENT;
    Result.high = Rounded.significand;
    Result.roundedUp = Rounded.up;
    return inexact ? UNDERFLOW | INEXACT : UNDERFLOW;
  }
  if (flushToZero) {
    Result.kind = KIND_ZERO;
    return UNDERFLOW | INEXACT;
  }
  shiftResultRight(minimum - Result.exponent);
  const lost = roundSignificand(Result.high, Result.low, precision, mode, Result.sign);
  Result.exponent = minimum;
  Result.high = Rounded.significand;
  Result.roundedUp = Rounded.up;
  if (Rounded.significand == 0) Result.kind = KIND_ZERO;
  return lost ? UNDERFLOW | INEXACT : 0;
}

function roundHuge(precision: i32, maximum: i32, mode: i32, unmasked: i32, inexact: bool): i32 {
  if (unmasked & OVERFLOW) {
    Result.exponent += Rounded.carry - EXPONENT_ADJUSTMENT;
    Result.high = Rounded.significand;
    Result.roundedUp = Rounded.up;
    return inexact ? OVERFLOW | INEXACT : OVERFLOW;
  }
  const away =
    mode == ROUND_NEAREST ||
    (mode == ROUND_DOWN && Result.sign != 0) ||
    (mode == ROUND_UP && Result.sign == 0);
  if (away) {
    Result.kind = KIND_INFINITE;
    Result.roundedUp = 1;
  } else {
    Result.exponent = maximum;
    Result.high = (<u64>-1) << (<u64>(64 - precision));
  }
  return OVERFLOW | INEXACT;
}
