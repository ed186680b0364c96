// Scalar arithmetic of both formats by the kernel: every operand, rounding mode and exception.
// AMD64 Architecture Programmer's Manual, volume 1, "SIMD Floating-Point Exceptions".
import { add } from "../kernel/add";
import { divide } from "../kernel/divide";
import { DENORMAL, INVALID } from "../kernel/exception-flags";
import { multiply } from "../kernel/multiply";
import { Left, moveLeftToRight, Right } from "../kernel/number";
import {
  DOUBLE_INDEFINITE,
  packDouble,
  packSingle,
  roundToDouble,
  roundToSingle,
  SINGLE_INDEFINITE,
} from "../kernel/pack";
import { squareRoot } from "../kernel/square-root";
import { unpackDouble, unpackSingle } from "../kernel/unpack";
import { flushesToZero, MXCSR_DAZ, mxcsr, raise, roundingMode, unmaskedExceptions } from "./control";

export const ADD: i32 = 0;
export const SUBTRACT: i32 = 1;
export const MULTIPLY: i32 = 2;
export const DIVIDE: i32 = 3;
export const SQUARE_ROOT: i32 = 4;

const SINGLE_QUIET: u32 = 0x00400000;
const DOUBLE_QUIET: u64 = 0x0008000000000000;

export function isNaN32(bits: u32): bool {
  return (bits & 0x7fffffff) > 0x7f800000;
}

export function isNaN64(bits: u64): bool {
  return (bits & 0x7fffffffffffffff) > 0x7ff0000000000000;
}

export function isSignalling32(bits: u32): bool {
  return isNaN32(bits) && (bits & SINGLE_QUIET) == 0;
}

export function isSignalling64(bits: u64): bool {
  return isNaN64(bits) && (bits & DOUBLE_QUIET) == 0;
}

export function isDenormal32(bits: u32): bool {
  return (bits << 1) - 1 < 0x00ffffff;
}

export function isDenormal64(bits: u64): bool {
  return (bits << 1) - 1 < 0x001fffffffffffff;
}

/** The operand as DAZ has it seen. */
export function seen32(bits: u32, control: i32): u32 {
  return control & MXCSR_DAZ && isDenormal32(bits) ? bits & 0x80000000 : bits;
}

export function seen64(bits: u64, control: i32): u64 {
  return control & MXCSR_DAZ && isDenormal64(bits) ? bits & 0x8000000000000000 : bits;
}

/** The first operand if it is a NaN, else the second; quiet. */
function pickNaN32(a: u32, b: u32): u32 {
  if (isSignalling32(a) || isSignalling32(b)) raise(INVALID);
  return (isNaN32(a) ? a : b) | SINGLE_QUIET;
}

function pickNaN64(a: u64, b: u64): u64 {
  if (isSignalling64(a) || isSignalling64(b)) raise(INVALID);
  return (isNaN64(a) ? a : b) | DOUBLE_QUIET;
}

/** Computes on `Left` and `Right`; returns the exceptions found before rounding. */
function compute(operation: i32, mode: i32): i32 {
  const denormal = Left.denormal | Right.denormal ? DENORMAL : 0;
  let found: i32;
  if (operation <= SUBTRACT) found = add(operation, mode);
  else if (operation == MULTIPLY) found = multiply();
  else if (operation == DIVIDE) found = divide();
  else found = squareRoot();
  // Invalid and division by zero hide the denormal exception.
  return found != 0 ? found : denormal;
}

export function arithmetic32(operation: i32, a: u32, b: u32): u32 {
  const control = mxcsr();
  const x = seen32(a, control);
  const y = seen32(b, control);
  if (isNaN32(x) || isNaN32(y)) return pickNaN32(x, y);
  unpackSingle(y);
  moveLeftToRight();
  unpackSingle(x);
  const mode = roundingMode(control);
  const found = compute(operation, mode);
  if (found & INVALID) {
    raise(found);
    return SINGLE_INDEFINITE;
  }
  raise(found | roundToSingle(mode, unmaskedExceptions(control), flushesToZero(control)));
  return packSingle();
}

export function arithmetic64(operation: i32, a: u64, b: u64): u64 {
  const control = mxcsr();
  const x = seen64(a, control);
  const y = seen64(b, control);
  if (isNaN64(x) || isNaN64(y)) return pickNaN64(x, y);
  unpackDouble(y);
  moveLeftToRight();
  unpackDouble(x);
  const mode = roundingMode(control);
  const found = compute(operation, mode);
  if (found & INVALID) {
    raise(found);
    return DOUBLE_INDEFINITE;
  }
  raise(found | roundToDouble(mode, unmaskedExceptions(control), flushesToZero(control)));
  return packDouble();
}
