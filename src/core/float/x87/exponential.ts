// F2XM1, FYL2X and FYL2XP1.
import { STATUS_OK } from "../../../layout/cpu-state";
import { DENORMAL, DIVIDE_BY_ZERO, INEXACT, INVALID, UNDERFLOW } from "../kernel/exception-flags";
import {
  KIND_FINITE,
  KIND_INFINITE,
  KIND_ZERO,
  Left,
  moveLeftToRight,
  Result,
  Right,
  setResult,
} from "../kernel/number";
import { unpackExtended } from "../kernel/unpack";
import { finishNaN1 } from "./arithmetic";
import { Chosen, needsNaN, pickNaN2 } from "./nan";
import {
  Acc,
  addAcc,
  divideAcc,
  Fixed,
  fractionOfAcc,
  multiplyAcc,
  multiplyByOddSeries,
  multiplySum,
  setAcc,
  setResultFromAcc,
  sumSeries,
} from "./precise";
import { EXPONENTIAL_HIGH, EXPONENTIAL_LOW, ODD_HIGH, ODD_LOW } from "./series-tables";
import {
  checkPending,
  clearC1,
  isEmpty,
  popStack,
  roundToRegister,
  setIndefinite,
  setRegister,
  signal,
  signalStackUnderflow,
  signExponentOf,
  significandOf,
  writeResult,
} from "./unit";

const TOP_BIT: u64 = 0x8000000000000000;
// ln 2 = this / 2^128; 2 / ln 2 = this / 2^126.
const LN2_HIGH: u64 = 0xb17217f7d1cf79ab;
const LN2_LOW: u64 = 0xc9e3b39803f2f6af;
const TWO_BY_LN2_HIGH: u64 = 0xb8aa3b295c17f0bb;
const TWO_BY_LN2_LOW: u64 = 0xbe87fed0691d3e89;
/** The square root of 2, with 63 fraction bits. */
const ROOT_OF_2: u64 = 0xb504f333f9de6484;

/** ST(0) = 2^ST(0) - 1 for |ST(0)| <= 1. A larger operand stays as it is, as on the processor. */
export function x87Exponential(): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  if (isEmpty(0)) {
    if (signalStackUnderflow()) setIndefinite(0);
    return STATUS_OK;
  }
  const significand = significandOf(0);
  const signExponent = signExponentOf(0);
  if (needsNaN(significand, signExponent)) {
    finishNaN1(significand, signExponent);
    return STATUS_OK;
  }
  clearC1();
  unpackExtended(significand, signExponent);
  if (Left.kind == KIND_ZERO) return STATUS_OK;
  if (Left.kind == KIND_INFINITE) {
    if (Left.sign != 0) setRegister(0, TOP_BIT, 0xbfff);
    return STATUS_OK;
  }
  if (signal(Left.denormal ? DENORMAL : 0) != 0) return STATUS_OK;
  if (Left.exponent >= 0) {
    if (Left.exponent == 0 && Left.significand == TOP_BIT && Left.sign != 0) setRegister(0, TOP_BIT, 0xbffe);
    signal(INEXACT);
    return STATUS_OK;
  }
  setAcc(Left.sign, Left.exponent, Left.significand, 0);
  multiplyAcc(-1, LN2_HIGH, LN2_LOW);
  fractionOfAcc();
  sumSeries(EXPONENTIAL_HIGH, EXPONENTIAL_LOW, Fixed.high, Fixed.low, Acc.sign != 0);
  multiplySum(Fixed.high, Fixed.low);
  setResultFromAcc();
  signal(roundToRegister(64) | INEXACT);
  writeResult(0);
  return STATUS_OK;
}

/** Acc = log2 of (high, low) / 2^127 * 2^exponent. Returns whether that is exact. */
function logarithm(exponent: i32, high: u64, low: u64): bool {
  if (high == TOP_BIT && low == 0) {
    setInteger(exponent);
    return true;
  }
  let power = exponent;
  // m is in sqrt(1/2) .. sqrt(2); the series is for (m - 1) / (m + 1).
  let divisorHigh: u64;
  let divisorLow: u64;
  if (high > ROOT_OF_2) {
    power++;
    const restLow = 0 - low;
    setAcc(1, -1, 0 - high - (low != 0 ? 1 : 0), restLow);
    divisorHigh = (high >> 2) + 0x4000000000000000;
    divisorLow = (low >> 2) | (high << 62);
  } else {
    setAcc(0, 0, high - TOP_BIT, low);
    divisorHigh = (high >> 1) + 0x4000000000000000;
    divisorLow = (low >> 1) | (high << 63);
  }
  divideByFixed(divisorHigh, divisorLow);
  multiplyByOddSeries(ODD_HIGH, ODD_LOW, false);
  multiplyAcc(1, TWO_BY_LN2_HIGH, TWO_BY_LN2_LOW);
  if (power == 0) return false;
  const sign = Acc.sign;
  const fraction = Acc.exponent;
  const fractionHigh = Acc.high;
  const fractionLow = Acc.low;
  setInteger(power);
  addAcc(sign, fraction, fractionHigh, fractionLow);
  return false;
}

function setInteger(value: i32): void {
  setAcc(value < 0 ? 1 : 0, 63, <u64>abs<i32>(value), 0);
}

/** Acc /= a number in 1 .. 4 with 126 fraction bits. */
function divideByFixed(high: u64, low: u64): void {
  if (<i64>high < 0) divideAcc(1, high, low);
  else divideAcc(0, (high << 1) | (low >> 63), low << 1);
}

