import { type Expr, type Frame, isConstant, type LateNumber } from "./expression.ts";
import { simplifyCondition } from "./folding.ts";
import type { LinkableFunction } from "./linking.ts";
import type { FunctionRef, TableRef } from "./module-writer.ts";
import { type AtomicStoreName, OPCODES, type Opcode, type OpName } from "./opcodes.ts";
import { expectLane, expectTypes, ValueBuilder } from "./value-builder.ts";
import type { FunctionType, ValueType } from "./value-type.ts";
import { widthOfAccess } from "./width.ts";

export type { Expr, LateNumber, LinkedNumber } from "./expression.ts";
export { constantOf, isConstant } from "./expression.ts";
export { lanesOf, vectorOf } from "./lane-folding.ts";
export type { Variable } from "./value-builder.ts";

/** What a branch goes to: the end of a block or the start of a loop. */
export interface Label {
  readonly frame: Frame;
  readonly isLoop: boolean;
}

/** A span of code in which control runs straight, apart from spans nested in it. */
export type CodeSpan = Pick<Frame, "closed">;

export type Hint = "likely" | "unlikely";

const VOID_BLOCK = 0x40;

function opcodeOf(name: OpName, immediate: Opcode["immediate"], what: string): Opcode {
  const opcode: Opcode = OPCODES[name];
  if (opcode.immediate !== immediate || opcode.class === "control") {
    throw new TypeError(`wasm: ${name} is no ${what}`);
  }
  return opcode;
}

/**
 * Builds one function. Values (`Expr`) are computed where they are first needed and once in what follows that
 * place; effects (loads, stores, calls, assignments, control flow) are written in the order of the calls.
 * Pure operations that can trap, such as divisions, therefore trap where their value is first needed.
 */
export class FunctionBuilder extends ValueBuilder {
  load(name: OpName, address: Expr, offset: number | LateNumber = 0): Expr {
    const opcode = opcodeOf(name, "memory", "load");
    this.access(name, opcode, offset, [address]);
    return this.bindTop(resultOf(name, opcode), widthOfAccess(name, opcode));
  }

  store(name: OpName, address: Expr, value: Expr, offset: number | LateNumber = 0): void {
    const opcode = opcodeOf(name, "memory", "store");
    if (opcode.result !== undefined) throw new TypeError(`wasm: ${name} is no store`);
    this.access(name, opcode, offset, [address, value]);
  }

  /** `v128.load8_lane` and its like: `vector` with one lane read from memory. */
  loadLane(name: OpName, address: Expr, vector: Expr, lane: number, offset = 0): Expr {
    const opcode = opcodeOf(name, "memory-lane", "load of a lane");
    expectLane(name, opcode, lane);
    this.access(name, opcode, offset, [address, vector]);
    this.emitter.code.u8(lane);
    return this.bindTop(resultOf(name, opcode));
  }

  storeLane(name: OpName, address: Expr, vector: Expr, lane: number, offset = 0): void {
    const opcode = opcodeOf(name, "memory-lane", "store of a lane");
    if (opcode.result !== undefined) throw new TypeError(`wasm: ${name} is no store of a lane`);
    expectLane(name, opcode, lane);
    this.access(name, opcode, offset, [address, vector]);
    this.emitter.code.u8(lane);
  }

  atomic(name: AtomicStoreName, address: Expr, offset: number, ...args: Expr[]): undefined;
  atomic(name: Exclude<OpName, AtomicStoreName>, address: Expr, offset: number, ...args: Expr[]): Expr;
  atomic(name: OpName, address: Expr, offset: number, ...args: Expr[]): Expr | undefined;
  atomic(name: OpName, address: Expr, offset: number, ...args: Expr[]): Expr | undefined {
    const opcode = opcodeOf(name, "memory", "atomic access");
    if (opcode.class !== "atomic") throw new TypeError(`wasm: ${name} is no atomic access`);
    this.access(name, opcode, offset, [address, ...args]);
    return opcode.result === undefined ? undefined : this.bindTop(opcode.result, widthOfAccess(name, opcode));
  }

  atomicFence(): void {
    this.emitter.opcode(OPCODES["atomic.fence"]);
    this.emitter.code.u8(0);
  }

  memorySize(): Expr {
    return this.bulk("memory.size", 1, []) as Expr;
  }

