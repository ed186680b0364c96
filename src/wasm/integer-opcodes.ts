import type { Opcode } from "./opcodes.ts";

/*
 * i64 instructions stand in the same order as those of i32, so one set of rules, in terms of the i32 opcodes,
 * serves both.
 */
export const EQZ = 0x45;
export const EQ = 0x46;
export const NE = 0x47;
export const LT_S = 0x48;
export const LT_U = 0x49;
export const GT_S = 0x4a;
export const GT_U = 0x4b;
export const LE_S = 0x4c;
export const LE_U = 0x4d;
export const GE_S = 0x4e;
export const GE_U = 0x4f;
export const CLZ = 0x67;
export const CTZ = 0x68;
export const POPCNT = 0x69;
export const ADD = 0x6a;
export const SUB = 0x6b;
export const MUL = 0x6c;
export const DIV_S = 0x6d;
export const DIV_U = 0x6e;
export const REM_S = 0x6f;
export const REM_U = 0x70;
export const AND = 0x71;
export const OR = 0x72;
export const XOR = 0x73;
export const SHL = 0x74;
export const SHR_S = 0x75;
export const SHR_U = 0x76;
export const ROTL = 0x77;
export const ROTR = 0x78;
/** i64.eqz, which the other comparisons of i64 follow. */
export const I64_COMPARISONS = 0x50;
export const LAST_COMPARISON = 0x66;
export const I64_ARITHMETIC = 0x79;
const I64_ARITHMETIC_LAST = 0x8a;
const COMPARISON_DISTANCE = 0x50 - 0x45;
/** From an i32 arithmetic opcode to the same on i64. */
export const ARITHMETIC_DISTANCE = 0x79 - 0x67;

export const WRAP = 0xa7;
export const EXTEND_I32_S = 0xac;
export const EXTEND_I32_U = 0xad;
/** i32.reinterpret_f32, i64.reinterpret_f64, and their inverses in the same order. */
export const REINTERPRET_FIRST = 0xbc;
export const REINTERPRET_LAST = 0xbf;
export const EXTEND8_S = 0xc0;
export const EXTEND16_S = 0xc1;
export const EXTEND64_8_S = 0xc2;
export const EXTEND64_16_S = 0xc3;
export const EXTEND64_32_S = 0xc4;

/** The opcode of the same operation on i32. */
export function i32Code(opcode: Opcode): number {
  if (opcode.code >= I64_ARITHMETIC && opcode.code <= I64_ARITHMETIC_LAST)
    return opcode.code - ARITHMETIC_DISTANCE;
  if (opcode.code >= I64_COMPARISONS && opcode.code < 0x5b) return opcode.code - COMPARISON_DISTANCE;
  return opcode.code;
}
