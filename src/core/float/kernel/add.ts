import { INVALID, ROUND_DOWN } from "./exception-flags";
import { KIND_FINITE, KIND_INFINITE, KIND_ZERO, Left, Right, setResult, swapOperands } from "./number";

/** Left + Right, or Left - Right when `subtract` is 1, for operands that are not NaN. */
export function add(subtract: i32, mode: i32): i32 {
  Right.sign ^= subtract;
  if (Left.kind == KIND_INFINITE) {
    if (Right.kind == KIND_INFINITE && Left.sign != Right.sign) return INVALID;
    setResult(KIND_INFINITE, Left.sign, 0, 0, 0);
  } else if (Right.kind == KIND_INFINITE) {
    setResult(KIND_INFINITE, Right.sign, 0, 0, 0);
  } else if (Right.kind == KIND_ZERO) {
    if (Left.kind == KIND_ZERO)
      setResult(KIND_ZERO, Left.sign == Right.sign ? Left.sign : zeroSign(mode), 0, 0, 0);
    else setResult(KIND_FINITE, Left.sign, Left.exponent, Left.significand, 0);
  } else if (Left.kind == KIND_ZERO) {
    setResult(KIND_FINITE, Right.sign, Right.exponent, Right.significand, 0);
  } else {
    addFinite(mode);
  }
  return 0;
}

/** The sign of an exact difference of equal numbers. */
function zeroSign(mode: i32): i32 {
  return mode == ROUND_DOWN ? 1 : 0;
}

function addFinite(mode: i32): void {
  if (
    Left.exponent < Right.exponent ||
    (Left.exponent == Right.exponent && Left.significand < Right.significand)
  )
    swapOperands();
  const distance = Left.exponent - Right.exponent;
  let high = Right.significand;
  let low: u64 = 0;
  if (distance >= 128) {
    high = 0;
    low = 1;
  } else if (distance > 64) {
    const n = <u64>(distance - 64);
    low = (high >> n) | (high << (64 - n) != 0 ? 1 : 0);
    high = 0;
  } else if (distance == 64) {
    low = high;
    high = 0;
  } else if (distance > 0) {
    const n = <u64>distance;
    low = high << (64 - n);
    high >>= n;
  }
  if (Left.sign == Right.sign) addMagnitudes(high, low);
  else subtractMagnitudes(high, low, mode);
}

function addMagnitudes(high: u64, low: u64): void {
  const sum = Left.significand + high;
  if (sum >= high) {
    setResult(KIND_FINITE, Left.sign, Left.exponent, sum, low);
  } else {
    const sticky: u64 = low & 1;
    setResult(
      KIND_FINITE,
      Left.sign,
      Left.exponent + 1,
      (sum >> 1) | 0x8000000000000000,
      (low >> 1) | (sum << 63) | sticky,
    );
  }
}

function subtractMagnitudes(high: u64, low: u64, mode: i32): void {
  let difference = Left.significand - high;
  let rest: u64 = 0;
  if (low != 0) {
    difference--;
    rest = 0 - low;
  }
  if (difference == 0 && rest == 0) {
    setResult(KIND_ZERO, zeroSign(mode), 0, 0, 0);
    return;
  }
  let exponent = Left.exponent;
  if (difference == 0) {
    difference = rest;
    rest = 0;
    exponent -= 64;
  }
  const shift = clz(difference);
  if (shift != 0) {
    difference = (difference << shift) | (rest >> (64 - shift));
    rest <<= shift;
    exponent -= <i32>shift;
  }
  setResult(KIND_FINITE, Left.sign, exponent, difference, rest);
}
