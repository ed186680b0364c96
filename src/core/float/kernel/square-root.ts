import { INVALID } from "./exception-flags";
import { copyLeftToResult, KIND_FINITE, KIND_ZERO, Left, setResult } from "./number";
import { multiplyWide, Wide } from "./wide";

/** Square root of Left, which is not NaN. */
export function squareRoot(): i32 {
  if (Left.kind == KIND_ZERO) {
    copyLeftToResult();
    return 0;
  }
  if (Left.sign != 0) return INVALID;
  if (Left.kind != KIND_FINITE) {
    copyLeftToResult();
    return 0;
  }
  // The radicand is (high, low) / 2^126 with an even exponent: in [1, 4), so the root's top bit is bit 63.
  const odd = <u64>(Left.exponent & 1);
  const exponent = (Left.exponent - <i32>odd) >> 1;
  const high = Left.significand >> (1 - odd);
  const low = odd != 0 ? 0 : Left.significand << 63;
  const root = integerRoot(high, low);
  setResult(KIND_FINITE, 0, exponent, root, remainderFraction);
  return 0;
}

/** A word that compares with one half as the part of the root behind its last bit does. */
let remainderFraction: u64 = 0;

/** Floor of the square root of (high, low), whose top or second bit is set. */
function integerRoot(high: u64, low: u64): u64 {
  // The estimate from double precision is off by up to 2^12; one step of Newton's method brings it within a few units.
  const estimate = sqrt<f64>(<f64>high) * 4294967296.0;
  let root: u64 = estimate >= 18446744073709549568.0 ? 0xfffffffffffff800 : <u64>estimate;
  let squareHigh = multiplyWide(root, root);
  let squareLow = Wide.rest;
  let restLow = low - squareLow;
  let restHigh = <i64>(high - squareHigh) - (low < squareLow ? 1 : 0);
  const correction = <i64>((<f64>restHigh * 18446744073709551616.0 + <f64>restLow) / (2.0 * <f64>root));
  const corrected = root + <u64>correction;
  root = correction > 0 && corrected < root ? 0xffffffffffffffff : corrected;
  for (;;) {
    squareHigh = multiplyWide(root, root);
    squareLow = Wide.rest;
    restLow = low - squareLow;
    restHigh = <i64>(high - squareHigh) - (low < squareLow ? 1 : 0);
    if (restHigh < 0) root--;
    else if (restHigh > 1 || (restHigh == 1 && restLow > root << 1)) root++;
    else break;
  }
  if (restHigh == 0 && restLow == 0) remainderFraction = 0;
  else remainderFraction = restHigh > 0 || restLow > root ? 0xc000000000000000 : 0x4000000000000000;
  return root;
}
