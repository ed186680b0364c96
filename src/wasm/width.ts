import { type Expr, KIND_CONSTANT } from "./expression.ts";
import {
  ADD,
  AND,
  CLZ,
  DIV_U,
  EQZ,
  EXTEND_I32_S,
  EXTEND_I32_U,
  i32Code,
  LAST_COMPARISON,
  MUL,
  OR,
  POPCNT,
  REM_U,
  SHL,
  SHR_U,
  WRAP,
  XOR,
} from "./integer-opcodes.ts";
import type { Opcode, OpName } from "./opcodes.ts";
import type { ValueType } from "./value-type.ts";

/** The width that every value of the type has. */
export function fullWidth(type: ValueType): number {
  return type === "i32" ? 32 : 64;
}

/** The number of bits up to the highest one set. */
function widthOfConstant(value: number | bigint): number {
  if (typeof value === "number") return 32 - Math.clz32(value);
  if (value < 0n) return 64;
  const high = Number(value >> 32n);
  return high !== 0 ? 64 - Math.clz32(high) : 32 - Math.clz32(Number(value));
}

export function widthOfOperand(e: Expr): number {
  if (e.type !== "i32" && e.type !== "i64") return 64;
  if (e.kind === KIND_CONSTANT) return widthOfConstant(e.payload as number | bigint);
  return Math.min(e.width, fullWidth(e.type));
}

/** The width of the value of an operation on `a` and `b`. */
export function widthOf(opcode: Opcode, a: Expr, b: Expr | undefined): number {
  if (opcode.code >= EQZ && opcode.code <= LAST_COMPARISON) return 1;
  if (opcode.result !== "i32" && opcode.result !== "i64") return 64;
  const full = fullWidth(opcode.result);
  if (a.type !== "i32" && a.type !== "i64") return full;
  const widthA = widthOfOperand(a);
  const widthB = b === undefined ? 0 : widthOfOperand(b);
  const code = i32Code(opcode);
  switch (code) {
    case WRAP:
    case EXTEND_I32_U:
      return Math.min(widthA, 32);
    case EXTEND_I32_S:
      return widthA < 32 ? widthA : 64;
    case AND:
      return Math.min(widthA, widthB);
    case OR:
    case XOR:
      return Math.max(widthA, widthB);
    case ADD:
      return Math.min(full, Math.max(widthA, widthB) + 1);
    case MUL:
      return Math.min(full, widthA + widthB);
    case DIV_U:
      return widthA;
    case REM_U:
      return Math.min(widthA, widthB);
    case SHL:
    case SHR_U: {
      if (b?.kind !== KIND_CONSTANT) return code === SHR_U ? widthA : full;
      const count = Number(b.payload) & (full - 1);
      return code === SHR_U ? Math.max(widthA - count, 0) : Math.min(full, widthA + count);
    }
  }
  return code >= CLZ && code <= POPCNT ? 7 : full;
}

/** The width of what a load or an atomic access yields. */
export function widthOfAccess(name: OpName, opcode: Opcode): number {
  if (opcode.result === undefined || opcode.result === "v128" || !name.endsWith("_u")) return 64;
  return 8 << opcode.alignment;
}
