import type { Opcode } from "./opcodes.ts";
import type { ValueType } from "./value-type.ts";

export type ExprKind = 0 | 1 | 2 | 3 | 4 | 5;
export const KIND_CONSTANT = 0;
export const KIND_LOCAL = 1;
export const KIND_GLOBAL = 2;
export const KIND_OPERATION = 3;
/** A constant that is known only when the function is finished. */
export const KIND_LATE = 4;
/** A constant that is put in when the function is linked. */
export const KIND_LINKED = 5;

/** A small number, -2^20 to 2^20 - 1, that is asked for when the function is finished. */
export type LateNumber = () => number;

/** What a symbol stands for, which only who links the function knows, plus an addend. */
export interface LinkedNumber {
  readonly symbol: number;
  readonly addend: number;
}

/** The payload of a read of a local that may be assigned more than once. */
export const MUTABLE = 1;

/** A constant's value, or an operation's immediate. i64 values are signed, and so are i32 values. */
export type Payload = number | bigint | Uint8Array | LateNumber | LinkedNumber | undefined;

/**
 * A span of code from whose start to whose end control runs straight, apart from spans nested in it.
 * A value computed in it is there until it closes; see `forwardsUntil` for what outlives it.
 */
export class Frame {
  readonly parent: Frame | undefined;
  readonly isScope: boolean;
  /** The number of enclosing blocks, loops and ifs, this one included. */
  readonly depth: number;
  closed = false;
  /** Values computed at or before this position of the code are still there after the frame's end. */
  forwardsUntil: number;
  /** Locals of shared values, each followed by the position at which its value was computed. */
  readonly shared: number[] = [];
  /** Locals that are in use until the frame closes. Only scopes have any. */
  readonly bound: number[] = [];

  constructor(parent: Frame | undefined, isScope: boolean, depth: number, forwardsUntil: number) {
    this.parent = parent;
    this.isScope = isScope;
    this.depth = depth;
    this.forwardsUntil = forwardsUntil;
  }
}

/**
 * A value: a constant, a local or global, or a pure operation on values. Opaque outside this folder but for
 * `type`. One class with one shape, because building nodes is the writer's hot path.
 */
export class Expr {
  readonly kind: ExprKind;
  readonly type: ValueType;
  readonly opcode: Opcode | undefined;
  readonly a: Expr | undefined;
  readonly b: Expr | undefined;
  readonly c: Expr | undefined;
  readonly payload: Payload;
  /** The local or global that this reads, or the local that an operation's value is kept in, or -1. */
  local: number;
  /** Where an operation was last computed; the scope that a local lives in. */
  frame: Frame | undefined;
  /** The end of the operation's code. */
  position = 0;
  /** Bits of an integer from this one upwards are known to be zero. */
  width = 64;
  /** What a local holds that was bound to a value. */
  origin: Expr | undefined;

  constructor(
    kind: ExprKind,
    type: ValueType,
    opcode: Opcode | undefined,
    a: Expr | undefined,
    b: Expr | undefined,
    c: Expr | undefined,
    payload: Payload,
    local: number,
    frame: Frame | undefined,
  ) {
    this.kind = kind;
    this.type = type;
    this.opcode = opcode;
    this.a = a;
    this.b = b;
    this.c = c;
    this.payload = payload;
    this.local = local;
    this.frame = frame;
  }
}

export function i32Constant(value: number): Expr {
  return new Expr(KIND_CONSTANT, "i32", undefined, undefined, undefined, undefined, value | 0, -1, undefined);
}

export function i64Constant(value: bigint): Expr {
  const payload = BigInt.asIntN(64, value);
  return new Expr(KIND_CONSTANT, "i64", undefined, undefined, undefined, undefined, payload, -1, undefined);
}

/** A constant of another type. */
export function constant(type: ValueType, payload: Payload): Expr {
  return new Expr(KIND_CONSTANT, type, undefined, undefined, undefined, undefined, payload, -1, undefined);
}

export function operation(
  opcode: Opcode,
  type: ValueType,
  a?: Expr,
  b?: Expr,
  c?: Expr,
  immediate?: Payload,
): Expr {
  return new Expr(KIND_OPERATION, type, opcode, a, b, c, immediate, -1, undefined);
}

export function isConstant(e: Expr): boolean {
  return e.kind === KIND_CONSTANT;
}

/** The value of an integer or float constant; integers are signed. Undefined for all else, and for v128. */
export function constantOf(e: Expr): number | bigint | undefined {
  if (e.kind !== KIND_CONSTANT || e.type === "v128") return undefined;
  return e.payload as number | bigint;
}
