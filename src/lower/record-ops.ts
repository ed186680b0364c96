import type { HandlerShape } from "../decode/shape.ts";
import { FAULTS, FAULTS_WITH_ERROR_CODE, type FaultName } from "../isa/faults.ts";
import { type HelperName, helperSignature } from "../isa/helpers.ts";
import { Value } from "../isa/lowering/value.ts";
import { VectorValues } from "../isa/lowering/vector-values.ts";
import type { Bits, OperandBits, Ops } from "../isa/ops.ts";
import {
  type Condition,
  type GeneralRegister,
  generalRegisterOffset,
  SEGMENT_REGISTERS,
  type SegmentRegister,
  type StatusFlag,
} from "../isa/registers.ts";
import * as cpu from "../layout/cpu-state.ts";
import { invariant } from "../layout/invariant.ts";
import { CPU_STATE, SCRATCH } from "../layout/memory-map.ts";
import * as record from "../layout/record.ts";
import type { Expr } from "../wasm/function-builder.ts";
import { FlagState } from "./flag-state.ts";
import { MemoryAccess, type MemoryBits } from "./memory-access.ts";
import type { FieldLoad, RecordContext, RegisterBits } from "./record-context.ts";

/** Where in SCRATCH helpers leave 64-bit results (core/system/results.ts). */
const HELPER_RESULTS = 40;

/**
 * `Ops` over WebAssembly expressions, for one decoded instruction. Where its
 * operands and the processor state lie, and how control leaves, is the
 * engine's affair: see RecordContext.
 */
export class RecordOps extends VectorValues implements Ops<Value> {
  readonly operandBits: OperandBits;
  readonly code64: boolean;
  readonly memory: MemoryAccess;
  readonly #stack: MemoryAccess;
  readonly flags: FlagState;
  readonly #context: RecordContext;
  /** Set when control has left for good: `jump` was the last thing. */
  left = false;

  constructor(context: RecordContext, shape: HandlerShape, flags?: FlagState) {
    super(context.b);
    this.#context = context;
    this.operandBits = shape.operandBits;
    this.code64 = shape.code64;
    this.flags = flags ?? new FlagState(context, this);
    this.memory = new MemoryAccess(context, () => context.fault());
    this.#stack = new MemoryAccess(context, () => context.stackFault());
  }

  /** A field of the record. */
  field(load: FieldLoad, offset: number): Expr {
    return this.#context.field(load, offset);
  }

