// FPREM and FPREM1.
import { STATUS_OK } from "../../../layout/cpu-state";
import { BEFORE_COMPUTATION, DENORMAL, INVALID } from "../kernel/exception-flags";
import {
  copyLeftToResult,
  KIND_FINITE,
  KIND_INFINITE,
  KIND_ZERO,
  Left,
  moveLeftToRight,
  Right,
  setResult,
} from "../kernel/number";
import { unpackExtended } from "../kernel/unpack";
import { finish } from "./arithmetic";
import { Chosen, needsNaN, pickNaN2 } from "./nan";
import {
  C0,
  C1,
  C2,
  C3,
  checkPending,
  controlWord,
  isEmpty,
  setIndefinite,
  setRegister,
  setStatusWord,
  signal,
  signalStackUnderflow,
  signExponentOf,
  significandOf,
  statusWord,
} from "./unit";

/** What `reduce` leaves beside `Result`. */
class Quotient {
  static low: u64 = 0;
  /** 1 when the exponents were too far apart for one step. */
  static partial: i32 = 0;
}

/** FPREM (`nearest` 0: the quotient is truncated) or FPREM1 (1: rounded to nearest even). */
export function x87Remainder(nearest: i32): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  setStatusWord(statusWord() & ~(C1 | C2));
  if (isEmpty(0) || isEmpty(1)) {
    if (signalStackUnderflow()) setIndefinite(0);
    return STATUS_OK;
  }
  if (needsNaN(significandOf(0), signExponentOf(0)) || needsNaN(significandOf(1), signExponentOf(1))) {
    const raised = pickNaN2(significandOf(0), signExponentOf(0), significandOf(1), signExponentOf(1));
    if ((signal(raised) & BEFORE_COMPUTATION) == 0) setRegister(0, Chosen.significand, Chosen.signExponent);
    return STATUS_OK;
  }
  unpackExtended(significandOf(1), signExponentOf(1));
  moveLeftToRight();
  unpackExtended(significandOf(0), signExponentOf(0));
  const denormal = Left.denormal | Right.denormal ? DENORMAL : 0;
  Quotient.low = 0;
  Quotient.partial = 0;
  const found = reduce(nearest);
  finish(found, denormal, 0, 0, 64);
  if (found != 0 || (denormal & ~controlWord()) != 0) return STATUS_OK;
  let codes = Quotient.partial ? C2 : 0;
  if (!Quotient.partial) {
    if (Quotient.low & 1) codes |= C1;
    if (Quotient.low & 2) codes |= C3;
    if (Quotient.low & 4) codes |= C0;
  }
  setStatusWord((statusWord() & ~(C0 | C1 | C2 | C3)) | codes);
  return STATUS_OK;
}

function reduce(nearest: i32): i32 {
  if (Left.kind == KIND_INFINITE || Right.kind == KIND_ZERO) return INVALID;
  copyLeftToResult();
  if (Left.kind == KIND_ZERO || Right.kind == KIND_INFINITE) return 0;
  const distance = Left.exponent - Right.exponent;
  if (distance < -1 || (distance < 0 && nearest == 0)) return 0;
  if (distance >= 64) {
    reducePartly(distance);
    return 0;
  }
  const divisor = Right.significand;
  let rest = Left.significand;
  let quotient: u64 = 0;
  let exponent = Right.exponent;
  let sign = Left.sign;
  // One bit of the quotient after the other; the carry is bit 64 of the doubled remainder.
  let carry = false;
  for (let n = distance; n >= 0; n--) {
    quotient <<= 1;
    if (carry || rest >= divisor) {
      rest -= divisor;
      quotient |= 1;
    }
    if (n > 0) {
      carry = <i64>rest < 0;
      rest <<= 1;
    }
  }
  if (nearest != 0 && isAboveHalf(distance, rest, divisor, quotient)) {
    quotient++;
    if (distance < 0) {
      // The remainder is half as large as its place says: 2 * divisor - rest, at the lower exponent.
      exponent--;
      rest = (divisor << 1) - rest;
    } else {
      rest = divisor - rest;
    }
    sign ^= 1;
  } else if (distance < 0) {
    return 0;
  }
  Quotient.low = quotient;
  if (rest == 0) {
    setResult(KIND_ZERO, Left.sign, 0, 0, 0);
    return 0;
  }
  const shift = clz(rest);
  setResult(KIND_FINITE, sign, exponent - <i32>shift, rest << shift, 0);
  return 0;
}

/** Whether rounding to nearest even takes the next quotient. At distance -1 the dividend is below the divisor and counts half. */
function isAboveHalf(distance: i32, rest: u64, divisor: u64, quotient: u64): bool {
  if (distance < 0) return rest > divisor;
  const missing = divisor - rest;
  return rest > missing || (rest == missing && (quotient & 1) != 0);
}

/** Takes off a multiple of the divisor that lowers the exponent by 32..63, as the processor's own step does. */
function reducePartly(distance: i32): void {
  Quotient.partial = 1;
  const bits = 32 + (distance & 31);
  const divisor = Right.significand;
  let rest = Left.significand;
  let carry = false;
  for (let n = bits; n >= 0; n--) {
    if (carry || rest >= divisor) rest -= divisor;
    if (n > 0) {
      carry = <i64>rest < 0;
      rest <<= 1;
    }
  }
  if (rest == 0) {
    setResult(KIND_ZERO, Left.sign, 0, 0, 0);
    return;
  }
  const shift = clz(rest);
  setResult(KIND_FINITE, Left.sign, Left.exponent - bits - <i32>shift, rest << shift, 0);
}