  memoryGrow(pages: Expr): Expr {
    return this.bulk("memory.grow", 1, [pages]) as Expr;
  }

  memoryCopy(destination: Expr, source: Expr, byteCount: Expr): void {
    this.bulk("memory.copy", 2, [destination, source, byteCount]);
  }

  memoryFill(destination: Expr, value: Expr, byteCount: Expr): void {
    this.bulk("memory.fill", 1, [destination, value, byteCount]);
  }

  /** Calls a function of at most one result. */
  call(target: FunctionRef, ...args: Expr[]): Expr | undefined {
    return oneResult(this.callMulti(target, ...args));
  }

  callMulti(target: FunctionRef, ...args: Expr[]): Expr[] {
    this.pushArguments(target.name, target.type, args);
    this.emitter.opcode(OPCODES.call);
    this.emitter.callee(target);
    return this.bindResults(target.type.results);
  }

  callIndirect(table: TableRef, type: FunctionType, index: Expr, ...args: Expr[]): Expr | undefined {
    return oneResult(this.callIndirectMulti(table, type, index, ...args));
  }

  callIndirectMulti(table: TableRef, type: FunctionType, index: Expr, ...args: Expr[]): Expr[] {
    this.indirect(OPCODES.call_indirect, table, type, index, args);
    return this.bindResults(type.results);
  }

  returnCall(target: FunctionRef, ...args: Expr[]): void {
    this.expectSameResults(target.name, target.type);
    this.pushArguments(target.name, target.type, args);
    this.emitter.opcode(OPCODES.return_call);
    this.emitter.callee(target);
  }

  returnCallIndirect(table: TableRef, type: FunctionType, index: Expr, ...args: Expr[]): void {
    this.expectSameResults("return_call_indirect", type);
    this.indirect(OPCODES.return_call_indirect, table, type, index, args);
  }

  if(condition: Expr, then: () => void, otherwise?: () => void, hint?: Hint): void {
    expectTypes("if", [condition], ["i32"]);
    const test = simplifyCondition(condition);
    if (isConstant(test)) {
      if (test.payload !== 0) then();
      else otherwise?.();
      return;
    }
    const { emitter } = this;
    emitter.push(test);
    if (hint !== undefined) emitter.hint(hint === "likely");
    emitter.opcode(OPCODES.if);
    emitter.code.u8(VOID_BLOCK);
    this.within(emitter.openFrame(true, -1), then);
    if (otherwise !== undefined) {
      emitter.opcode(OPCODES.else);
      this.within(emitter.openFrame(true, -1), otherwise);
    }
    emitter.opcode(OPCODES.end);
  }

  /** A branch to the label leaves the block. */
  block(body: (label: Label) => void): void {
    this.labelled(OPCODES.block, false, body);
  }

  /** A branch to the label starts the loop again; at the end of the body the loop is left. */
  loop(body: (label: Label) => void): void {
    this.labelled(OPCODES.loop, true, body);
  }

  br(label: Label): void {
    this.emitter.opcode(OPCODES.br);
    this.emitter.code.u32(this.branchDepth(label));
  }

  brIf(label: Label, condition: Expr, hint?: Hint): void {
    expectTypes("br_if", [condition], ["i32"]);
    const test = simplifyCondition(condition);
    if (isConstant(test)) {
      if (test.payload !== 0) this.br(label);
      return;
    }
    this.emitter.push(test);
    if (hint !== undefined) this.emitter.hint(hint === "likely");
    const depth = this.branchDepth(label);
    this.emitter.opcode(OPCODES.br_if);
    this.emitter.code.u32(depth);
  }

  brTable(index: Expr, labels: readonly Label[], fallback: Label): void {
    expectTypes("br_table", [index], ["i32"]);
    if (isConstant(index)) {
      this.br(labels[(index.payload as number) >>> 0] ?? fallback);
      return;
    }
    const { emitter } = this;
    emitter.push(index);
    const depths = labels.map((label) => this.branchDepth(label));
    const fallbackDepth = this.branchDepth(fallback);
    emitter.opcode(OPCODES.br_table);
    emitter.code.u32(depths.length);
    for (const depth of depths) emitter.code.u32(depth);
    emitter.code.u32(fallbackDepth);
  }

  return(...values: Expr[]): void {
    expectTypes("return", values, this.type.results);
    for (const value of values) this.emitter.push(value);
    this.emitter.opcode(OPCODES.return);
  }

