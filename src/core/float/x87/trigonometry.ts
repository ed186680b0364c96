// FSIN, FCOS, FSINCOS and FPTAN.
import { STATUS_OK } from "../../../layout/cpu-state";
import { DENORMAL, INEXACT, INVALID } from "../kernel/exception-flags";
import { KIND_INFINITE, KIND_ZERO, Left, Result } from "../kernel/number";
import { packExtendedExponent, packExtendedSignificand } from "../kernel/pack";
import { unpackExtended } from "../kernel/unpack";
import { push } from "./load";
import { Chosen, needsNaN, pickNaN1 } from "./nan";
import {
  Acc,
  divideAcc,
  Fixed,
  fractionOfAcc,
  multiplyByOddSeries,
  multiplyFixed,
  setAcc,
  setResultFromAcc,
  sumSeries,
} from "./precise";
import { COSINE_HIGH, COSINE_LOW, SINE_HIGH, SINE_LOW } from "./series-tables";
import {
  C2,
  checkPending,
  clearC1,
  isEmpty,
  roundToRegister,
  setC1,
  setIndefinite,
  setRegister,
  setStatusWord,
  setTop,
  signal,
  signalStackOverflow,
  signalStackUnderflow,
  signExponentOf,
  significandOf,
  statusWord,
  top,
} from "./unit";

const TOP_BIT: u64 = 0x8000000000000000;
const ONE_EXPONENT: u32 = 0x3fff;

// Half of pi as the processor has it: 66 significant bits, this / 2^67. Its error shows near multiples of pi.
const HALF_PI_HIGH: u64 = 0xc;
const HALF_PI_LOW: u64 = 0x90fdaa22168c234c;
/** The largest significand at exponent -1 that is below pi / 4. */
const QUARTER_PI: u64 = 0xc90fdaa22168c234;

/** `Left` less the nearest multiple of pi / 2: the sign aside, what remains, and the multiple modulo 4. */
class Reduced {
  static sign: i32 = 0;
  static exponent: i32 = 0;
  static high: u64 = 0;
  static low: u64 = 0;
  static quadrant: i32 = 0;
}

function reduce(): void {
  Reduced.quadrant = 0;
  if (Left.exponent < -1 || (Left.exponent == -1 && Left.significand <= QUARTER_PI)) {
    setAcc(0, Left.exponent, Left.significand, 0);
  } else {
    reduceLarge();
  }
  Reduced.sign = Acc.sign;
  Reduced.exponent = Acc.exponent;
  Reduced.high = Acc.high;
  Reduced.low = Acc.low;
}

/** In units of 2^-67, one bit of the quotient after the other. */
function reduceLarge(): void {
  let high: u64 = 0;
  let low = Left.significand;
  let quotient = 0;
  for (let n = Left.exponent + 4; n > 0; n--) {
    high = (high << 1) | (low >> 63);
    low <<= 1;
    quotient <<= 1;
    if (high > HALF_PI_HIGH || (high == HALF_PI_HIGH && low >= HALF_PI_LOW)) {
      high = high - HALF_PI_HIGH - (low < HALF_PI_LOW ? 1 : 0);
      low -= HALF_PI_LOW;
      quotient |= 1;
    }
  }
  let sign = 0;
  const restHigh = HALF_PI_HIGH - high - (HALF_PI_LOW < low ? 1 : 0);
  const restLow = HALF_PI_LOW - low;
  if (high > restHigh || (high == restHigh && low > restLow)) {
    high = restHigh;
    low = restLow;
    quotient++;
    sign = 1;
  }
  Reduced.quadrant = quotient & 3;
  setAcc(sign, 60, high, low);
}

/** Acc = the sine of what remains. */
function sineOfRest(): void {
  setAcc(Reduced.sign, Reduced.exponent, Reduced.high, Reduced.low);
  multiplyByOddSeries(SINE_HIGH, SINE_LOW, true);
}

/** Acc = the cosine of what remains. */
function cosineOfRest(): void {
  setAcc(0, Reduced.exponent, Reduced.high, Reduced.low);
  fractionOfAcc();
  multiplyFixed(Fixed.high, Fixed.low, Fixed.high, Fixed.low);
  sumSeries(COSINE_HIGH, COSINE_LOW, Fixed.high, Fixed.low, true);
  setAcc(0, 0, Fixed.high, Fixed.low);
}

/** Acc = sine of |Left| (`shift` 0) or cosine (1), after `reduce`. */
function sineOrCosine(shift: i32): void {
  const quadrant = (Reduced.quadrant + shift) & 3;
  if (quadrant & 1) cosineOfRest();
  else sineOfRest();
  Acc.sign ^= quadrant >> 1;
}

