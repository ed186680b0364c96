import { type Expr, i32Constant, i64Constant } from "./expression.ts";
import {
  ADD,
  AND,
  ARITHMETIC_DISTANCE,
  CLZ,
  CTZ,
  DIV_S,
  DIV_U,
  EQ,
  EQZ,
  EXTEND_I32_S,
  EXTEND_I32_U,
  EXTEND8_S,
  EXTEND16_S,
  EXTEND64_8_S,
  EXTEND64_16_S,
  EXTEND64_32_S,
  GE_S,
  GE_U,
  GT_S,
  GT_U,
  I64_COMPARISONS,
  LE_S,
  LE_U,
  LT_S,
  LT_U,
  MUL,
  NE,
  OR,
  POPCNT,
  REM_S,
  REM_U,
  ROTL,
  ROTR,
  SHL,
  SHR_S,
  SHR_U,
  SUB,
  WRAP,
  XOR,
} from "./integer-opcodes.ts";

function countTrailingZeros32(x: number): number {
  return x === 0 ? 32 : 31 - Math.clz32(x & -x);
}

function countOnes32(x: number): number {
  let rest = x - ((x >>> 1) & 0x5555_5555);
  rest = (rest & 0x3333_3333) + ((rest >>> 2) & 0x3333_3333);
  return Math.imul((rest + (rest >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}

function low32(x: bigint): number {
  return Number(BigInt.asIntN(32, x));
}

function high32(x: bigint): number {
  return Number(BigInt.asIntN(32, x >> 32n));
}

/** The constant that `op e` yields, where `e` is one. */
export function foldUnary(code: number, e: Expr): Expr | undefined {
  if (e.type === "i32") {
    const x = e.payload as number;
    switch (code) {
      case EQZ:
        return i32Constant(x === 0 ? 1 : 0);
      case CLZ:
        return i32Constant(Math.clz32(x));
      case CTZ:
        return i32Constant(countTrailingZeros32(x));
      case POPCNT:
        return i32Constant(countOnes32(x));
      case EXTEND_I32_S:
        return i64Constant(BigInt(x));
      case EXTEND_I32_U:
        return i64Constant(BigInt(x >>> 0));
      case EXTEND8_S:
        return i32Constant((x << 24) >> 24);
      case EXTEND16_S:
        return i32Constant((x << 16) >> 16);
    }
    return undefined;
  }
  if (e.type !== "i64") return undefined;
  const x = e.payload as bigint;
  switch (code) {
    case I64_COMPARISONS:
      return i32Constant(x === 0n ? 1 : 0);
    case CLZ + ARITHMETIC_DISTANCE:
      return i64Constant(BigInt(high32(x) === 0 ? 32 + Math.clz32(low32(x)) : Math.clz32(high32(x))));
    case CTZ + ARITHMETIC_DISTANCE: {
      const low = low32(x);
      return i64Constant(
        BigInt(low === 0 ? 32 + countTrailingZeros32(high32(x)) : countTrailingZeros32(low)),
      );
    }
    case POPCNT + ARITHMETIC_DISTANCE:
      return i64Constant(BigInt(countOnes32(low32(x)) + countOnes32(high32(x))));
    case WRAP:
      return i32Constant(low32(x));
    case EXTEND64_8_S:
      return i64Constant(BigInt.asIntN(8, x));
    case EXTEND64_16_S:
      return i64Constant(BigInt.asIntN(16, x));
    case EXTEND64_32_S:
      return i64Constant(BigInt.asIntN(32, x));
  }
  return undefined;
}

/** The value of a comparison, given the operands as signed and as unsigned numbers. */
function compare<T extends number | bigint>(
  code: number,
  a: T,
  b: T,
  unsignedA: T,
  unsignedB: T,
): Expr | undefined {
  switch (code) {
    case EQ:
      return i32Constant(a === b ? 1 : 0);
    case NE:
      return i32Constant(a !== b ? 1 : 0);
    case LT_S:
      return i32Constant(a < b ? 1 : 0);
    case LT_U:
      return i32Constant(unsignedA < unsignedB ? 1 : 0);
    case GT_S:
      return i32Constant(a > b ? 1 : 0);
    case GT_U:
      return i32Constant(unsignedA > unsignedB ? 1 : 0);
    case LE_S:
      return i32Constant(a <= b ? 1 : 0);
    case LE_U:
      return i32Constant(unsignedA <= unsignedB ? 1 : 0);
    case GE_S:
      return i32Constant(a >= b ? 1 : 0);
    case GE_U:
      return i32Constant(unsignedA >= unsignedB ? 1 : 0);
  }
  return undefined;
}

/** Divisions that trap are left to trap. */
function foldBinary32(code: number, a: number, b: number): Expr | undefined {
  switch (code) {
    case ADD:
      return i32Constant(a + b);
    case SUB:
      return i32Constant(a - b);
    case MUL:
      return i32Constant(Math.imul(a, b));
    case DIV_S:
      return b === 0 || (a === -0x8000_0000 && b === -1) ? undefined : i32Constant(a / b);
    case DIV_U:
      return b === 0 ? undefined : i32Constant((a >>> 0) / (b >>> 0));
    case REM_S:
      return b === 0 ? undefined : i32Constant(a % b);
    case REM_U:
      return b === 0 ? undefined : i32Constant((a >>> 0) % (b >>> 0));
    case AND:
      return i32Constant(a & b);
    case OR:
      return i32Constant(a | b);
    case XOR:
      return i32Constant(a ^ b);
    case SHL:
      return i32Constant(a << b);
    case SHR_S:
      return i32Constant(a >> b);
    case SHR_U:
      return i32Constant(a >>> b);
    case ROTL:
      return i32Constant((a << b) | (a >>> -b));
    case ROTR:
      return i32Constant((a >>> b) | (a << -b));
  }
  return compare(code, a, b, a >>> 0, b >>> 0);
}

function foldBinary64(code: number, a: bigint, b: bigint): Expr | undefined {
  const unsignedA = BigInt.asUintN(64, a);
  const unsignedB = BigInt.asUintN(64, b);
  const count = b & 63n;
  switch (code) {
    case ADD:
      return i64Constant(a + b);
    case SUB:
      return i64Constant(a - b);
    case MUL:
      return i64Constant(a * b);
    case DIV_S:
      return b === 0n || (a === -0x8000_0000_0000_0000n && b === -1n) ? undefined : i64Constant(a / b);
    case DIV_U:
      return b === 0n ? undefined : i64Constant(unsignedA / unsignedB);
    case REM_S:
      return b === 0n ? undefined : i64Constant(a % b);
    case REM_U:
      return b === 0n ? undefined : i64Constant(unsignedA % unsignedB);
    case AND:
      return i64Constant(a & b);
    case OR:
      return i64Constant(a | b);
    case XOR:
      return i64Constant(a ^ b);
    case SHL:
      return i64Constant(a << count);
    case SHR_S:
      return i64Constant(a >> count);
    case SHR_U:
      return i64Constant(unsignedA >> count);
    case ROTL:
      return i64Constant((unsignedA << count) | (unsignedA >> (64n - count)));
    case ROTR:
      return i64Constant((unsignedA >> count) | (unsignedA << (64n - count)));
  }
  return compare(code, a, b, unsignedA, unsignedB);
}

/** The constant that `a op b` yields, where `a` and `b` are constants. */
export function foldBinary(code: number, a: Expr, b: Expr): Expr | undefined {
  if (a.type === "i32") return foldBinary32(code, a.payload as number, b.payload as number);
  return foldBinary64(code, a.payload as bigint, b.payload as bigint);
}
