// Normal numbers of the single and the double format in the extended format, which has them all exactly.
const TOP_BIT: u64 = 0x8000000000000000;
const SIGN: u32 = 0x8000;
/** Differences of the exponents' biases. */
const FROM_SINGLE: u32 = 16383 - 127;
const FROM_DOUBLE: u32 = 16383 - 1023;

// @ts-ignore: decorator
@inline
export function isNormalSingle(bits: u32): bool {
  return ((bits + 0x800000) & 0x7f800000) > 0x800000;
}

// @ts-ignore: decorator
@inline
export function significandOfSingle(bits: u32): u64 {
  return ((<u64>bits) << 40) | TOP_BIT;
}

// @ts-ignore: decorator
@inline
export function signExponentOfSingle(bits: u32): u32 {
  return ((bits >> 16) & SIGN) | (((bits >> 23) & 0xff) + FROM_SINGLE);
}

// @ts-ignore: decorator
@inline
export function isNormalDouble(bits: u64): bool {
  return ((<u32>(bits >> 52) + 1) & 0x7ff) > 1;
}

// @ts-ignore: decorator
@inline
export function significandOfDouble(bits: u64): u64 {
  return (bits << 11) | TOP_BIT;
}

// @ts-ignore: decorator
@inline
export function signExponentOfDouble(bits: u64): u32 {
  return (<u32>(bits >> 48) & SIGN) | ((<u32>(bits >> 52) & 0x7ff) + FROM_DOUBLE);
}
