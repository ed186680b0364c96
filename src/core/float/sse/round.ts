// ROUNDPS and its kin. SDM 2 "ROUNDPD—Round Packed Double Precision Floating-Point Values".
import { INVALID } from "../kernel/exception-flags";
import { roundInFormat } from "../kernel/integer";
import { packDouble, packSingle } from "../kernel/pack";
import { unpackDouble, unpackSingle } from "../kernel/unpack";
import { mxcsr, raise, roundingMode } from "./control";
import { isNaN32, isNaN64, isSignalling32, isSignalling64, seen32, seen64 } from "./exact";

/** Of the immediate: the mode is MXCSR's; inexact results raise nothing. */
const BY_MXCSR: i32 = 4;
const QUIETLY: i32 = 8;

function modeOf(immediate: i32, control: i32): i32 {
  return immediate & BY_MXCSR ? roundingMode(control) : immediate & 3;
}

/** Rounds to an integer of the same format. */
export function f32Round(a: u32, immediate: i32): u32 {
  const control = mxcsr();
  const x = seen32(a, control);
  if (isNaN32(x)) {
    if (isSignalling32(x)) raise(INVALID);
    return x | 0x00400000;
  }
  unpackSingle(x);
  const raised = roundInFormat(modeOf(immediate, control));
  if (!(immediate & QUIETLY)) raise(raised);
  return packSingle();
}

export function f64Round(a: u64, immediate: i32): u64 {
  const control = mxcsr();
  const x = seen64(a, control);
  if (isNaN64(x)) {
    if (isSignalling64(x)) raise(INVALID);
    return x | 0x0008000000000000;
  }
  unpackDouble(x);
  const raised = roundInFormat(modeOf(immediate, control));
  if (!(immediate & QUIETLY)) raise(raised);
  return packDouble();
}
