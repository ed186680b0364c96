import { CodeEmitter } from "./code-emitter.ts";
import {
  constant,
  Expr,
  i32Constant,
  i64Constant,
  isConstant,
  KIND_GLOBAL,
  KIND_LATE,
  KIND_LINKED,
  KIND_LOCAL,
  KIND_OPERATION,
  type LateNumber,
  type LinkedNumber,
  MUTABLE,
  operation,
} from "./expression.ts";
import { simplify, simplifyCondition } from "./folding.ts";
import { REINTERPRET_FIRST, REINTERPRET_LAST } from "./integer-opcodes.ts";
import { lanesOf, vectorOf } from "./lane-folding.ts";
import type { GlobalRef } from "./module-writer.ts";
import { OPCODES, type Opcode, type OpName } from "./opcodes.ts";
import type { FunctionType, ValueType } from "./value-type.ts";
import { widthOfOperand } from "./width.ts";

/** A mutable local. */
export interface Variable {
  readonly type: ValueType;
  readonly local: number;
  /** Its value wherever this is used. */
  readonly read: Expr;
}

function isReinterpretation({ prefix, code }: Opcode): boolean {
  return prefix === 0 && code >= REINTERPRET_FIRST && code <= REINTERPRET_LAST;
}

function typesEqual(values: readonly Expr[], types: readonly ValueType[]): boolean {
  if (values.length !== types.length) return false;
  for (let i = 0; i < types.length; i++) {
    if ((values[i] as Expr).type !== types[i]) return false;
  }
  return true;
}

export function expectTypes(what: string, values: readonly Expr[], types: readonly ValueType[]): void {
  if (typesEqual(values, types)) return;
  const given = values.map((value) => value?.type ?? "nothing").join(" ");
  throw new TypeError(`wasm: ${what} takes (${types.join(" ")}), not (${given})`);
}

export function expectLane(name: OpName, opcode: Opcode, lane: number): void {
  if (lane >= 0 && lane < opcode.lanes && Number.isInteger(lane)) return;
  throw new RangeError(`wasm: ${name} has no lane ${lane}`);
}

/** The half of a function's builder that makes values and keeps them in locals. */
export class ValueBuilder {
  readonly type: FunctionType;
  /** Keeps a vector that is put together from lanes in parts; for code that takes most vectors apart again. */
  bindsParts = false;
  /** For this folder only. */
  readonly emitter: CodeEmitter;
  private readonly parameters: readonly Expr[];

  constructor(type: FunctionType) {
    this.type = type;
    this.emitter = new CodeEmitter(type);
    this.parameters = type.params.map((parameter, i) => this.emitter.localRead(parameter, i));
  }

  parameter(index: number): Expr {
    const parameter = this.parameters[index];
    if (parameter === undefined) throw new RangeError(`wasm: the function has no parameter ${index}`);
    return parameter;
  }

  i32(value: number): Expr {
    return i32Constant(value);
  }

  i64(value: bigint): Expr {
    return i64Constant(value);
  }

  f32(value: number): Expr {
    return constant("f32", Math.fround(value));
  }

  f64(value: number): Expr {
    return constant("f64", value);
  }

  v128(bytes: Uint8Array): Expr {
    if (bytes.length !== 16) throw new RangeError(`wasm: v128.const takes 16 bytes, not ${bytes.length}`);
    return constant("v128", bytes.slice());
  }

  /** An i64 constant that is known only when the function is finished. */
  lateI64(value: LateNumber): Expr {
    return new Expr(KIND_LATE, "i64", undefined, undefined, undefined, undefined, value, -1, undefined);
  }

  /** An i32 constant, 0 to 2^27 - 1, that is put in when the function is linked (linking.ts). */
  linked(number: LinkedNumber): Expr {
    return new Expr(KIND_LINKED, "i32", undefined, undefined, undefined, undefined, number, -1, undefined);
  }

  /** An imported global, which does not change. */
  global(ref: GlobalRef): Expr {
    return new Expr(
      KIND_GLOBAL,
      ref.type,
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
      ref.index,
      undefined,
    );
  }

