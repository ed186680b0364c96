// MIN, MAX, CMPxx, COMISx and UCOMISx of both formats.
import { DENORMAL, INVALID } from "../kernel/exception-flags";
import { mxcsr, raise, setCompareFlags, willFault } from "./control";
import {
  isDenormal32,
  isDenormal64,
  isNaN32,
  isNaN64,
  isSignalling32,
  isSignalling64,
  seen32,
  seen64,
} from "./exact";

// A NaN makes MIN and MAX return the second operand and is invalid even when quiet; so do two zeros.

export function f32Min(a: u32, b: u32): u32 {
  const control = mxcsr();
  const x = seen32(a, control);
  const y = seen32(b, control);
  raiseForOrdered32(x, y, true);
  return reinterpret<f32>(x) < reinterpret<f32>(y) ? x : y;
}

export function f32Max(a: u32, b: u32): u32 {
  const control = mxcsr();
  const x = seen32(a, control);
  const y = seen32(b, control);
  raiseForOrdered32(x, y, true);
  return reinterpret<f32>(x) > reinterpret<f32>(y) ? x : y;
}

export function f64Min(a: u64, b: u64): u64 {
  const control = mxcsr();
  const x = seen64(a, control);
  const y = seen64(b, control);
  raiseForOrdered64(x, y, true);
  return reinterpret<f64>(x) < reinterpret<f64>(y) ? x : y;
}

export function f64Max(a: u64, b: u64): u64 {
  const control = mxcsr();
  const x = seen64(a, control);
  const y = seen64(b, control);
  raiseForOrdered64(x, y, true);
  return reinterpret<f64>(x) > reinterpret<f64>(y) ? x : y;
}

/** Raises what a comparison of two operands raises; `signalling`: a quiet NaN is invalid too. Returns whether they are unordered. */
function raiseForOrdered32(a: u32, b: u32, signalling: bool): bool {
  if (isNaN32(a) || isNaN32(b)) {
    if (signalling || isSignalling32(a) || isSignalling32(b)) raise(INVALID);
    return true;
  }
  if (isDenormal32(a) || isDenormal32(b)) raise(DENORMAL);
  return false;
}

function raiseForOrdered64(a: u64, b: u64, signalling: bool): bool {
  if (isNaN64(a) || isNaN64(b)) {
    if (signalling || isSignalling64(a) || isSignalling64(b)) raise(INVALID);
    return true;
  }
  if (isDenormal64(a) || isDenormal64(b)) raise(DENORMAL);
  return false;
}

// Predicates 0..7: EQ, LT, LE, UNORD, NEQ, NLT, NLE, ORD. LT, LE, NLT and NLE signal for quiet NaNs.
// AVX has two more bits: with bit 3, EQ, LT and LE hold for unordered operands as well, and UNORD never;
// bit 4 makes the others signal.

function isSignallingPredicate(predicate: i32): bool {
  return ((((predicate + 1) >> 1) ^ (predicate >> 4)) & 1) != 0;
}

// @ts-ignore: decorator
@inline
function decide(holds: bool, unordered: bool, predicate: i32): i32 {
  const base = predicate & 8 ? (predicate & 3) != 3 && (holds || unordered) : holds;
  return <i32>base ^ ((predicate >> 2) & 1);
}

export function f32Compare(a: u32, b: u32, predicate: i32): i32 {
  const control = mxcsr();
  const x = seen32(a, control);
  const y = seen32(b, control);
  const unordered = raiseForOrdered32(x, y, isSignallingPredicate(predicate));
  const kind = predicate & 3;
  const left = reinterpret<f32>(x);
  const right = reinterpret<f32>(y);
  const holds: bool =
    kind == 0 ? left == right : kind == 1 ? left < right : kind == 2 ? left <= right : unordered;
  return decide(holds, unordered, predicate);
}

export function f64Compare(a: u64, b: u64, predicate: i32): i32 {
  const control = mxcsr();
  const x = seen64(a, control);
  const y = seen64(b, control);
  const unordered = raiseForOrdered64(x, y, isSignallingPredicate(predicate));
  const kind = predicate & 3;
  const left = reinterpret<f64>(x);
  const right = reinterpret<f64>(y);
  const holds: bool =
    kind == 0 ? left == right : kind == 1 ? left < right : kind == 2 ? left <= right : unordered;
  return decide(holds, unordered, predicate);
}

// COMISx and UCOMISx leave the flags as they are when commitSse is going to fault.

export function f32CompareFlags(a: u32, b: u32, signalling: i32): void {
  const control = mxcsr();
  const x = seen32(a, control);
  const y = seen32(b, control);
  const unordered = raiseForOrdered32(x, y, signalling != 0);
  if (willFault(control)) return;
  if (unordered) return setCompareFlags(1, 1, 1);
  const left = reinterpret<f32>(x);
  const right = reinterpret<f32>(y);
  setCompareFlags(left == right ? 1 : 0, 0, left < right ? 1 : 0);
}

export function f64CompareFlags(a: u64, b: u64, signalling: i32): void {
  const control = mxcsr();
  const x = seen64(a, control);
  const y = seen64(b, control);
  const unordered = raiseForOrdered64(x, y, signalling != 0);
  if (willFault(control)) return;
  if (unordered) return setCompareFlags(1, 1, 1);
  const left = reinterpret<f64>(x);
  const right = reinterpret<f64>(y);
  setCompareFlags(left == right ? 1 : 0, 0, left < right ? 1 : 0);
}
