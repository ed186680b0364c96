// FSCALE and FXTRACT.
import { STATUS_OK } from "../../../layout/cpu-state";
import {
  BEFORE_COMPUTATION,
  DENORMAL,
  DIVIDE_BY_ZERO,
  INEXACT,
  INVALID,
  OVERFLOW,
  ROUND_TRUNCATE,
  UNDERFLOW,
} from "../kernel/exception-flags";
import { Integer, toSigned } from "../kernel/integer";
import {
  copyLeftToResult,
  KIND_FINITE,
  KIND_INFINITE,
  KIND_ZERO,
  Left,
  moveLeftToRight,
  Result,
  Right,
  setResult,
  swapOperands,
} from "../kernel/number";
import { packExtendedExponent, packExtendedSignificand } from "../kernel/pack";
import { EXPONENT_ADJUSTMENT } from "../kernel/round";
import { unpackExtended, unpackSigned } from "../kernel/unpack";
import { finish } from "./arithmetic";
import { push } from "./load";
import { Chosen, needsNaN, pickNaN2 } from "./nan";
import {
  checkPending,
  clearC1,
  isEmpty,
  setIndefinite,
  setRegister,
  setTop,
  signal,
  signalStackOverflow,
  signalStackUnderflow,
  signExponentOf,
  significandOf,
  top,
  unmaskedExceptions,
  writeResult,
} from "./unit";

/** No scale beyond this changes the result any more. */
const SCALE_LIMIT: i64 = 0x10000;

/** FSCALE: ST(0) * 2^trunc(ST(1)) */
export function x87Scale(): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  if (isEmpty(0) || isEmpty(1)) {
    if (signalStackUnderflow()) setIndefinite(0);
    return STATUS_OK;
  }
  if (needsNaN(significandOf(0), signExponentOf(0)) || needsNaN(significandOf(1), signExponentOf(1))) {
    const raised = pickNaN2(significandOf(0), signExponentOf(0), significandOf(1), signExponentOf(1));
    clearC1();
    if ((signal(raised) & BEFORE_COMPUTATION) == 0) setRegister(0, Chosen.significand, Chosen.signExponent);
    return STATUS_OK;
  }
  unpackExtended(significandOf(0), signExponentOf(0));
  moveLeftToRight();
  unpackExtended(significandOf(1), signExponentOf(1));
  const denormal = Left.denormal | Right.denormal ? DENORMAL : 0;
  swapOperands();
  const found = scale();
  if (found == 0 && Result.kind == KIND_FINITE && isBeyondAdjustment()) {
    finishBeyondAdjustment(denormal);
    return STATUS_OK;
  }
  finish(found, denormal, 0, 0, 64);
  return STATUS_OK;
}

/** Whether not even the adjustment of an unmasked overflow or underflow brings the exponent into range. */
function isBeyondAdjustment(): bool {
  const unmasked = unmaskedExceptions();
  if (unmasked & OVERFLOW && Result.exponent - EXPONENT_ADJUSTMENT > 16383) return true;
  return (unmasked & UNDERFLOW) != 0 && Result.exponent + EXPONENT_ADJUSTMENT < -16382;
}

/** Then the result is infinity or zero in every rounding mode. */
function finishBeyondAdjustment(denormal: i32): void {
  const overflow = Result.exponent > 0;
  clearC1();
  if (signal(denormal) != 0) return;
  setResult(overflow ? KIND_INFINITE : KIND_ZERO, Result.sign, 0, 0, 0);
  Result.roundedUp = overflow ? 1 : 0;
  signal((overflow ? OVERFLOW : UNDERFLOW) | INEXACT);
  writeResult(0);
}

/** Left * 2^trunc(Right) */
function scale(): i32 {
  if (Right.kind == KIND_INFINITE) {
    if (Right.sign == 0) {
      if (Left.kind == KIND_ZERO) return INVALID;
      setResult(KIND_INFINITE, Left.sign, 0, 0, 0);
    } else {
      if (Left.kind == KIND_INFINITE) return INVALID;
      setResult(KIND_ZERO, Left.sign, 0, 0, 0);
    }
    return 0;
  }
  copyLeftToResult();
  if (Left.kind != KIND_FINITE || Right.kind == KIND_ZERO) return 0;
  swapOperands();
  const outside = toSigned(32, ROUND_TRUNCATE) & INVALID;
  let amount = <i64>(<i32>Integer.magnitude);
  if (outside || amount > SCALE_LIMIT || amount < -SCALE_LIMIT)
    amount = Left.sign != 0 ? -SCALE_LIMIT : SCALE_LIMIT;
  swapOperands();
  setResult(KIND_FINITE, Left.sign, Left.exponent + <i32>amount, Left.significand, 0);
  return 0;
}

/** FXTRACT: the exponent replaces ST(0), then the significand is pushed. */
export function x87Extract(): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  if (isEmpty(0)) {
    if (signalStackUnderflow()) {
      setIndefinite(0);
      setTop(top() - 1);
      setIndefinite(0);
    }
    return STATUS_OK;
  }
  if (!isEmpty(7)) {
    if (signalStackOverflow()) {
      setIndefinite(0);
      setTop(top() - 1);
      setIndefinite(0);
    }
    return STATUS_OK;
  }
  const significand = significandOf(0);
  const signExponent = signExponentOf(0);
  if (needsNaN(significand, signExponent)) {
    const flags = pendingUnmasked(significand, signExponent);
    if (flags == 0) push(significandOf(0), signExponentOf(0));
    return STATUS_OK;
  }
  unpackExtended(significand, signExponent);
  clearC1();
  if (Left.kind == KIND_ZERO) {
    if (signal(DIVIDE_BY_ZERO) != 0) return STATUS_OK;
    setRegister(0, 0x8000000000000000, 0xffff);
    push(significand, signExponent);
    return STATUS_OK;
  }
  if (Left.kind == KIND_INFINITE) {
    setRegister(0, 0x8000000000000000, 0x7fff);
    push(significand, signExponent);
    return STATUS_OK;
  }
  if (signal(Left.denormal ? DENORMAL : 0) != 0) return STATUS_OK;
  const fraction = Left.significand;
  const sign = Left.sign;
  unpackSigned(<i64>Left.exponent);
  copyLeftToResult();
  setRegister(0, packExtendedSignificand(), packExtendedExponent());
  push(fraction, ((<u32>sign) << 15) | 0x3fff);
  return STATUS_OK;
}

/** Puts the NaN that the operand gives into ST(0); returns the exceptions that kept it from doing so. */
function pendingUnmasked(significand: u64, signExponent: u32): i32 {
  const before = pickNaN2(significand, signExponent, significand, signExponent);
  clearC1();
  const unmasked = signal(before);
  if (unmasked == 0) setRegister(0, Chosen.significand, Chosen.signExponent);
  return unmasked;
}
