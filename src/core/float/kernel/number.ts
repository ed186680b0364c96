// An unpacked number of any format. Operands are unpacked into `Left` (and moved
// to `Right`), an operation leaves its exact result in `Result`, and rounding
// brings `Result` to the precision and the exponent range of a format.
//
// These are WebAssembly globals, not memory: each virtual processor runs in its
// own instance over one shared memory, and must not see another's intermediate values.

export const KIND_ZERO: i32 = 0;
/** Normal or denormal: the value is significand / 2^63 * 2^exponent. */
export const KIND_FINITE: i32 = 1;
export const KIND_INFINITE: i32 = 2;
export const KIND_NAN: i32 = 3;
/** An encoding of the extended format that the processor refuses: unnormal, pseudo-infinity, pseudo-NaN. */
export const KIND_UNSUPPORTED: i32 = 4;

export class Left {
  static kind: i32 = 0;
  static sign: i32 = 0;
  static exponent: i32 = 0;
  /** Bit 63 is set for finite numbers; a NaN has its payload as in the extended format. */
  static significand: u64 = 0;
  /** 1 when the encoding was denormal (or pseudo-denormal). */
  static denormal: i32 = 0;
}

export class Right {
  static kind: i32 = 0;
  static sign: i32 = 0;
  static exponent: i32 = 0;
  static significand: u64 = 0;
  static denormal: i32 = 0;
}

export class Result {
  static kind: i32 = 0;
  static sign: i32 = 0;
  static exponent: i32 = 0;
  /** The significand, bit 63 set unless rounding made the result denormal. */
  static high: u64 = 0;
  /** What follows `high`; bit 0 stands for everything further on. */
  static low: u64 = 0;
  /** 1 when rounding increased the magnitude (C1 of the status word). */
  static roundedUp: i32 = 0;
}

export function moveLeftToRight(): void {
  Right.kind = Left.kind;
  Right.sign = Left.sign;
  Right.exponent = Left.exponent;
  Right.significand = Left.significand;
  Right.denormal = Left.denormal;
}

export function swapOperands(): void {
  const kind = Left.kind;
  const sign = Left.sign;
  const exponent = Left.exponent;
  const significand = Left.significand;
  const denormal = Left.denormal;
  Left.kind = Right.kind;
  Left.sign = Right.sign;
  Left.exponent = Right.exponent;
  Left.significand = Right.significand;
  Left.denormal = Right.denormal;
  Right.kind = kind;
  Right.sign = sign;
  Right.exponent = exponent;
  Right.significand = significand;
  Right.denormal = denormal;
}

export function setResult(kind: i32, sign: i32, exponent: i32, high: u64, low: u64): void {
  Result.kind = kind;
  Result.sign = sign;
  Result.exponent = exponent;
  Result.high = high;
  Result.low = low;
  Result.roundedUp = 0;
}

export function copyLeftToResult(): void {
  setResult(Left.kind, Left.sign, Left.exponent, Left.significand, 0);
}
