import { foldBinary, foldUnary } from "./constant-folding.ts";
import {
  type Expr,
  i32Constant,
  i64Constant,
  KIND_CONSTANT,
  KIND_OPERATION,
  operation,
} from "./expression.ts";
import {
  ADD,
  AND,
  DIV_S,
  DIV_U,
  EQ,
  EQZ,
  EXTEND_I32_S,
  EXTEND_I32_U,
  EXTEND8_S,
  EXTEND64_8_S,
  EXTEND64_32_S,
  GE_U,
  I64_COMPARISONS,
  i32Code,
  LE_S,
  MUL,
  NE,
  OR,
  REINTERPRET_FIRST,
  REINTERPRET_LAST,
  ROTL,
  ROTR,
  SHL,
  SHR_S,
  SHR_U,
  SUB,
  WRAP,
  XOR,
} from "./integer-opcodes.ts";
import { simplifyLanes } from "./lane-folding.ts";
import { OPCODES, type Opcode, type OpName } from "./opcodes.ts";
import { widthOf } from "./width.ts";

/** The comparison that is true where the one at this distance from `eq` is false: eq, ne, lt_s, ..., ge_u. */
const INVERSES_I32: readonly Opcode[] = [
  OPCODES["i32.ne"],
  OPCODES["i32.eq"],
  OPCODES["i32.ge_s"],
  OPCODES["i32.ge_u"],
  OPCODES["i32.le_s"],
  OPCODES["i32.le_u"],
  OPCODES["i32.gt_s"],
  OPCODES["i32.gt_u"],
  OPCODES["i32.lt_s"],
  OPCODES["i32.lt_u"],
];
const INVERSES_I64: readonly Opcode[] = [
  OPCODES["i64.ne"],
  OPCODES["i64.eq"],
  OPCODES["i64.ge_s"],
  OPCODES["i64.ge_u"],
  OPCODES["i64.le_s"],
  OPCODES["i64.le_u"],
  OPCODES["i64.gt_s"],
  OPCODES["i64.gt_u"],
  OPCODES["i64.lt_s"],
  OPCODES["i64.lt_u"],
];

/** The operation itself, with what is known of its width. */
function build(opcode: Opcode, a: Expr, b?: Expr): Expr {
  const e = operation(opcode, opcode.result as Expr["type"], a, b);
  e.width = widthOf(opcode, a, b);
  return e;
}

/** -1, 0 or 1 where the constant is that; else 2. */
function smallValue(value: number | bigint): number {
  if (value === 0 || value === 0n) return 0;
  if (value === 1 || value === 1n) return 1;
  return value === -1 || value === -1n ? -1 : 2;
}

/** Whether the constant has all of the `width` lowest bits set. */
function coversBits(value: number | bigint, width: number): boolean {
  if (typeof value === "bigint") return BigInt.asUintN(width, ~value) === 0n;
  return width < 32 ? (~value & ((1 << width) - 1)) === 0 : value === -1;
}

/** What `x op right` is without that operation, where `right` is a constant. */
function dropOperation(code: number, x: Expr, right: Expr): Expr | undefined {
  const value = right.payload as number | bigint;
  const small = smallValue(value);
  switch (code) {
    case ADD:
    case SUB:
    case XOR:
      return small === 0 ? x : undefined;
    case OR:
      return small === 0 ? x : small === -1 ? right : undefined;
    case MUL:
      return small === 1 ? x : small === 0 ? right : undefined;
    case AND:
      return small === 0 ? right : coversBits(value, x.width) ? x : undefined;
    case SHL:
    case SHR_S:
    case ROTL:
    case ROTR:
      return shiftCount(right) === 0 ? x : undefined;
    case SHR_U:
      if (shiftCount(right) === 0) return x;
      return shiftCount(right) >= x.width ? zero(x) : undefined;
    case DIV_S:
    case DIV_U:
      return small === 1 ? x : undefined;
  }
  return undefined;
}

function shiftCount(right: Expr): number {
  return right.type === "i64" ? Number((right.payload as bigint) & 63n) : (right.payload as number) & 31;
}

function zero(like: Expr): Expr {
  return like.type === "i64" ? i64Constant(0n) : i32Constant(0);
}

/** `x op right`, where `right` is a constant. */
function simplifyByConstant(opcode: Opcode, code: number, x: Expr, right: Expr): Expr {
  const dropped = dropOperation(code, x, right);
  if (dropped !== undefined) return dropped;
  const is64 = right.type === "i64";
  if (code === SUB) {
    const negated = is64 ? i64Constant(-(right.payload as bigint)) : i32Constant(-(right.payload as number));
    return simplifyByConstant(is64 ? OPCODES["i64.add"] : OPCODES["i32.add"], ADD, x, negated);
  }
  if (code === EQ && smallValue(right.payload as number | bigint) === 0) {
    return simplifyUnary(is64 ? OPCODES["i64.eqz"] : OPCODES["i32.eqz"], x);
  }
  // (x + c1) + c2 = x + (c1 + c2), and the same for the other associative operations.
  if (x.opcode === opcode && isAssociative(code) && x.b?.kind === KIND_CONSTANT) {
    return simplifyByConstant(opcode, code, x.a as Expr, foldBinary(code, x.b, right) as Expr);
  }
  return build(opcode, x, right);
}