  /** A register by its offset in the processor state. */
  readRegister(offset: Expr, bits: RegisterBits): Value {
    return new Value(bits as Bits, this.#context.loadState(bits, offset));
  }

  /** Writes a register; 32 bits of a general register clear its upper half. */
  writeRegister(offset: Expr, value: Value): void {
    if (value.bits === 32) this.#context.storeState(64, offset, this.b.op("i64.extend_i32_u", value.e));
    else this.#context.storeState(value.bits as RegisterBits, offset, value.e);
  }

  when(condition: Value, then: () => void, otherwise?: () => void): void {
    this.flags.flush();
    const arm = (body: () => void) => () => {
      this.flags.forget();
      body();
      this.flags.flush();
      this.flags.forget();
    };
    this.b.if(condition.e, arm(then), otherwise && arm(otherwise));
    this.flags.forget();
  }

  register(register: GeneralRegister, bits: OperandBits): Value {
    return this.readRegister(this.b.i32(generalRegisterOffset(register)), bits);
  }

  setRegister(register: GeneralRegister, value: Value): void {
    this.writeRegister(this.b.i32(generalRegisterOffset(register)), value);
  }

  flag(flag: StatusFlag): Value {
    return this.flags.get(flag);
  }
  setFlag(flag: StatusFlag, value: Value): void {
    this.flags.set(flag, value);
  }
  setResultFlags(result: Value): void {
    this.flags.setResult(result);
  }
  setAdditionOverflow(a: Value, b: Value, _sum: Value): void {
    this.flags.setAddition(a, b);
  }
  setSubtractionOverflow(a: Value, b: Value, _difference: Value): void {
    this.flags.setSubtraction(a, b);
  }
  setComparison(a: Value, b: Value): void {
    this.flags.setComparison(a, b);
  }
  setSum(a: Value, b: Value): void {
    this.flags.setSum(a, b);
  }
  condition(condition: Condition): Value {
    return this.flags.condition(condition);
  }

  load(bits: Exclude<Bits, 1>, address: Value): Value {
    return this.memory.load(bits as MemoryBits, address.e);
  }
  store(address: Value, value: Value): void {
    this.memory.store(address.e, value);
  }

  modify(bits: Exclude<Bits, 1>, address: Value, change: (old: Value) => Value): void {
    const modification = this.memory.modify(bits as MemoryBits, address.e);
    this.memory.finish(modification, this.keep(change(modification.value)));
  }

  segmented(segment: SegmentRegister, offset: Value, bytes: number, access: "read" | "write"): Value {
    const index = SEGMENT_REGISTERS.indexOf(segment);
    if (this.code64) {
      if (index < 4) return offset;
      const base = this.state(cpu.SEGMENTS + cpu.SEGMENT_BYTES * index + cpu.SEGMENT_EFFECTIVE_BASE, 64);
      return this.add(base, offset);
    }
    return this.#segmentAddress(this.b.i32(index), offset, bytes, access);
  }

  dataSegmented(offset: Value, bytes: number, access: "read" | "write"): Value {
    const { segment } = this.stringPrefixes();
    if (!this.code64) return this.#segmentAddress(segment.e, offset, bytes, access);
    const base = this.b.load(
      "i64.load",
      this.#segment(segment),
      CPU_STATE + cpu.SEGMENTS + cpu.SEGMENT_EFFECTIVE_BASE,
    );
    return this.add(new Value(64, base), offset);
  }

  selectorOf(segment: Value): Value {
    const at = CPU_STATE + cpu.SEGMENTS + cpu.SEGMENT_SELECTOR;
    return new Value(16, this.b.load("i32.load16_u", this.#segment(segment), at));
  }

  /** Offset of a segment register from the first one. */
  #segment(index: Value): Expr {
    return this.b.op("i32.mul", index.e, this.b.i32(cpu.SEGMENT_BYTES));
  }

  #segmentAddress(segment: Expr, offset: Value, bytes: number, access: "read" | "write"): Value {
    const write = this.b.i32(access === "write" ? 1 : 0);
    const address = this.b.call(
      this.#context.helper("segmentAddress"),
      segment,
      offset.e,
      this.b.i32(bytes),
      write,
    )!;
    this.#leaveWhenFaulted();
    return new Value(64, address);
  }

  #leaveWhenFaulted(): void {
    const failed = this.b.op("i32.ge_s", this.state(cpu.FAULT_VECTOR, 32).e, this.b.i32(0));
    this.b.if(failed, () => this.#context.fault(), undefined, "unlikely");
  }

  push(value: Value): void {
    const bytes = value.bits / 8;
    if (this.code64) {
      const top = this.keep(this.subtract(this.register("rsp", 64), this.constant(bytes, 64)));
      this.#stack.store(top.e, value);
      this.setRegister("rsp", top);
      return;
    }
    const offset = this.keep(
      this.#stackOffset(this.subtract(this.register("rsp", 64), this.constant(bytes, 64))),
    );
    this.store(this.segmented("ss", offset, bytes, "write"), value);
    this.#setStackPointer(offset);
  }

  pop(bits: 16 | 32 | 64): Value {
    const value = this.peekStack(bits, 0);
    this.releaseStack(bits / 8);
    return value;
  }

  peekStack(bits: 16 | 32 | 64, offsetBytes: number): Value {
    return this.loadStack(bits, this.add(this.register("rsp", 64), this.constant(offsetBytes, 64)));
  }

  loadStack(bits: 16 | 32 | 64, pointer: Value): Value {
    if (this.code64) return this.#stack.load(bits, pointer.e);
    return this.load(bits, this.segmented("ss", this.#stackOffset(pointer), bits / 8, "read"));
  }

  probeStack(bits: 16 | 32 | 64, pointer: Value): void {
    if (this.code64) this.#stack.modify(bits, pointer.e);
    else this.memory.modify(bits, this.segmented("ss", this.#stackOffset(pointer), bits / 8, "write").e);
  }

  pokeStack(value: Value, offsetBytes: number): void {
    const at = this.add(this.register("rsp", 64), this.constant(offsetBytes, 64));
    if (this.code64) return this.#stack.store(at.e, value);
    this.store(this.segmented("ss", this.#stackOffset(at), value.bits / 8, "write"), value);
  }

  releaseStack(bytes: Value | number): void {
    const amount = typeof bytes === "number" ? this.constant(bytes, 64) : this.zeroExtend(bytes, 64);
    const top = this.add(this.register("rsp", 64), amount);
    if (this.code64) this.setRegister("rsp", top);
    else this.#setStackPointer(this.keep(this.#stackOffset(top)));
  }

  /** The bits of a stack pointer that count: 16 or 32 outside of 64-bit code. */
  #stackOffset(pointer: Value): Value {
    const wide = this.b.op("i32.eq", this.state(cpu.STACK_BITS, 32).e, this.b.i32(32));
    const mask = this.b.select(wide, this.b.i64(0xffffffffn), this.b.i64(0xffffn));
    return new Value(64, this.b.op("i64.and", pointer.e, mask));
  }

  #setStackPointer(offset: Value): void {
    const wide = this.b.op("i32.eq", this.state(cpu.STACK_BITS, 32).e, this.b.i32(32));
    this.b.if(
      wide,
      () => this.setRegister("rsp", offset),
      () => this.setRegister("rsp", this.truncate(offset, 16)),
    );
  }

  nextInstruction(): Value {
    const next = this.b.op("i64.extend_i32_u", this.field("i32.load16_u", record.NEXT_OFFSET));
    const rip = this.b.op("i64.add", this.state(cpu.RIP_BASE, 64).e, next);
    return new Value(64, this.code64 ? rip : this.b.op("i64.and", rip, this.b.i64(0xffffffffn)));
  }

  checkTarget(target: Value, before?: () => void): void {
    const refuse = (condition: Expr): void =>
      this.b.if(
        condition,
        () => {
          before?.();
          this.raise("#GP");
        },
        undefined,
        "unlikely",
      );
    const { b } = this;
    if (this.code64) {
      this.#context.jumpToKnown?.(target.e);
      const canonical = b.op("i64.shr_s", b.op("i64.shl", target.e, b.i64(16n)), b.i64(16n));
      return refuse(b.op("i64.ne", canonical, target.e));
    }
    const limit = this.state(cpu.SEG_CS + cpu.SEGMENT_LIMIT, 32);
    const offset = this.truncate(new Value(64, this.#maskTarget(target.e)), 32);
    refuse(this.lessUnsigned(limit, offset).e);
  }

  jump(target: Value): void {
    if (!this.#context.defersFlags) this.flags.flush();
    if (target.relative) this.#context.jumpRelative();
    else this.#context.jumpTo(this.#maskTarget(target.e));
    this.left = true;
  }

  branch(condition: Value, target: Value): void {
    invariant(target.relative, "a conditional branch is relative");
    if (!this.#context.defersFlags) this.flags.flush();
    this.#context.branch(condition.e);
  }

  #maskTarget(target: Expr): Expr {
    if (this.code64) return target;
    return this.b.op("i64.and", target, this.b.i64(this.operandBits === 16 ? 0xffffn : 0xffffffffn));
  }

  raise(fault: FaultName): void {
    this.#context.raise(FAULTS[fault], FAULTS_WITH_ERROR_CODE.includes(fault) ? 0 : -1);
  }

  raiseWhen(condition: Value, fault: FaultName): void {
    this.b.if(condition.e, () => this.raise(fault), undefined, "unlikely");
  }

  requirePrivilege(): void {
    this.raiseWhen(this.not(this.isZero(this.state(cpu.CPL, 32))), "#GP");
  }

  call(helper: HelperName, ...args: Value[]): Value {
    const { result } = helperSignature(helper);
    invariant(result === "i32" || result === "i64", `${helper} returns a value`);
    this.flags.flush();
    const e = this.#callHelper(helper, args)!;
    return new Value(result === "i32" ? 32 : 64, e);
  }

  query(helper: HelperName, ...args: Value[]): Value {
    const value = this.call(helper, ...args);
    this.#leaveWhenFaulted();
    return value;
  }

  perform(helper: HelperName, ...args: Value[]): void {
    invariant(helperSignature(helper).result === "-", `${helper} returns nothing`);
    this.flags.flush();
    this.#callHelper(helper, args);
    this.flags.forget();
  }

  system(helper: HelperName, ...args: Value[]): void {
    invariant(helperSignature(helper).result === "status", `${helper} returns a status`);
    this.flags.flush();
    const { b } = this;
    const call = (): void => {
      this.setState(cpu.RIP, this.nextInstruction());
      const status = this.#callHelper(helper, args)!;
      b.if(status, () => this.#context.status(status));
    };
    if (this.#context.inlineSystem?.(helper, this.#lowered(helper, args), call) !== true) call();
    this.flags.forget();
  }

  #lowered(helper: HelperName, args: Value[]): Expr[] {
    const { parameters } = helperSignature(helper);
    invariant(args.length === parameters.length, `${helper} takes ${parameters.length} arguments`);
    return args.map((arg, i) => (parameters[i] === "i64" ? this.unsigned64(arg) : arg.e));
  }

  #callHelper(helper: HelperName, args: Value[]): Expr | undefined {
    const lowered = this.#lowered(helper, args);
    const inline = this.#context.inlineHelper?.(helper, lowered);
    if (inline !== undefined) return inline === "done" ? undefined : inline;
    this.#context.beforeHelper(helper);
    const result = this.b.call(this.#context.helper(helper), ...lowered);
    this.#context.afterHelper(helper);
    return result;
  }

  helperResult(index: 0 | 1): Value {
    return new Value(64, this.b.load("i64.load", this.b.i32(0), SCRATCH + HELPER_RESULTS + 8 * index));
  }

  state(offset: number, bits: 8 | 16 | 32 | 64): Value {
    return new Value(bits, this.#context.loadState(bits, this.b.i32(offset)));
  }

  setState(offset: number, value: Value): void {
    this.#context.storeState(value.bits as RegisterBits, this.b.i32(offset), value.e);
  }

  stringPrefixes(): { addressBits: Value; repeat: Value; segment: Value } {
    const { b } = this;
    const prefixes = this.field("i32.load16_u", record.REG_C);
    const part = (shift: number, mask: number) =>
      b.op("i32.and", b.op("i32.shr_u", prefixes, b.i32(shift)), b.i32(mask));
    return {
      addressBits: new Value(32, b.op("i32.shl", part(0, 7), b.i32(4))),
      repeat: new Value(32, part(3, 3)),
      segment: new Value(32, part(5, 7)),
    };
  }

  indexScale(): Value {
    return new Value(8, this.field("i32.load8_u", record.SCALE));
  }

  counter(): Value {
    return new Value(64, this.b.op("i64.and", this.register("rcx", 64).e, this.#addressMask()));
  }

  setCounter(value: Value): void {
    const { addressBits } = this.stringPrefixes();
    this.b.if(
      this.b.op("i32.eq", addressBits.e, this.b.i32(16)),
      () => this.setRegister("rcx", this.truncate(value, 16)),
      () => this.setRegister("rcx", new Value(64, this.b.op("i64.and", value.e, this.#addressMask()))),
    );
  }

  #addressMask(): Expr {
    const { b } = this;
    const { addressBits } = this.stringPrefixes();
    const narrow = b.select(b.op("i32.eq", addressBits.e, b.i32(32)), b.i64(0xffffffffn), b.i64(0xffffn));
    return b.select(b.op("i32.eq", addressBits.e, b.i32(64)), b.i64(-1n), narrow);
  }
}
