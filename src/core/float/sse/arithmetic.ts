// ADD, SUB, MUL, DIV, SQRT of both formats. The fast path uses the host's
// arithmetic where it cannot be told from the kernel's: default control bits, no
// denormal operand, a finite normal result, and an inexact result only if PE is
// sticky already or inexactness can be decided exactly.
import { INEXACT } from "../kernel/exception-flags";
import { MXCSR_CONTROL, MXCSR_DEFAULT, mxcsr, raise } from "./control";
import {
  ADD,
  arithmetic32,
  arithmetic64,
  DIVIDE,
  isDenormal32,
  isDenormal64,
  MULTIPLY,
  SQUARE_ROOT,
  SUBTRACT,
} from "./exact";

// @ts-ignore: decorator
@inline
function isDefault(control: i32): bool {
  return (control & MXCSR_CONTROL) == MXCSR_DEFAULT;
}

/** Finite and above the least normal number, which a tiny result may round to. */
// @ts-ignore: decorator
@inline
function isNormal64(bits: u64): bool {
  return (bits << 1) - 0x0020000000000001 < 0xffbfffffffffffff;
}

// @ts-ignore: decorator
@inline
function isNormal32(bits: u32): bool {
  return (bits << 1) - 0x01000001 < 0xfdffffff;
}

/** Far enough from overflow that the steps of an error-free sum stay finite. */
// @ts-ignore: decorator
@inline
function isModerate64(bits: u64): bool {
  return bits << 1 < 0xffa0000000000000;
}

/** The product of the significands fits 53 bits for certain. */
// @ts-ignore: decorator
@inline
function isProductShort(a: u64, b: u64): bool {
  return ctz((a & 0xfffffffffffff) | 0x10000000000000) + ctz((b & 0xfffffffffffff) | 0x10000000000000) >= 53;
}

// A finite result of a sum has finite operands; a sum that is zero or tiny is exact.

// @ts-ignore: decorator
@inline
function sum64(operation: i32, a: u64, b: u64, right: f64): u64 {
  const control = mxcsr();
  const left = reinterpret<f64>(a);
  const result = left + right;
  const bits = reinterpret<u64>(result);
  if (isDefault(control) && isNormal64(bits) && !isDenormal64(a) && !isDenormal64(b)) {
    if (control & INEXACT) return bits;
    if (isModerate64(bits)) {
      const share = result - left;
      if (left - (result - share) + (right - share) != 0) raise(INEXACT);
      return bits;
    }
  }
  if (isDefault(control) && bits << 1 == 0 && !isDenormal64(a) && !isDenormal64(b)) return bits;
  return arithmetic64(operation, a, b);
}

export function f64Add(a: u64, b: u64): u64 {
  return sum64(ADD, a, b, reinterpret<f64>(b));
}

export function f64Sub(a: u64, b: u64): u64 {
  return sum64(SUBTRACT, a, b, -reinterpret<f64>(b));
}

export function f64Mul(a: u64, b: u64): u64 {
  const control = mxcsr();
  const bits = reinterpret<u64>(reinterpret<f64>(a) * reinterpret<f64>(b));
  if (isDefault(control) && isNormal64(bits) && !isDenormal64(a) && !isDenormal64(b)) {
    if (control & INEXACT || isProductShort(a, b)) return bits;
  }
  if (
    bits << 1 == 0 &&
    (a << 1 == 0 || b << 1 == 0) &&
    isDefault(control) &&
    !isDenormal64(a) &&
    !isDenormal64(b)
  )
    return bits;
  return arithmetic64(MULTIPLY, a, b);
}

export function f64Div(a: u64, b: u64): u64 {
  const control = mxcsr();
  const dividend = reinterpret<f64>(a);
  const divisor = reinterpret<f64>(b);
  const quotient = dividend / divisor;
  const bits = reinterpret<u64>(quotient);
  // A divisor that is infinite gives zero, and infinite dividends give infinity: both operands are finite here.
  if (isDefault(control) && isNormal64(bits) && !isDenormal64(a) && !isDenormal64(b)) {
    if (control & INEXACT) return bits;
    if (isProductShort(bits, b)) {
      if (quotient * divisor != dividend) raise(INEXACT);
      return bits;
    }
  }
  return arithmetic64(DIVIDE, a, b);
}

