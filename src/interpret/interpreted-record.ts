import type { HandlerShape } from "../decode/shape.ts";
import type { HelperName } from "../isa/helpers.ts";
import * as cpu from "../layout/cpu-state.ts";
import { CPU_STATE } from "../layout/memory-map.ts";
import * as record from "../layout/record.ts";
import type { FieldLoad, RecordContext, RegisterBits } from "../lower/record-context.ts";
import type { Expr, FunctionBuilder } from "../wasm/function-builder.ts";
import type { FunctionRef } from "../wasm/module-writer.ts";
import type { OpName } from "../wasm/opcodes.ts";
import type { HandlerContext } from "./shared-functions.ts";

const LOADS: Record<RegisterBits, OpName> = {
  8: "i32.load8_u",
  16: "i32.load16_u",
  32: "i32.load",
  64: "i64.load",
  128: "v128.load",
};
const STORES: Record<RegisterBits, OpName> = {
  8: "i32.store8",
  16: "i32.store16",
  32: "i32.store",
  64: "i64.store",
  128: "v128.store",
};

/** Helpers in which devices and the time-stamp counter are accessed. */
const ASKS_FOR_TIME =
  /^(rdtsc|rdtscp|rdmsr|wrmsr|rdpmc|portIn|portOut|string|readSlow|writeSlow|modifySlow|commitWrite|writeControl|readControl|fxsave|fxrstor|xsave|xrstor|x87)/;

/**
 * Lowering for the interpreter: state in memory, operands from the record at
 * `pc` plus a constant, which is not 0 for the later record of a fused handler.
 */
export class InterpretedRecord implements RecordContext {
  readonly b: FunctionBuilder;
  readonly #handler: HandlerContext;
  readonly #shape: HandlerShape;
  readonly #recordOffset: number;

  constructor(handler: HandlerContext, shape: HandlerShape, recordOffset: number) {
    this.b = handler.b;
    this.#handler = handler;
    this.#shape = shape;
    this.#recordOffset = recordOffset;
  }

  helper(name: HelperName): FunctionRef {
    return this.#handler.helper(name);
  }

  field(load: FieldLoad, offset: number): Expr {
    return this.b.load(load, this.#handler.pc, this.#recordOffset + offset);
  }

  loadState(bits: RegisterBits, offset: Expr): Expr {
    return this.b.load(LOADS[bits], offset, CPU_STATE);
  }

  storeState(bits: RegisterBits, offset: Expr, value: Expr): void {
    this.b.store(STORES[bits], offset, value, CPU_STATE);
  }

  /** Time in deterministic mode is the exact count of instructions, of which BUDGET knows only whole blocks. */
  beforeHelper(name: HelperName): void {
    if (ASKS_FOR_TIME.test(name)) this.storeState(32, this.b.i32(cpu.CURRENT_RECORD), this.#address);
  }

  afterHelper(): void {}

  fault(): void {
    this.#handler.leave(this.b.call(this.#handler.shared("leaveFault"), this.#address)!);
  }

  stackFault(): void {
    this.#handler.leave(this.b.call(this.#handler.shared("leaveStackFault"), this.#address)!);
  }

  raise(vector: number, errorCode: number): void {
    this.b.call(this.#handler.shared("setFault"), this.b.i32(vector), this.b.i32(errorCode));
    this.fault();
  }

  status(status: Expr): void {
    this.#handler.leave(this.b.call(this.#handler.shared("leaveStatus"), this.#address, status)!);
  }

  jumpTo(rip: Expr): void {
    this.storeState(64, this.b.i32(cpu.RIP), rip);
    this.#countBlock();
    const isReturn = this.#shape.instruction.mnemonic === "ret";
    this.#handler.leave(this.b.call(this.#handler.shared(isReturn ? "dispatchReturn" : "dispatch"))!);
  }

  branch(condition: Expr): void {
    this.b.if(condition, () => this.jumpRelative());
  }

  jumpRelative(): void {
    const { b } = this;
    const left = this.#countBlock();
    if (!this.#shape.code64 && this.#shape.operandBits === 16) {
      // The target is cut to 16 bits, which a link would not do.
      const offset = b.op("i64.extend_i32_s", this.field("i32.load", record.TARGET_OFFSET));
      const rip = b.op("i64.add", this.loadState(64, b.i32(cpu.RIP_BASE)), offset);
      this.storeState(64, b.i32(cpu.RIP), b.op("i64.and", rip, b.i64(0xffffn)));
      this.#handler.leave(b.call(this.#handler.shared("dispatch"))!);
      return;
    }
    const link = this.field("i32.load", record.LINK);
    const unlinked = () => this.#handler.leave(b.call(this.#handler.shared("jumpUnlinked"), this.#address)!);
    b.if(b.op("i32.eqz", link), unlinked);
    const exhausted = () => this.#handler.leave(b.call(this.#handler.shared("jumpBudget"), this.#address)!);
    b.if(b.op("i32.le_s", left, b.i32(0)), exhausted, undefined, "unlikely");
    this.#countJump();
    this.#handler.goTo(link);
  }

  /** The displacement of a relative jump's record, which has no memory operand, counts how often it is taken. */
  #countJump(): void {
    const { hotCount } = this.#handler;
    if (hotCount === undefined) return;
    const { b } = this;
    const taken = b.bind(b.op("i32.add", this.field("i32.load", record.DISPLACEMENT), b.i32(1)));
    b.store("i32.store", this.#handler.pc, taken, this.#recordOffset + record.DISPLACEMENT);
    const hot = () => this.#handler.leave(b.call(this.#handler.shared("jumpHot"), this.#address)!);
    b.if(b.op("i32.eq", taken, b.i32(hotCount)), hot, undefined, "unlikely");
  }

  get #address(): Expr {
    return this.b.op("i32.add", this.#handler.pc, this.b.i32(this.#recordOffset));
  }

  /** Takes the instructions of the block up to this one off the budget. */
  #countBlock(): Expr {
    const { b } = this;
    const executed = b.op("i32.add", this.field("i32.load8_u", record.INDEX), b.i32(1));
    const left = b.bind(b.op("i32.sub", this.loadState(32, b.i32(cpu.BUDGET)), executed));
    this.storeState(32, b.i32(cpu.BUDGET), left);
    return left;
  }
}
