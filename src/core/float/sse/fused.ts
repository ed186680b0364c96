// FMA: a * b + c with one rounding. SDM 2 "VFMADD132PS" and its kin; SDM 1 "Fused-Multiply-ADD (FMA) Numeric Behavior".
import { DENORMAL, INVALID } from "../kernel/exception-flags";
import { Addend, moveLeftToAddend, multiplyAdd } from "../kernel/multiply-add";
import { Left, moveLeftToRight, Right } from "../kernel/number";
import {
  DOUBLE_INDEFINITE,
  packDouble,
  packSingle,
  roundToDouble,
  roundToSingle,
  SINGLE_INDEFINITE,
} from "../kernel/pack";
import { unpackDouble, unpackSingle } from "../kernel/unpack";
import { flushesToZero, mxcsr, raise, roundingMode, unmaskedExceptions } from "./control";
import { isNaN32, isNaN64, isSignalling32, isSignalling64, seen32, seen64 } from "./exact";

/** Signs to change: that of the product, that of the addend. NaNs keep theirs. */
const NEGATE_PRODUCT: i32 = 1;
const NEGATE_ADDEND: i32 = 2;

/** On `Left`, `Right` and `Addend`; returns what is found before rounding. */
function compute(signs: i32, mode: i32): i32 {
  if (signs & NEGATE_PRODUCT) Left.sign ^= 1;
  if (signs & NEGATE_ADDEND) Addend.sign ^= 1;
  const denormal = Left.denormal | Right.denormal | Addend.denormal ? DENORMAL : 0;
  const found = multiplyAdd(mode);
  return found != 0 ? found : denormal;
}

export function f32MultiplyAdd(a: u32, b: u32, c: u32, signs: i32): u32 {
  const control = mxcsr();
  const x = seen32(a, control);
  const y = seen32(b, control);
  const z = seen32(c, control);
  if (isNaN32(x) || isNaN32(y) || isNaN32(z)) {
    if (isSignalling32(x) || isSignalling32(y) || isSignalling32(z)) raise(INVALID);
    return (isNaN32(x) ? x : isNaN32(y) ? y : z) | 0x00400000;
  }
  unpackSingle(z);
  moveLeftToAddend();
  unpackSingle(y);
  moveLeftToRight();
  unpackSingle(x);
  const mode = roundingMode(control);
  const found = compute(signs, mode);
  if (found & INVALID) {
    raise(found);
    return SINGLE_INDEFINITE;
  }
  raise(found | roundToSingle(mode, unmaskedExceptions(control), flushesToZero(control)));
  return packSingle();
}

export function f64MultiplyAdd(a: u64, b: u64, c: u64, signs: i32): u64 {
  const control = mxcsr();
  const x = seen64(a, control);
  const y = seen64(b, control);
  const z = seen64(c, control);
  if (isNaN64(x) || isNaN64(y) || isNaN64(z)) {
    if (isSignalling64(x) || isSignalling64(y) || isSignalling64(z)) raise(INVALID);
    return (isNaN64(x) ? x : isNaN64(y) ? y : z) | 0x0008000000000000;
  }
  unpackDouble(z);
  moveLeftToAddend();
  unpackDouble(y);
  moveLeftToRight();
  unpackDouble(x);
  const mode = roundingMode(control);
  const found = compute(signs, mode);
  if (found & INVALID) {
    raise(found);
    return DOUBLE_INDEFINITE;
  }
  raise(found | roundToDouble(mode, unmaskedExceptions(control), flushesToZero(control)));
  return packDouble();
}
