// FLD, FILD, FBLD and the constants.
import { STATUS_OK, X87, X87_EMPTY, X87_TOP } from "../../../layout/cpu-state";
import { CPU_STATE } from "../../../layout/memory-map";
import { DENORMAL, INVALID, ROUND_DOWN, ROUND_TRUNCATE, ROUND_UP } from "../kernel/exception-flags";
import { copyLeftToResult, KIND_NAN, Left } from "../kernel/number";
import { packExtendedExponent, packExtendedSignificand } from "../kernel/pack";
import { unpackDouble, unpackSigned, unpackSingle } from "../kernel/unpack";
import {
  checkPending,
  clearC1,
  isEmpty,
  roundingControl,
  setIndefinite,
  setTop,
  signal,
  signalStackOverflow,
  signalStackUnderflow,
  signExponentOf,
  significandOf,
  top,
} from "./unit";
import {
  isNormalDouble,
  isNormalSingle,
  signExponentOfDouble,
  signExponentOfSingle,
  significandOfDouble,
  significandOfSingle,
} from "./widen";

const QUIET: u64 = 0x4000000000000000;

/** Pushes a value, or the indefinite NaN where the stack is full. */
export function push(significand: u64, signExponent: u32): void {
  const next = (top() - 1) & 7;
  const empty = load<i32>(CPU_STATE + X87_EMPTY);
  if (((empty >> next) & 1) == 0) {
    if (signalStackOverflow()) {
      setTop(top() - 1);
      setIndefinite(0);
    }
    return;
  }
  clearC1();
  const address = CPU_STATE + X87 + (next << 4);
  store<u64>(address, significand);
  store<u16>(address, <u16>signExponent, 8);
  store<i32>(CPU_STATE + X87_EMPTY, empty & ~(1 << next));
  store<i32>(CPU_STATE + X87_TOP, next);
}

/** `Left` in the extended format, in `Extended`. Returns the exceptions of the conversion. */
export function extendLeft(): i32 {
  if (Left.kind == KIND_NAN) {
    Extended.signExponent = ((<u32>Left.sign) << 15) | 0x7fff;
    Extended.significand = Left.significand | QUIET;
    return (Left.significand & QUIET) == 0 ? INVALID : 0;
  }
  copyLeftToResult();
  Extended.significand = packExtendedSignificand();
  Extended.signExponent = packExtendedExponent();
  return Left.denormal != 0 ? DENORMAL : 0;
}

export class Extended {
  static significand: u64 = 0;
  static signExponent: u32 = 0;
}

function pushLeft(): i32 {
  if (!isEmpty(7)) {
    push(0, 0);
    return STATUS_OK;
  }
  const raised = extendLeft();
  clearC1();
  // The denormal exception does not keep a load from happening, masked or not.
  if (signal(raised) & INVALID) return STATUS_OK;
  push(Extended.significand, Extended.signExponent);
  return STATUS_OK;
}

export function x87Load32(bits: u32): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  if (isNormalSingle(bits)) {
    push(significandOfSingle(bits), signExponentOfSingle(bits));
    return STATUS_OK;
  }
  unpackSingle(bits);
  return pushLeft();
}

export function x87Load64(bits: u64): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  if (isNormalDouble(bits)) {
    push(significandOfDouble(bits), signExponentOfDouble(bits));
    return STATUS_OK;
  }
  unpackDouble(bits);
  return pushLeft();
}

export function x87Load80(significand: u64, signExponent: u32): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  push(significand, signExponent);
  return STATUS_OK;
}

export function x87LoadI64(value: i64): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  unpackSigned(value);
  return pushLeft();
}

export function x87LoadI32(value: i32): i32 {
  return x87LoadI64(<i64>value);
}

export function x87LoadI16(value: i32): i32 {
  return x87LoadI64(<i64>(<i16>value));
}

/** 18 packed digits, and the sign in the top bit. A digit above 9 counts as its value, as on the processor. */
export function x87LoadBcd(low: u64, high: u32): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  let value: u64 = 0;
  for (let shift = 4; shift >= 0; shift -= 4) value = value * 10 + (<u64>(high >> shift) & 15);
  for (let shift = 60; shift >= 0; shift -= 4) value = value * 10 + ((low >> <u64>shift) & 15);
  unpackSigned(<i64>value);
  Left.sign = <i32>((high >> 15) & 1);
  return pushLeft();
}

export function x87LoadSt(i: i32): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  if (isEmpty(i)) {
    if (signalStackUnderflow()) {
      setTop(top() - 1);
      setIndefinite(0);
    }
    return STATUS_OK;
  }
  push(significandOf(i), signExponentOf(i));
  return STATUS_OK;
}

/** In opcode order D9 E8..EE: 1, log2 10, log2 e, pi, log10 2, ln 2, 0; rounded as FCW.RC asks. */
export function x87LoadConstant(n: i32): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  const mode = roundingControl();
  const up: u64 = mode == ROUND_UP ? 1 : 0;
  const down: u64 = mode == ROUND_DOWN || mode == ROUND_TRUNCATE ? 1 : 0;
  switch (n) {
    case 0:
      push(0x8000000000000000, 0x3fff);
      break;
    case 1:
      push(0xd49a784bcd1b8afe + up, 0x4000);
      break;
    case 2:
      push(0xb8aa3b295c17f0bc - down, 0x3fff);
      break;
    case 3:
      push(0xc90fdaa22168c235 - down, 0x4000);
      break;
    case 4:
      push(0x9a209a84fbcff799 - down, 0x3ffd);
      break;
    case 5:
      push(0xb17217f7d1cf79ac - down, 0x3ffe);
      break;
    default:
      push(0, 0);
  }
  return STATUS_OK;
}