function isAssociative(code: number): boolean {
  return code === ADD || code === AND || code === OR || code === XOR || code === MUL;
}

function isCommutative(code: number): boolean {
  return isAssociative(code) || code === EQ || code === NE;
}

/** `x op x`. */
function simplifyEqual(code: number, x: Expr): Expr | undefined {
  if (code === AND || code === OR) return x;
  if (code === XOR || code === SUB) return zero(x);
  // Of the comparisons, eq, le and ge hold of equal values.
  if (code < EQ || code > GE_U) return undefined;
  return i32Constant(code === EQ || code >= LE_S ? 1 : 0);
}

/** What `op (inner a b)` is without one of the two operations. */
function simplifyPair(code: number, outer: Expr, inner: Opcode): Expr | undefined {
  const a = outer.a as Expr;
  switch (code) {
    case EQZ:
      if (inner.code >= EQ && inner.code <= GE_U)
        return build(INVERSES_I32[inner.code - EQ] as Opcode, a, outer.b);
      if (inner.code > I64_COMPARISONS && inner.code <= I64_COMPARISONS + 10) {
        return build(INVERSES_I64[inner.code - I64_COMPARISONS - 1] as Opcode, a, outer.b);
      }
      return undefined;
    case I64_COMPARISONS:
      if (inner.code !== EXTEND_I32_S && inner.code !== EXTEND_I32_U) return undefined;
      return simplifyUnary(OPCODES["i32.eqz"], a);
    case WRAP:
      if (inner.code === EXTEND_I32_S || inner.code === EXTEND_I32_U) return a;
      if (inner === OPCODES["i64.and"] && outer.b?.kind === KIND_CONSTANT) {
        if (coversBits(outer.b.payload as bigint, 32)) return simplifyUnary(OPCODES["i32.wrap_i64"], a);
      }
      return undefined;
    case EXTEND_I32_U:
      return inner.code === WRAP && a.width <= 32 ? a : undefined;
    case EXTEND_I32_S:
      return inner.code === WRAP ? simplifyUnary(OPCODES["i64.extend32_s"], a) : undefined;
  }
  // A reinterpretation and its inverse.
  if (code >= REINTERPRET_FIRST && code <= REINTERPRET_LAST && inner.code === (code ^ 2)) return a;
  return undefined;
}

function simplifyUnary(opcode: Opcode, a: Expr): Expr {
  const { code } = opcode;
  if (a.kind === KIND_CONSTANT) {
    const folded = foldUnary(code, a);
    if (folded !== undefined) return folded;
  }
  if (code >= EXTEND8_S && code <= EXTEND64_32_S) {
    const bits = 8 << (code < EXTEND64_8_S ? code - EXTEND8_S : code - EXTEND64_8_S);
    if (a.width < bits) return a;
  }
  const inner = a.opcode;
  const simpler = inner !== undefined && inner.prefix === 0 ? simplifyPair(code, a, inner) : undefined;
  return simpler ?? build(opcode, a);
}

/** The value of a pure operation, as simple as it can be had. */
export function simplify(opcode: Opcode, a: Expr, b?: Expr, c?: Expr, immediate?: Expr["payload"]): Expr {
  if (opcode.prefix !== 0) {
    const scalar = (name: OpName, x: Expr, y: Expr): Expr => simplify(OPCODES[name], x, y);
    const known = simplifyLanes(opcode, a, b, immediate, scalar);
    return known ?? operation(opcode, opcode.result as Expr["type"], a, b, c, immediate);
  }
  if (b === undefined) return simplifyUnary(opcode, a);
  if (a.type !== "i32" && a.type !== "i64") return build(opcode, a, b);
  const code = i32Code(opcode);
  if (b.kind === KIND_CONSTANT) {
    if (a.kind === KIND_CONSTANT) return foldBinary(code, a, b) ?? build(opcode, a, b);
    return simplifyByConstant(opcode, code, a, b);
  }
  if (a.kind === KIND_CONSTANT && isCommutative(code)) return simplifyByConstant(opcode, code, b, a);
  return (a === b ? simplifyEqual(code, a) : undefined) ?? build(opcode, a, b);
}

/** A condition that is zero exactly where `condition` is, without a comparison against zero. */
export function simplifyCondition(condition: Expr): Expr {
  let e = condition;
  while (e.kind === KIND_OPERATION && e.opcode?.prefix === 0) {
    const inner = e.a as Expr;
    if (e.opcode.code === NE && e.b?.kind === KIND_CONSTANT && e.b.payload === 0) e = inner;
    else if (e.opcode.code === EQZ && inner.kind === KIND_OPERATION && inner.opcode === OPCODES["i32.eqz"]) {
      e = inner.a as Expr;
    } else return e;
  }
  return e;
}
