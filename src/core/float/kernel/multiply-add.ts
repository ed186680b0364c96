import { INVALID, ROUND_DOWN } from "./exception-flags";
import { KIND_FINITE, KIND_INFINITE, KIND_ZERO, Left, Right, setResult } from "./number";
import { multiplyWide, Wide } from "./wide";

/** The number that is added to a product. */
export class Addend {
  static kind: i32 = 0;
  static sign: i32 = 0;
  static exponent: i32 = 0;
  static significand: u64 = 0;
  static denormal: i32 = 0;
}

export function moveLeftToAddend(): void {
  Addend.kind = Left.kind;
  Addend.sign = Left.sign;
  Addend.exponent = Left.exponent;
  Addend.significand = Left.significand;
  Addend.denormal = Left.denormal;
}

// The larger magnitude of the sum, and the smaller one moved to its exponent: 128 bits.
let high: u64 = 0;
let low: u64 = 0;
let otherHigh: u64 = 0;
let otherLow: u64 = 0;

/** Left * Right + Addend, exactly, for numbers that are not NaN. */
export function multiplyAdd(mode: i32): i32 {
  const sign = Left.sign ^ Right.sign;
  const infinite = Left.kind == KIND_INFINITE || Right.kind == KIND_INFINITE;
  if (infinite && (Left.kind == KIND_ZERO || Right.kind == KIND_ZERO)) return INVALID;
  if (infinite) {
    if (Addend.kind == KIND_INFINITE && Addend.sign != sign) return INVALID;
    setResult(KIND_INFINITE, sign, 0, 0, 0);
  } else if (Addend.kind == KIND_INFINITE) {
    setResult(KIND_INFINITE, Addend.sign, 0, 0, 0);
  } else if (Left.kind == KIND_ZERO || Right.kind == KIND_ZERO) {
    if (Addend.kind == KIND_ZERO) setResult(KIND_ZERO, Addend.sign == sign ? sign : zeroSign(mode), 0, 0, 0);
    else setResult(KIND_FINITE, Addend.sign, Addend.exponent, Addend.significand, 0);
  } else {
    addProduct(sign, mode);
  }
  return 0;
}

function zeroSign(mode: i32): i32 {
  return mode == ROUND_DOWN ? 1 : 0;
}

function addProduct(sign: i32, mode: i32): void {
  let productHigh = multiplyWide(Left.significand, Right.significand);
  let productLow = Wide.rest;
  let exponent = Left.exponent + Right.exponent + 1;
  if (<i64>productHigh >= 0) {
    productHigh = (productHigh << 1) | (productLow >> 63);
    productLow <<= 1;
    exponent--;
  }
  if (Addend.kind == KIND_ZERO) {
    setResult(KIND_FINITE, sign, exponent, productHigh, productLow);
    return;
  }
  const productIsLarger =
    exponent > Addend.exponent ||
    (exponent == Addend.exponent && (productHigh > Addend.significand || productHigh == Addend.significand));
  let larger = exponent;
  let resultSign = sign;
  if (productIsLarger) {
    high = productHigh;
    low = productLow;
    otherHigh = Addend.significand;
    otherLow = 0;
    align(exponent - Addend.exponent);
  } else {
    high = Addend.significand;
    low = 0;
    otherHigh = productHigh;
    otherLow = productLow;
    larger = Addend.exponent;
    resultSign = Addend.sign;
    align(Addend.exponent - exponent);
  }
  if (sign == Addend.sign) addMagnitudes(resultSign, larger);
  else subtractMagnitudes(resultSign, larger, mode);
}

/** Shifts the smaller number right; what is lost stays visible in its lowest bit. */
function align(distance: i32): void {
  if (distance == 0) return;
  if (distance >= 128) {
    otherHigh = 0;
    otherLow = 1;
    return;
  }
  let lost: u64 = 0;
  if (distance >= 64) {
    lost = otherLow;
    otherLow = otherHigh;
    otherHigh = 0;
  }
  const n = <u64>(distance & 63);
  if (n != 0) {
    lost |= otherLow << (64 - n);
    otherLow = (otherLow >> n) | (otherHigh << (64 - n));
    otherHigh >>= n;
  }
  if (lost != 0) otherLow |= 1;
}

function addMagnitudes(sign: i32, exponent: i32): void {
  const sumLow = low + otherLow;
  const carry: u64 = sumLow < low ? 1 : 0;
  const partial = high + otherHigh;
  const sumHigh = partial + carry;
  if (partial < high || sumHigh < partial) {
    const shifted = (sumLow >> 1) | (sumHigh << 63) | (sumLow & 1);
    setResult(KIND_FINITE, sign, exponent + 1, (sumHigh >> 1) | 0x8000000000000000, shifted);
  } else {
    setResult(KIND_FINITE, sign, exponent, sumHigh, sumLow);
  }
}

function subtractMagnitudes(sign: i32, exponent: i32, mode: i32): void {
  let restLow = low - otherLow;
  let restHigh = high - otherHigh - (low < otherLow ? 1 : 0);
  if ((restHigh | restLow) == 0) {
    setResult(KIND_ZERO, zeroSign(mode), 0, 0, 0);
    return;
  }
  let scale = exponent;
  if (restHigh == 0) {
    restHigh = restLow;
    restLow = 0;
    scale -= 64;
  }
  const shift = <u64>clz(restHigh);
  if (shift != 0) {
    restHigh = (restHigh << shift) | (restLow >> (64 - shift));
    restLow <<= shift;
  }
  setResult(KIND_FINITE, sign, scale - <i32>shift, restHigh, restLow);
}