/** Acc = tangent of |Left|, after `reduce`. */
function tangent(): void {
  cosineOfRest();
  const exponent = Acc.exponent;
  const high = Acc.high;
  const low = Acc.low;
  sineOfRest();
  if (Reduced.quadrant & 1) {
    const sign = Acc.sign ^ 1;
    const sineExponent = Acc.exponent;
    const sineHigh = Acc.high;
    const sineLow = Acc.low;
    setAcc(sign, exponent, high, low);
    divideAcc(sineExponent, sineHigh, sineLow);
  } else {
    divideAcc(exponent, high, low);
  }
}

/** Rounds Acc, signals, and leaves the packed value in `Result`. */
function roundAcc(): void {
  setResultFromAcc();
  signal(roundToRegister(64) | INEXACT);
}

function setC2(value: i32): void {
  setStatusWord((statusWord() & ~C2) | (value != 0 ? C2 : 0));
}

/**
 * What all four begin with. Returns whether the operand is finite, not zero, in
 * range, and to be computed on; everything else is finished here.
 * `pushes`: the instruction pushes a second result: FPTAN 1, FSINCOS 2.
 */
function begin(pushes: i32, zeroResultIsOne: bool): bool {
  setC2(0);
  if (isEmpty(0)) {
    if (signalStackUnderflow()) {
      setIndefinite(0);
      if (pushes != 0) pushIndefinite();
    }
    return false;
  }
  if (pushes != 0 && !isEmpty(7)) {
    if (signalStackOverflow()) {
      setIndefinite(0);
      pushIndefinite();
    }
    return false;
  }
  clearC1();
  const significand = significandOf(0);
  const signExponent = signExponentOf(0);
  if (needsNaN(significand, signExponent)) {
    if (signal(pickNaN1(significand, signExponent)) != 0) return false;
    setRegister(0, Chosen.significand, Chosen.signExponent);
    if (pushes != 0) push(Chosen.significand, Chosen.signExponent);
    return false;
  }
  unpackExtended(significand, signExponent);
  if (Left.kind == KIND_INFINITE) {
    if (signal(INVALID) != 0) return false;
    setIndefinite(0);
    if (pushes != 0) pushIndefinite();
    return false;
  }
  if (Left.kind == KIND_ZERO) {
    if (zeroResultIsOne) setRegister(0, TOP_BIT, ONE_EXPONENT);
    if (pushes != 0) push(TOP_BIT, ONE_EXPONENT);
    return false;
  }
  if (Left.exponent >= 63) {
    setC2(1);
    return false;
  }
  return signal(Left.denormal ? DENORMAL : 0) == 0;
}

function pushIndefinite(): void {
  setTop(top() - 1);
  setIndefinite(0);
}

/** FSIN */
export function x87Sine(): i32 {
  const status = checkPending();
  if (status != STATUS_OK || !begin(0, false)) return status;
  const sign = Left.sign;
  reduce();
  sineOrCosine(0);
  Acc.sign ^= sign;
  roundAcc();
  setC1(Result.roundedUp);
  setRegister(0, packExtendedSignificand(), packExtendedExponent());
  return STATUS_OK;
}

/** FCOS */
export function x87Cosine(): i32 {
  const status = checkPending();
  if (status != STATUS_OK || !begin(0, true)) return status;
  reduce();
  sineOrCosine(1);
  roundAcc();
  setC1(Result.roundedUp);
  setRegister(0, packExtendedSignificand(), packExtendedExponent());
  return STATUS_OK;
}

/** FSINCOS: the sine replaces ST(0), then the cosine is pushed. */
export function x87SineCosine(): i32 {
  const status = checkPending();
  if (status != STATUS_OK || !begin(2, false)) return status;
  const sign = Left.sign;
  reduce();
  sineOrCosine(0);
  Acc.sign ^= sign;
  roundAcc();
  setRegister(0, packExtendedSignificand(), packExtendedExponent());
  sineOrCosine(1);
  roundAcc();
  push(packExtendedSignificand(), packExtendedExponent());
  setC1(Result.roundedUp);
  return STATUS_OK;
}

/** FPTAN: the tangent replaces ST(0), then 1 is pushed. */
export function x87Tangent(): i32 {
  const status = checkPending();
  if (status != STATUS_OK || !begin(1, false)) return status;
  const sign = Left.sign;
  reduce();
  tangent();
  Acc.sign ^= sign;
  roundAcc();
  setRegister(0, packExtendedSignificand(), packExtendedExponent());
  push(TOP_BIT, ONE_EXPONENT);
  setC1(Result.roundedUp);
  return STATUS_OK;
}