  /** A pure operation. */
  op(name: OpName, ...args: Expr[]): Expr {
    const opcode: Opcode = OPCODES[name];
    if (opcode.class !== "pure" || opcode.immediate !== "none")
      throw new TypeError(`wasm: ${name} is no plain operation`);
    expectTypes(name, args, opcode.operands);
    return simplify(opcode, args[0] as Expr, args[1], args[2]);
  }

  /** A pure operation with a lane index, or `i8x16.shuffle` with its 16 lane indices. */
  opImm(name: OpName, immediate: number | Uint8Array, ...args: Expr[]): Expr {
    const opcode: Opcode = OPCODES[name];
    const lanes = typeof immediate === "number" ? [immediate] : immediate;
    const count = opcode.immediate === "lane" ? 1 : opcode.immediate === "shuffle" ? 16 : -1;
    if (opcode.class !== "pure" || lanes.length !== count)
      throw new TypeError(`wasm: ${name} takes no such immediate`);
    for (const lane of lanes) expectLane(name, opcode, lane);
    expectTypes(name, args, opcode.operands);
    const payload = typeof immediate === "number" && count === 1 ? immediate : Uint8Array.from(lanes);
    return simplify(opcode, args[0] as Expr, args[1], args[2], payload);
  }

  /** `condition ? a : b`, both computed. */
  select(condition: Expr, a: Expr, b: Expr): Expr {
    expectTypes("select", [condition, a, b], ["i32", a.type, a.type]);
    if (isConstant(condition)) return condition.payload !== 0 ? a : b;
    if (a === b) return a;
    const e = operation(OPCODES.select, a.type, a, b, simplifyCondition(condition));
    e.width = Math.max(widthOfOperand(a), widthOfOperand(b));
    return e;
  }

  /** Computes the value now. What it returns needs no further computation. */
  bind(e: Expr): Expr {
    if (isConstant(e) || e.kind === KIND_GLOBAL) return e;
    if (e.kind === KIND_LOCAL && e.payload !== MUTABLE) return e;
    if (this.bindsParts && e.kind === KIND_OPERATION) {
      const parts = this.bindPartsOf(e);
      if (parts !== undefined) return parts;
    }
    this.emitter.push(e);
    const bound = this.bindTop(e.type, e.width);
    bound.origin = e;
    return bound;
  }

  /** Of a vector made of lanes, and of a number that is another type's bits, what they are made of is computed. */
  private bindPartsOf(e: Expr): Expr | undefined {
    if (e.type === "v128") {
      const lanes = lanesOf(e);
      return lanes && vectorOf(this.bind(lanes[0]), this.bind(lanes[1]));
    }
    if (e.opcode?.class !== "pure" || !isReinterpretation(e.opcode)) return undefined;
    const inner = this.bind(e.a as Expr);
    return inner === e.a ? e : operation(e.opcode, e.type, inner);
  }

  variable(type: ValueType, initial?: Expr): Variable {
    const local = this.emitter.takeVariable(type);
    const variable = { type, local, read: this.emitter.localRead(type, local, true) };
    if (initial !== undefined) this.set(variable, initial);
    return variable;
  }

  /** A variable that is set before it is read, in the order of the code and in each turn of a loop. */
  local(type: ValueType): Variable {
    const local = this.emitter.takeLocal(type);
    return { type, local, read: this.emitter.localRead(type, local, true) };
  }

  /** The variable's value at this point. */
  get(variable: Variable): Expr {
    this.emitter.push(variable.read);
    return this.bindTop(variable.type);
  }

  /** The variable's value at the point where it is used. There must be no assignment in between. */
  getLazy(variable: Variable): Expr {
    return variable.read;
  }

  set(variable: Variable, value: Expr): void {
    expectTypes("the variable", [value], [variable.type]);
    if (variable.read.frame?.closed)
      throw new Error("wasm: a variable is assigned after the end of its scope");
    if (value.kind === KIND_LOCAL && value.local === variable.local) return;
    this.emitter.push(value);
    this.emitter.localSet(variable.local);
  }

  /** Keeps what is on top of the stack in a local. */
  protected bindTop(type: ValueType, width = 64): Expr {
    const local = this.emitter.takeLocal(type);
    this.emitter.localSet(local);
    const e = this.emitter.localRead(type, local);
    e.width = width;
    return e;
  }
}
