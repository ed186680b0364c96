// RCPSS and RSQRTSS, bit for bit as AMD Zen 4 computes them. They obey neither
// rounding mode nor masks, raise nothing, and take denormals for zeros.

import { SINGLE_INDEFINITE } from "../kernel/pack";
import { RECIPROCAL, ROOT_EVEN, ROOT_ODD } from "./approximation-tables";
import { isNaN32 } from "./exact";

const QUIET: u32 = 0x00400000;
const INFINITY: u32 = 0x7f800000;

/** The result for an operand whose exponent is that of the table. */
function lookUp(table: StaticArray<u64>, bits: u32): u32 {
  const index = (bits >> 11) & 0xfff;
  const entries = unchecked(table[index >> 4]);
  const falls = <u32>entries & (((<u32>4) << ((index & 15) << 1)) - 1);
  const sum = popcnt(falls & 0x55555555) + 2 * popcnt(falls & 0xaaaaaaaa);
  return (<u32>(entries >> 32) - sum) << 11;
}

export function f32RcpApprox(a: u32): u32 {
  const sign = a & 0x80000000;
  const exponent = <i32>((a >> 23) & 0xff);
  if (isNaN32(a)) return a | QUIET;
  if (exponent == 0) return sign | INFINITY;
  if (exponent == 0xff) return sign;
  const result = <i32>lookUp(RECIPROCAL, a) - ((exponent - 127) << 23);
  // A result that would be denormal is zero.
  return result < 0x00800000 ? sign : sign | <u32>result;
}

export function f32RsqrtApprox(a: u32): u32 {
  const exponent = <i32>((a >> 23) & 0xff);
  if (isNaN32(a)) return a | QUIET;
  if (exponent == 0) return (a & 0x80000000) | INFINITY;
  if (a >> 31 != 0) return SINGLE_INDEFINITE;
  if (exponent == 0xff) return 0;
  const odd = exponent & 1;
  const entry = odd != 0 ? lookUp(ROOT_ODD, a) : lookUp(ROOT_EVEN, a);
  return entry - <u32>(((exponent - 128 + odd) >> 1) << 23);
}
