import { DIVIDE_BY_ZERO, INVALID } from "./exception-flags";
import { KIND_FINITE, KIND_INFINITE, KIND_ZERO, Left, Right, setResult } from "./number";
import { divideWide, Wide } from "./wide";

/** Left / Right for operands that are not NaN. */
export function divide(): i32 {
  const sign = Left.sign ^ Right.sign;
  if (Left.kind == KIND_INFINITE) {
    if (Right.kind == KIND_INFINITE) return INVALID;
    setResult(KIND_INFINITE, sign, 0, 0, 0);
    return 0;
  }
  if (Right.kind == KIND_INFINITE) {
    setResult(KIND_ZERO, sign, 0, 0, 0);
    return 0;
  }
  if (Right.kind == KIND_ZERO) {
    if (Left.kind == KIND_ZERO) return INVALID;
    setResult(KIND_INFINITE, sign, 0, 0, 0);
    return DIVIDE_BY_ZERO;
  }
  if (Left.kind == KIND_ZERO) {
    setResult(KIND_ZERO, sign, 0, 0, 0);
    return 0;
  }
  const divisor = Right.significand;
  const exponent = Left.exponent - Right.exponent;
  if (Left.significand >= divisor) {
    const quotient = divideWide(Left.significand >> 1, Left.significand << 63, divisor);
    setResult(KIND_FINITE, sign, exponent, quotient, fractionOfRemainder(divisor));
  } else {
    const quotient = divideWide(Left.significand, 0, divisor);
    setResult(KIND_FINITE, sign, exponent - 1, quotient, fractionOfRemainder(divisor));
  }
  return 0;
}

/** A word that compares with one half as remainder / divisor does. */
function fractionOfRemainder(divisor: u64): u64 {
  const rest = Wide.rest;
  if (rest == 0) return 0;
  const missing = divisor - rest;
  if (rest > missing) return 0xc000000000000000;
  return rest == missing ? 0x8000000000000000 : 0x4000000000000000;
}