export function f64Sqrt(a: u64): u64 {
  const control = mxcsr();
  const root = sqrt<f64>(reinterpret<f64>(a));
  const bits = reinterpret<u64>(root);
  if (isDefault(control) && isNormal64(bits) && !isDenormal64(a)) {
    if (control & INEXACT) return bits;
    if (isProductShort(bits, bits)) {
      if (root * root != reinterpret<f64>(a)) raise(INEXACT);
      return bits;
    }
  }
  return arithmetic64(SQUARE_ROOT, a, 0);
}

// Binary32 is checked in binary64, where products are exact. A sum in binary64 that rounds back to the
// same sum without error is exact; one that does not is inexact in binary32 as well.

// @ts-ignore: decorator
@inline
function sum32(operation: i32, a: u32, b: u32, right: f32): u32 {
  const control = mxcsr();
  const left = reinterpret<f32>(a);
  const result = left + right;
  const bits = reinterpret<u32>(result);
  if (isDefault(control) && isNormal32(bits) && !isDenormal32(a) && !isDenormal32(b)) {
    if (control & INEXACT) return bits;
    const x = <f64>left;
    const y = <f64>right;
    const wide = x + y;
    const share = wide - x;
    if (<f64>result != wide || x - (wide - share) + (y - share) != 0) raise(INEXACT);
    return bits;
  }
  if (isDefault(control) && bits << 1 == 0 && !isDenormal32(a) && !isDenormal32(b)) return bits;
  return arithmetic32(operation, a, b);
}

export function f32Add(a: u32, b: u32): u32 {
  return sum32(ADD, a, b, reinterpret<f32>(b));
}

export function f32Sub(a: u32, b: u32): u32 {
  return sum32(SUBTRACT, a, b, -reinterpret<f32>(b));
}

export function f32Mul(a: u32, b: u32): u32 {
  const control = mxcsr();
  const left = reinterpret<f32>(a);
  const right = reinterpret<f32>(b);
  const result = left * right;
  const bits = reinterpret<u32>(result);
  if (isDefault(control) && isNormal32(bits) && !isDenormal32(a) && !isDenormal32(b)) {
    if (!(control & INEXACT) && <f64>result != <f64>left * <f64>right) raise(INEXACT);
    return bits;
  }
  if (
    bits << 1 == 0 &&
    (a << 1 == 0 || b << 1 == 0) &&
    isDefault(control) &&
    !isDenormal32(a) &&
    !isDenormal32(b)
  )
    return bits;
  return arithmetic32(MULTIPLY, a, b);
}

export function f32Div(a: u32, b: u32): u32 {
  const control = mxcsr();
  const dividend = reinterpret<f32>(a);
  const divisor = reinterpret<f32>(b);
  const quotient = dividend / divisor;
  const bits = reinterpret<u32>(quotient);
  if (isDefault(control) && isNormal32(bits) && !isDenormal32(a) && !isDenormal32(b)) {
    if (!(control & INEXACT) && <f64>quotient * <f64>divisor != <f64>dividend) raise(INEXACT);
    return bits;
  }
  return arithmetic32(DIVIDE, a, b);
}

export function f32Sqrt(a: u32): u32 {
  const control = mxcsr();
  const root = sqrt<f32>(reinterpret<f32>(a));
  const bits = reinterpret<u32>(root);
  if (isDefault(control) && isNormal32(bits) && !isDenormal32(a)) {
    if (!(control & INEXACT) && <f64>root * <f64>root != <f64>reinterpret<f32>(a)) raise(INEXACT);
    return bits;
  }
  return arithmetic32(SQUARE_ROOT, a, 0);
}