/** Acc = log2(1 + Left); Left > -1. */
function logarithmOfSuccessor(): bool {
  const sign = Left.sign;
  const exponent = Left.exponent;
  const significand = Left.significand;
  if (exponent >= -2) {
    setAcc(sign, exponent, significand, 0);
    addAcc(0, 0, TOP_BIT, 0);
    return logarithm(Acc.exponent, Acc.high, Acc.low);
  }
  // x / (2 + x) without loss for a small x.
  setAcc(sign, exponent, significand, 0);
  addAcc(0, 1, TOP_BIT, 0);
  const sumExponent = Acc.exponent;
  const sumHigh = Acc.high;
  const sumLow = Acc.low;
  setAcc(sign, exponent, significand, 0);
  divideAcc(sumExponent, sumHigh, sumLow);
  multiplyByOddSeries(ODD_HIGH, ODD_LOW, false);
  multiplyAcc(1, TWO_BY_LN2_HIGH, TWO_BY_LN2_LOW);
  return false;
}

/** FYL2X (`successor` 0): ST(1) = ST(1) * log2 ST(0), pop. FYL2XP1 (1): ST(1) * log2(ST(0) + 1). */
export function x87Logarithm(successor: i32): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  if (isEmpty(0) || isEmpty(1)) {
    if (signalStackUnderflow()) {
      setIndefinite(1);
      popStack(1);
    }
    return STATUS_OK;
  }
  clearC1();
  if (needsNaN(significandOf(0), signExponentOf(0)) || needsNaN(significandOf(1), signExponentOf(1))) {
    const raised = pickNaN2(significandOf(0), signExponentOf(0), significandOf(1), signExponentOf(1));
    if (signal(raised) != 0) return STATUS_OK;
    setRegister(1, Chosen.significand, Chosen.signExponent);
    popStack(1);
    return STATUS_OK;
  }
  unpackExtended(significandOf(1), signExponentOf(1));
  moveLeftToRight();
  unpackExtended(significandOf(0), signExponentOf(0));
  const found = successor != 0 ? successorProduct() : product();
  if (found & INVALID) {
    if (signal(INVALID) != 0) return STATUS_OK;
    setIndefinite(1);
    popStack(1);
    return STATUS_OK;
  }
  if (signal(found & ~INEXACT) != 0) return STATUS_OK;
  signal(roundToRegister(64) | (found & INEXACT) | tinyFlag(found));
  writeResult(1);
  popStack(1);
  return STATUS_OK;
}

/** The processor takes every computed logarithm for inexact, so a denormal one is an underflow even where it is exact. */
function tinyFlag(found: i32): i32 {
  return found & INEXACT && Result.kind == KIND_FINITE && <i64>Result.high >= 0 ? UNDERFLOW : 0;
}

/** Right * a signed zero or infinity of the logarithm; Right is the factor. */
function specialProduct(kind: i32, sign: i32): i32 {
  if (kind == KIND_INFINITE ? Right.kind == KIND_ZERO : Right.kind == KIND_INFINITE) return INVALID;
  setResult(kind, sign ^ Right.sign, 0, 0, 0);
  return 0;
}

function denormalFlag(): i32 {
  return (Left.kind == KIND_FINITE && Left.denormal) || (Right.kind == KIND_FINITE && Right.denormal)
    ? DENORMAL
    : 0;
}

/** Right * log2 Left in `Result`. */
function product(): i32 {
  const denormal = denormalFlag();
  if (Left.kind == KIND_ZERO) {
    if (Right.kind == KIND_ZERO) return INVALID;
    setResult(KIND_INFINITE, Right.sign ^ 1, 0, 0, 0);
    return Right.kind == KIND_INFINITE ? 0 : DIVIDE_BY_ZERO;
  }
  if (Left.sign != 0) return INVALID;
  if (Left.kind == KIND_INFINITE) {
    const found = specialProduct(KIND_INFINITE, 0);
    return found != 0 ? found : denormal;
  }
  if (Left.exponent == 0 && Left.significand == TOP_BIT) {
    const found = specialProduct(KIND_ZERO, 0);
    return found != 0 ? found : denormal;
  }
  const negative = Left.exponent < 0 ? 1 : 0;
  if (Right.kind != KIND_FINITE) {
    setResult(Right.kind, Right.sign ^ negative, 0, 0, 0);
    return denormal;
  }
  const exact = logarithm(Left.exponent, Left.significand, 0);
  multiplyByFactor(exact);
  return denormal | INEXACT;
}

/** Right * log2(1 + Left) in `Result`. */
function successorProduct(): i32 {
  const denormal = denormalFlag();
  if (Left.kind == KIND_INFINITE && Left.sign != 0) return INVALID;
  if (Left.kind != KIND_FINITE) {
    const found = specialProduct(Left.kind, Left.sign);
    return found != 0 ? found : denormal;
  }
  if (Right.kind != KIND_FINITE) {
    setResult(Right.kind, Right.sign ^ Left.sign, 0, 0, 0);
    return denormal;
  }
  if (Left.sign != 0 && Left.exponent >= 0) {
    // Outside of the domain: the operand, as on the processor.
    setResult(KIND_FINITE, Left.sign, Left.exponent, Left.significand, 0);
    return denormal | INEXACT;
  }
  const exact = logarithmOfSuccessor();
  multiplyByFactor(exact);
  return denormal | INEXACT;
}

function multiplyByFactor(exact: bool): void {
  const sign = Acc.sign ^ Right.sign;
  multiplyAcc(Right.exponent, Right.significand, 0);
  Acc.sign = sign;
  if (exact) setResult(KIND_FINITE, Acc.sign, Acc.exponent, Acc.high, Acc.low);
  else setResultFromAcc();
}
