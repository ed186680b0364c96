// From an encoding to `Left`.
import { KIND_FINITE, KIND_INFINITE, KIND_NAN, KIND_UNSUPPORTED, KIND_ZERO, Left } from "./number";

const TOP_BIT: u64 = 0x8000000000000000;

/** Both binary formats: `fraction` is already moved so that its first bit is bit 62. */
function unpackBinary(sign: i32, field: i32, fraction: u64, bias: i32, maximumField: i32): void {
  Left.sign = sign;
  Left.denormal = 0;
  if (field == maximumField) {
    Left.kind = fraction == 0 ? KIND_INFINITE : KIND_NAN;
    Left.significand = fraction | TOP_BIT;
  } else if (field != 0) {
    Left.kind = KIND_FINITE;
    Left.exponent = field - bias;
    Left.significand = fraction | TOP_BIT;
  } else if (fraction == 0) {
    Left.kind = KIND_ZERO;
    Left.significand = 0;
  } else {
    const shift = clz(fraction);
    Left.kind = KIND_FINITE;
    Left.exponent = 1 - bias - <i32>shift;
    Left.significand = fraction << shift;
    Left.denormal = 1;
  }
}

export function unpackSingle(bits: u32): void {
  unpackBinary(<i32>(bits >> 31), <i32>((bits >> 23) & 0xff), (<u64>(bits & 0x7fffff)) << 40, 127, 0xff);
}

export function unpackDouble(bits: u64): void {
  unpackBinary(<i32>(bits >> 63), <i32>((bits >> 52) & 0x7ff), (bits & 0xfffffffffffff) << 11, 1023, 0x7ff);
}

export function unpackExtended(significand: u64, signExponent: u32): void {
  const field = <i32>(signExponent & 0x7fff);
  Left.sign = <i32>((signExponent >> 15) & 1);
  Left.denormal = 0;
  Left.significand = significand;
  if (field == 0) {
    if (significand == 0) {
      Left.kind = KIND_ZERO;
      return;
    }
    const shift = clz(significand);
    Left.kind = KIND_FINITE;
    Left.exponent = -16382 - <i32>shift;
    Left.significand = significand << shift;
    Left.denormal = 1;
  } else if (<i64>significand >= 0) {
    Left.kind = KIND_UNSUPPORTED;
  } else if (field == 0x7fff) {
    Left.kind = significand == TOP_BIT ? KIND_INFINITE : KIND_NAN;
  } else {
    Left.kind = KIND_FINITE;
    Left.exponent = field - 16383;
  }
}

export function unpackSigned(value: i64): void {
  Left.denormal = 0;
  if (value == 0) {
    Left.kind = KIND_ZERO;
    Left.sign = 0;
    Left.significand = 0;
    return;
  }
  const magnitude: u64 = value < 0 ? 0 - <u64>value : <u64>value;
  const shift = clz(magnitude);
  Left.kind = KIND_FINITE;
  Left.sign = value < 0 ? 1 : 0;
  Left.exponent = 63 - <i32>shift;
  Left.significand = magnitude << shift;
}
