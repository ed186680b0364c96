// Operands of the extended format that are NaN or that the processor refuses.
import { INVALID } from "../kernel/exception-flags";
import { EXTENDED_INDEFINITE, EXTENDED_INDEFINITE_EXPONENT } from "../kernel/pack";

const TOP_BIT: u64 = 0x8000000000000000;
const QUIET: u64 = 0x4000000000000000;

/** The NaN that `pickNaN` chose. */
export class Chosen {
  static significand: u64 = 0;
  static signExponent: u32 = 0;
}

export function isNaN80(significand: u64, signExponent: u32): bool {
  return (signExponent & 0x7fff) == 0x7fff && <i64>significand < 0 && significand != TOP_BIT;
}

export function isSignalling80(significand: u64, signExponent: u32): bool {
  return isNaN80(significand, signExponent) && (significand & QUIET) == 0;
}

/** Unnormal, pseudo-infinity or pseudo-NaN. */
export function isUnsupported(significand: u64, signExponent: u32): bool {
  return (signExponent & 0x7fff) != 0 && <i64>significand >= 0;
}

export function needsNaN(significand: u64, signExponent: u32): bool {
  return isUnsupported(significand, signExponent) || isNaN80(significand, signExponent);
}

function choose(significand: u64, signExponent: u32): void {
  Chosen.significand = significand | QUIET;
  Chosen.signExponent = signExponent;
}

/** The NaN that one operand gives; returns the exceptions. */
export function pickNaN1(significand: u64, signExponent: u32): i32 {
  if (isUnsupported(significand, signExponent)) {
    choose(EXTENDED_INDEFINITE, EXTENDED_INDEFINITE_EXPONENT);
    return INVALID;
  }
  choose(significand, signExponent);
  return (significand & QUIET) == 0 ? INVALID : 0;
}

/**
 * The NaN that two operands give of which one at least is a NaN or unsupported:
 * the one with the larger significand, a quiet one before a signalling one.
 */
export function pickNaN2(a: u64, aExponent: u32, b: u64, bExponent: u32): i32 {
  if (isUnsupported(a, aExponent) || isUnsupported(b, bExponent)) {
    choose(EXTENDED_INDEFINITE, EXTENDED_INDEFINITE_EXPONENT);
    return INVALID;
  }
  const aSignalling = isSignalling80(a, aExponent);
  const bSignalling = isSignalling80(b, bExponent);
  const raised = aSignalling || bSignalling ? INVALID : 0;
  if (!isNaN80(b, bExponent)) choose(a, aExponent);
  else if (!isNaN80(a, aExponent)) choose(b, bExponent);
  else if (aSignalling != bSignalling) aSignalling ? choose(b, bExponent) : choose(a, aExponent);
  else if (a != b) a > b ? choose(a, aExponent) : choose(b, bExponent);
  else aExponent <= bExponent ? choose(a, aExponent) : choose(b, bExponent);
  return raised;
}
