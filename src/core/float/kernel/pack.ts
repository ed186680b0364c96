// From a rounded `Result` to an encoding.
import { KIND_FINITE, KIND_INFINITE, Result } from "./number";
import { roundResult } from "./round";

export const SINGLE_INDEFINITE: u32 = 0xffc00000;
export const DOUBLE_INDEFINITE: u64 = 0xfff8000000000000;
/** Of the extended format: significand, and sign with exponent. */
export const EXTENDED_INDEFINITE: u64 = 0xc000000000000000;
export const EXTENDED_INDEFINITE_EXPONENT: u32 = 0xffff;

export function roundToSingle(mode: i32, unmasked: i32, flushToZero: bool): i32 {
  return roundResult(24, -126, 127, mode, unmasked, flushToZero);
}

export function roundToDouble(mode: i32, unmasked: i32, flushToZero: bool): i32 {
  return roundResult(53, -1022, 1023, mode, unmasked, flushToZero);
}

export function roundToExtended(precision: i32, mode: i32, unmasked: i32): i32 {
  return roundResult(precision, -16382, 16383, mode, unmasked, false);
}

export function packSingle(): u32 {
  const sign = (<u32>Result.sign) << 31;
  if (Result.kind == KIND_INFINITE) return sign | 0x7f800000;
  if (Result.kind != KIND_FINITE) return sign;
  const fraction = <u32>(Result.high >> 40) & 0x7fffff;
  return <i64>Result.high < 0 ? sign | ((<u32>(Result.exponent + 127)) << 23) | fraction : sign | fraction;
}

export function packDouble(): u64 {
  const sign = (<u64>Result.sign) << 63;
  if (Result.kind == KIND_INFINITE) return sign | 0x7ff0000000000000;
  if (Result.kind != KIND_FINITE) return sign;
  const fraction = (Result.high >> 11) & 0xfffffffffffff;
  return <i64>Result.high < 0 ? sign | ((<u64>(Result.exponent + 1023)) << 52) | fraction : sign | fraction;
}

export function packExtendedSignificand(): u64 {
  if (Result.kind == KIND_INFINITE) return 0x8000000000000000;
  return Result.kind == KIND_FINITE ? Result.high : 0;
}

export function packExtendedExponent(): u32 {
  const sign = (<u32>Result.sign) << 15;
  if (Result.kind == KIND_INFINITE) return sign | 0x7fff;
  if (Result.kind != KIND_FINITE || <i64>Result.high >= 0) return sign;
  return sign | (<u32>(Result.exponent + 16383) & 0x7fff);
}
