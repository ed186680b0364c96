// Conversions between integers and both formats.
import { DENORMAL, INEXACT, INVALID, ROUND_TRUNCATE } from "../kernel/exception-flags";
import { Integer, toSigned } from "../kernel/integer";
import { copyLeftToResult } from "../kernel/number";
import { packDouble, packSingle, roundToDouble, roundToSingle } from "../kernel/pack";
import { unpackDouble, unpackSigned, unpackSingle } from "../kernel/unpack";
import {
  flushesToZero,
  MXCSR_CONTROL,
  MXCSR_DEFAULT,
  mxcsr,
  raise,
  roundingMode,
  unmaskedExceptions,
} from "./control";
import { isDenormal64, isNaN32, isNaN64, isSignalling32, isSignalling64, seen32, seen64 } from "./exact";

export function i32ToF64(value: i32): u64 {
  return reinterpret<u64>(<f64>value);
}

export function i64ToF64(value: i64): u64 {
  const near = <f64>value;
  if (value + 0x10000000000000 >= 0 && value <= 0x10000000000000) return reinterpret<u64>(near);
  unpackSigned(value);
  copyLeftToResult();
  raise(roundToDouble(roundingMode(mxcsr()), 0, false));
  return packDouble();
}

export function i32ToF32(value: i32): u32 {
  return i64ToF32(<i64>value);
}

export function i64ToF32(value: i64): u32 {
  if (value + 0x1000000 >= 0 && value <= 0x1000000) return reinterpret<u32>(<f32>value);
  unpackSigned(value);
  copyLeftToResult();
  raise(roundToSingle(roundingMode(mxcsr()), 0, false));
  return packSingle();
}

export function f32ToF64(a: u32): u64 {
  const control = mxcsr();
  const x = seen32(a, control);
  if (isNaN32(x)) {
    if (isSignalling32(x)) raise(INVALID);
    return ((<u64>(x >> 31)) << 63) | 0x7ff8000000000000 | ((<u64>(x & 0x7fffff)) << 29);
  }
  if (x << 1 != 0 && (x & 0x7f800000) == 0) raise(DENORMAL);
  return reinterpret<u64>(<f64>reinterpret<f32>(x));
}

export function f64ToF32(a: u64): u32 {
  const control = mxcsr();
  const value = reinterpret<f64>(a);
  const near = <f32>value;
  const bits = reinterpret<u32>(near);
  // Above the least normal number, which a tiny value may round to, and finite.
  if ((control & MXCSR_CONTROL) == MXCSR_DEFAULT && (bits << 1) - 0x01000001 < 0xfdffffff) {
    if (<f64>near != value) raise(INEXACT);
    return bits;
  }
  const x = seen64(a, control);
  if (isNaN64(x)) {
    if (isSignalling64(x)) raise(INVALID);
    return ((<u32>(x >> 63)) << 31) | 0x7fc00000 | (<u32>(x >> 29) & 0x7fffff);
  }
  const denormal = isDenormal64(x) ? DENORMAL : 0;
  unpackDouble(x);
  copyLeftToResult();
  raise(denormal | roundToSingle(roundingMode(control), unmaskedExceptions(control), flushesToZero(control)));
  return packSingle();
}

function toInteger(bits: i32, truncate: i32, control: i32): u64 {
  raise(toSigned(bits, truncate != 0 ? ROUND_TRUNCATE : roundingMode(control)));
  return Integer.magnitude;
}

export function f64ToI32(a: u64, truncate: i32): i32 {
  const control = mxcsr();
  const value = reinterpret<f64>(a);
  if (truncate != 0 && abs<f64>(value) < 2147483648.0 && !isDenormal64(a)) {
    const integer = <i32>value;
    if (<f64>integer != value) raise(INEXACT);
    return integer;
  }
  unpackDouble(seen64(a, control));
  return <i32>toInteger(32, truncate, control);
}

export function f64ToI64(a: u64, truncate: i32): i64 {
  const control = mxcsr();
  const value = reinterpret<f64>(a);
  if (truncate != 0 && abs<f64>(value) < 9223372036854775808.0 && !isDenormal64(a)) {
    const integer = <i64>value;
    if (<f64>integer != value) raise(INEXACT);
    return integer;
  }
  unpackDouble(seen64(a, control));
  return <i64>toInteger(64, truncate, control);
}

// Every binary32 number is a normal binary64 number, so truncation shares its path; a NaN stays one.

export function f32ToI32(a: u32, truncate: i32): i32 {
  const control = mxcsr();
  const x = seen32(a, control);
  if (truncate != 0) return f64ToI32(reinterpret<u64>(<f64>reinterpret<f32>(x)), 1);
  unpackSingle(x);
  return <i32>toInteger(32, 0, control);
}

export function f32ToI64(a: u32, truncate: i32): i64 {
  const control = mxcsr();
  const x = seen32(a, control);
  if (truncate != 0) return f64ToI64(reinterpret<u64>(<f64>reinterpret<f32>(x)), 1);
  unpackSingle(x);
  return <i64>toInteger(64, 0, control);
}
