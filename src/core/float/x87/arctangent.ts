// FPATAN.
import { STATUS_OK } from "../../../layout/cpu-state";
import { DENORMAL, INEXACT } from "../kernel/exception-flags";
import {
  KIND_FINITE,
  KIND_INFINITE,
  KIND_ZERO,
  Left,
  moveLeftToRight,
  Right,
  setResult,
} from "../kernel/number";
import { unpackExtended } from "../kernel/unpack";
import { Chosen, needsNaN, pickNaN2 } from "./nan";
import {
  Acc,
  addAcc,
  divideAcc,
  multiplyAcc,
  multiplyByOddSeries,
  setAcc,
  setResultFromAcc,
} from "./precise";
import { ARCTANGENT_HIGH, ARCTANGENT_LOW, ODD_HIGH, ODD_LOW } from "./series-tables";
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
// The significand of pi.
const PI_HIGH: u64 = 0xc90fdaa22168c234;
const PI_LOW: u64 = 0xc4c6628b80dc1cd1;
const THREE_QUARTERS_PI_HIGH: u64 = 0x96cbe3f9990e91a7;
const THREE_QUARTERS_PI_LOW: u64 = 0x9394c9e8a0a5159c;

/** ST(1) = the angle of the point (ST(0), ST(1)), pop. */
export function x87Arctangent(): i32 {
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
  unpackExtended(significandOf(0), signExponentOf(0));
  moveLeftToRight();
  unpackExtended(significandOf(1), signExponentOf(1));
  const denormal =
    (Left.kind == KIND_FINITE && Left.denormal) || (Right.kind == KIND_FINITE && Right.denormal);
  if (signal(denormal ? DENORMAL : 0) != 0) return STATUS_OK;
  let raised = INEXACT;
  if (Left.kind == KIND_FINITE && Right.kind == KIND_FINITE) angle();
  else raised = specialAngle();
  signal(roundToRegister(64) | raised);
  writeResult(1);
  popStack(1);
  return STATUS_OK;
}

/** Zeros and infinities: multiples of pi / 4, or zero, which is exact. */
function specialAngle(): i32 {
  const sign = Left.sign;
  if (Left.kind == KIND_INFINITE && Right.kind == KIND_INFINITE) {
    if (Right.sign == 0) setResult(KIND_FINITE, sign, -1, PI_HIGH, PI_LOW);
    else setResult(KIND_FINITE, sign, 1, THREE_QUARTERS_PI_HIGH, THREE_QUARTERS_PI_LOW);
  } else if (Left.kind == KIND_INFINITE || (Right.kind == KIND_ZERO && Left.kind != KIND_ZERO)) {
    setResult(KIND_FINITE, sign, 0, PI_HIGH, PI_LOW);
  } else if (Right.sign != 0) {
    setResult(KIND_FINITE, sign, 1, PI_HIGH, PI_LOW);
  } else {
    setResult(KIND_ZERO, sign, 0, 0, 0);
    return 0;
  }
  return INEXACT;
}

/** The angle of (Right, Left), both finite and not zero. */
function angle(): void {
  const steep =
    Left.exponent > Right.exponent ||
    (Left.exponent == Right.exponent && Left.significand > Right.significand);
  if (steep) {
    setAcc(0, Right.exponent, Right.significand, 0);
    divideAcc(Left.exponent, Left.significand, 0);
  } else {
    setAcc(0, Left.exponent, Left.significand, 0);
    divideAcc(Right.exponent, Right.significand, 0);
  }
  arctangent();
  if (steep) {
    Acc.sign = 1;
    addAcc(0, 0, PI_HIGH, PI_LOW);
  }
  if (Right.sign != 0) {
    Acc.sign = 1;
    addAcc(0, 1, PI_HIGH, PI_LOW);
  }
  Acc.sign = Left.sign;
  setResultFromAcc();
}

/** Acc = atan Acc for 0 < Acc <= 1: by the series around the nearest multiple of 1/8. */
function arctangent(): void {
  const eighths = nearestEighth();
  if (eighths == 0) {
    multiplyByOddSeries(ODD_HIGH, ODD_LOW, true);
    return;
  }
  // u = (t - c) / (1 + t * c), atan t = atan c + atan u
  const exponent = Acc.exponent;
  const high = Acc.high;
  const low = Acc.low;
  const shift = <i32>clz(<u64>eighths);
  const centre = (<u64>eighths) << (<u64>shift);
  const centreExponent = 60 - shift;
  multiplyAcc(centreExponent, centre, 0);
  addAcc(0, 0, TOP_BIT, 0);
  const divisorExponent = Acc.exponent;
  const divisorHigh = Acc.high;
  const divisorLow = Acc.low;
  setAcc(0, exponent, high, low);
  addAcc(1, centreExponent, centre, 0);
  if ((Acc.high | Acc.low) != 0) {
    divideAcc(divisorExponent, divisorHigh, divisorLow);
    multiplyByOddSeries(ODD_HIGH, ODD_LOW, true);
  } else {
    setAcc(0, -200, TOP_BIT, 0);
  }
  const sign = Acc.sign;
  const restExponent = Acc.exponent;
  const restHigh = Acc.high;
  const restLow = Acc.low;
  setAcc(0, 0, unchecked(ARCTANGENT_HIGH[eighths]), unchecked(ARCTANGENT_LOW[eighths]));
  addAcc(sign, restExponent, restHigh, restLow);
}

/** 8 * Acc rounded to an integer. */
function nearestEighth(): i32 {
  if (Acc.exponent < -4) return 0;
  return <i32>(((Acc.high >> <u64>(59 - Acc.exponent)) + 1) >> 1);
}
