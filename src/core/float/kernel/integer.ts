// Rounding to integers.
import { INEXACT, INVALID } from "./exception-flags";
import { copyLeftToResult, KIND_FINITE, KIND_ZERO, Left, Result, setResult } from "./number";
import { Rounded, roundSignificand, shiftResultRight } from "./round";

export class Integer {
  static magnitude: u64 = 0;
  /** 1 when the rounded magnitude does not fit 64 bits. */
  static overflow: i32 = 0;
}

/** Rounds `Left`, which is finite or zero, to an integer in `Integer`. Returns INEXACT or 0. */
export function roundToInteger(mode: i32): i32 {
  copyLeftToResult();
  Integer.overflow = 0;
  if (Left.kind == KIND_ZERO) {
    Integer.magnitude = 0;
    return 0;
  }
  if (Left.exponent > 63) {
    Integer.overflow = 1;
    return 0;
  }
  shiftResultRight(63 - Left.exponent);
  const inexact = roundSignificand(Result.high, Result.low, 64, mode, Left.sign);
  Integer.magnitude = Rounded.significand;
  Integer.overflow = Rounded.carry;
  Result.roundedUp = Rounded.up;
  return inexact ? INEXACT : 0;
}

/**
 * `Left` as a signed integer of `bits` bits in two's complement in `Integer.magnitude`.
 * Out of range, infinite or NaN: INVALID and the integer indefinite, which is the most negative integer.
 */
export function toSigned(bits: i32, mode: i32): i32 {
  const limit: u64 = (<u64>1) << (<u64>(bits - 1));
  if (Left.kind == KIND_FINITE || Left.kind == KIND_ZERO) {
    const raised = roundToInteger(mode);
    const magnitude = Integer.magnitude;
    const fits = Left.sign != 0 ? magnitude <= limit : magnitude < limit;
    if (Integer.overflow == 0 && fits) {
      if (Left.sign != 0) Integer.magnitude = 0 - magnitude;
      return raised;
    }
  }
  Result.roundedUp = 0;
  Integer.magnitude = 0 - limit;
  return INVALID;
}

/** `Left` rounded to an integer of the same format in `Result`. */
export function roundInFormat(mode: i32): i32 {
  if (Left.kind != KIND_FINITE || Left.exponent >= 63) {
    copyLeftToResult();
    return 0;
  }
  const raised = roundToInteger(mode);
  const up = Result.roundedUp;
  const magnitude = Integer.magnitude;
  if (Integer.overflow != 0) {
    setResult(KIND_FINITE, Left.sign, 64, 0x8000000000000000, 0);
  } else if (magnitude == 0) {
    setResult(KIND_ZERO, Left.sign, 0, 0, 0);
  } else {
    const shift = clz(magnitude);
    setResult(KIND_FINITE, Left.sign, 63 - <i32>shift, magnitude << shift, 0);
  }
  Result.roundedUp = up;
  return raised;
}
