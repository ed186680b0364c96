// F16C: binary16 in memory and registers. SDM 2 "VCVTPH2PS", "VCVTPS2PH"; DAZ and FTZ do not count for it:
// denormal binary16 numbers are numbers, and denormal results are kept.
import { DENORMAL, INVALID } from "../kernel/exception-flags";
import { copyLeftToResult, KIND_FINITE, KIND_INFINITE, Result } from "../kernel/number";
import { roundResult } from "../kernel/round";
import { unpackSingle } from "../kernel/unpack";
import { mxcsr, raise, roundingMode, unmaskedExceptions } from "./control";
import { isDenormal32, isNaN32, isSignalling32, seen32 } from "./exact";

const BY_MXCSR: i32 = 4;

/** Exact; only a signalling NaN raises anything. */
export function f16ToF32(half: u32): u32 {
  const sign = (half & 0x8000) << 16;
  const field = (half >> 10) & 31;
  const fraction = half & 0x3ff;
  if (field == 31) {
    if (fraction == 0) return sign | 0x7f800000;
    if (!(fraction & 0x200)) raise(INVALID);
    return sign | 0x7fc00000 | (fraction << 13);
  }
  if (field != 0) return sign | ((field + 112) << 23) | (fraction << 13);
  if (fraction == 0) return sign;
  const shift = clz(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}

/** Rounds by the immediate's low bits, or by MXCSR with bit 2. */
export function f32ToF16(a: u32, immediate: i32): u32 {
  const control = mxcsr();
  const x = seen32(a, control);
  const sign = (x >> 16) & 0x8000;
  if (isNaN32(x)) {
    if (isSignalling32(x)) raise(INVALID);
    return sign | 0x7e00 | ((x >> 13) & 0x1ff);
  }
  const denormal = isDenormal32(x) ? DENORMAL : 0;
  unpackSingle(x);
  copyLeftToResult();
  const mode = immediate & BY_MXCSR ? roundingMode(control) : immediate & 3;
  raise(denormal | roundResult(11, -14, 15, mode, unmaskedExceptions(control), false));
  if (Result.kind == KIND_INFINITE) return sign | 0x7c00;
  if (Result.kind != KIND_FINITE) return sign;
  const fraction = <u32>(Result.high >> 53) & 0x3ff;
  return <i64>Result.high < 0 ? sign | (<u32>(Result.exponent + 15) << 10) | fraction : sign | fraction;
}
