import { INVALID } from "./exception-flags";
import { KIND_FINITE, KIND_INFINITE, KIND_ZERO, Left, Right, setResult } from "./number";
import { multiplyWide, Wide } from "./wide";

/** Left * Right for operands that are not NaN. */
export function multiply(): i32 {
  const sign = Left.sign ^ Right.sign;
  if (Left.kind == KIND_INFINITE || Right.kind == KIND_INFINITE) {
    if (Left.kind == KIND_ZERO || Right.kind == KIND_ZERO) return INVALID;
    setResult(KIND_INFINITE, sign, 0, 0, 0);
    return 0;
  }
  if (Left.kind == KIND_ZERO || Right.kind == KIND_ZERO) {
    setResult(KIND_ZERO, sign, 0, 0, 0);
    return 0;
  }
  const high = multiplyWide(Left.significand, Right.significand);
  const low = Wide.rest;
  const exponent = Left.exponent + Right.exponent;
  if (<i64>high < 0) setResult(KIND_FINITE, sign, exponent + 1, high, low);
  else setResult(KIND_FINITE, sign, exponent, (high << 1) | (low >> 63), low << 1);
  return 0;
}