  unreachable(): void {
    this.emitter.opcode(OPCODES.unreachable);
  }

  /** The finished function, for any module whose first type is `onlyType`: the only one that it calls by a table. */
  assemble(onlyType: FunctionType): LinkableFunction {
    return this.emitter.assemble((type) => {
      if (type !== onlyType) throw new TypeError("wasm: code to be linked uses another type");
      return 0;
    });
  }

  /** The innermost span of code that is open: what is computed in it is there until it closes. */
  get span(): CodeSpan {
    return this.emitter.frame;
  }

  /** Locals of what is bound in the body, and its variables, serve again after its end. */
  scope(body: () => void): void {
    this.within(this.emitter.openScope(), body);
  }

  private within(frame: Frame, body: () => void): void {
    body();
    this.emitter.closeFrame(frame);
  }

  private labelled(opcode: Opcode, isLoop: boolean, body: (label: Label) => void): void {
    const { emitter } = this;
    emitter.opcode(opcode);
    emitter.code.u8(VOID_BLOCK);
    const start = emitter.code.length;
    const frame = emitter.openFrame(true, Number.POSITIVE_INFINITY);
    this.within(frame, () => body({ frame, isLoop }));
    if (isLoop) emitter.loopEnds(start);
    emitter.opcode(OPCODES.end);
  }

  /**
   * How many labels out the label is, for a branch that comes next.
   * What is computed after a branch out of a block is not there at the block's end.
   */
  private branchDepth(label: Label): number {
    const { frame } = label;
    if (frame.closed) throw new Error("wasm: a branch goes to a label that it is not within");
    if (!label.isLoop) frame.forwardsUntil = Math.min(frame.forwardsUntil, this.emitter.code.length);
    return this.emitter.frame.depth - frame.depth;
  }

  private access(name: OpName, opcode: Opcode, offset: number | LateNumber, values: readonly Expr[]): void {
    expectTypes(name, values, opcode.operands);
    const { emitter } = this;
    for (const value of values) emitter.push(value);
    emitter.opcode(opcode);
    emitter.code.u8(opcode.alignment);
    if (typeof offset === "number") emitter.code.u32(offset);
    else emitter.late(offset);
  }

  private bulk(name: OpName, memoryIndices: number, values: readonly Expr[]): Expr | undefined {
    const opcode: Opcode = OPCODES[name];
    expectTypes(name, values, opcode.operands);
    for (const value of values) this.emitter.push(value);
    this.emitter.opcode(opcode);
    for (let i = 0; i < memoryIndices; i++) this.emitter.code.u8(0);
    return opcode.result === undefined ? undefined : this.bindTop(opcode.result);
  }

  private pushArguments(what: string, type: FunctionType, args: readonly Expr[]): void {
    expectTypes(what, args, type.params);
    for (const argument of args) this.emitter.push(argument);
  }

  private indirect(
    opcode: Opcode,
    table: TableRef,
    type: FunctionType,
    index: Expr,
    args: readonly Expr[],
  ): void {
    this.pushArguments("an indirect call", type, args);
    expectTypes("an indirect call's index", [index], ["i32"]);
    this.emitter.push(index);
    this.emitter.opcode(opcode);
    this.emitter.typeUse(type);
    this.emitter.code.u32(table);
  }

  private expectSameResults(what: string, type: FunctionType): void {
    const mine = this.type.results;
    const same = mine.length === type.results.length && mine.every((result, i) => result === type.results[i]);
    if (!same)
      throw new TypeError(`wasm: ${what} returns (${type.results.join(" ")}), not (${mine.join(" ")})`);
  }

  private bindResults(types: readonly ValueType[]): Expr[] {
    const results: Expr[] = [];
    for (let i = types.length - 1; i >= 0; i--) results.unshift(this.bindTop(types[i] as ValueType));
    return results;
  }
}

function resultOf(name: OpName, opcode: Opcode): ValueType {
  if (opcode.result === undefined) throw new TypeError(`wasm: ${name} has no result`);
  return opcode.result;
}

function oneResult(results: readonly Expr[]): Expr | undefined {
  if (results.length > 1)
    throw new TypeError("wasm: a call of several results needs callMulti or callIndirectMulti");
  return results[0];
}
