import type { DecodedInstruction } from "../../src/decode/decoder.ts";
import type { HandlerShape } from "../../src/decode/shape.ts";
import type { FaultName } from "../../src/isa/faults.ts";
import { type HelperName, helperSignature } from "../../src/isa/helpers.ts";
import type { Bits, OperandBits, Ops } from "../../src/isa/ops.ts";
import {
  type Condition,
  type GeneralRegister,
  generalRegisterOffset,
  SEGMENT_REGISTERS,
  type SegmentRegister,
  type StatusFlag,
} from "../../src/isa/registers.ts";
import * as cpu from "../../src/layout/cpu-state.ts";
import { invariant } from "../../src/layout/invariant.ts";
import { GuestFault } from "./faults.ts";
import * as definitions from "./flag-definitions.ts";
import { callModel } from "./helpers.ts";
import { isCanonical, type State } from "./state.ts";
import { cut, isTrue, truth, type Value } from "./value.ts";
import { VectorValues } from "./vector-values.ts";

const SS = 2;

/** `Ops` on plain state: slow and obvious. One object serves one execution of one instruction. */
export class EvaluatorOps extends VectorValues implements Ops<Value> {
  readonly operandBits: OperandBits;
  readonly code64: boolean;
  readonly #state: State;
  readonly #decoded: DecodedInstruction;

  /** RIP of `state` is the next instruction's. */
  constructor(state: State, shape: HandlerShape, decoded: DecodedInstruction) {
    super();
    this.operandBits = shape.operandBits;
    this.code64 = shape.code64;
    this.#state = state;
    this.#decoded = decoded;
  }

  when(condition: Value, then: () => void, otherwise?: () => void): void {
    invariant(condition.bits === 1, "a condition is a truth value");
    if (isTrue(condition)) then();
    else otherwise?.();
  }

  // ---- registers and flags ----

  register(register: GeneralRegister, bits: OperandBits): Value {
    return cut(bits, this.#state.register(register));
  }
  setRegister(register: GeneralRegister, value: Value): void {
    this.writeGeneral(generalRegisterOffset(register), value);
  }
  /** Writes a general register, or AH to BH, at its place in the state: 32 bits clear the upper half. */
  writeGeneral(offset: number, { bits, value }: Value): void {
    this.#state.setField(offset, bits === 32 ? 64 : (bits as 64), value);
  }
  flag(flag: StatusFlag): Value {
    return truth(this.#state.flags[flag]);
  }
  setFlag(flag: StatusFlag, value: Value): void {
    invariant(value.bits === 1, "a flag is a truth value");
    this.#state.flags[flag] = isTrue(value);
  }
  setResultFlags({ bits, value }: Value): void {
    definitions.setResultFlags(this.#state.flags, bits, value);
  }
  setAdditionOverflow(a: Value, b: Value, sum: Value): void {
    definitions.setAdditionOverflow(this.#state.flags, a.bits, a.value, b.value, sum.value);
  }
  /** The evaluator looks at the flags. */
  setComparison(): void {}
  setSum(): void {}

  setSubtractionOverflow(a: Value, b: Value, difference: Value): void {
    definitions.setSubtractionOverflow(this.#state.flags, a.bits, a.value, b.value, difference.value);
  }
  condition(condition: Condition): Value {
    return truth(definitions.holds(condition, this.#state.flags));
  }

  // ---- memory ----

  load(bits: Exclude<Bits, 1>, address: Value): Value {
    return this.#load(bits, address, this.#isStackOperand);
  }
  store(address: Value, value: Value): void {
    this.#store(address, value, this.#isStackOperand);
  }
  modify(bits: Exclude<Bits, 1>, address: Value, change: (old: Value) => Value): void {
    this.checkWrite(bits, address);
    this.store(address, change(this.load(bits, address)));
  }
  checkWrite(bits: Bits, address: Value): void {
    this.#state.checkAccess(address.value, bits / 8, "write", this.#isStackOperand);
  }
  segmented(segment: SegmentRegister, offset: Value, bytes: number, access: "read" | "write"): Value {
    const index = SEGMENT_REGISTERS.indexOf(segment);
    return cut(64, this.#state.segmentAddress(index, offset.value, bytes, access));
  }
  dataSegmented(offset: Value, bytes: number, access: "read" | "write"): Value {
    return cut(64, this.#state.segmentAddress(this.#decoded.segment, offset.value, bytes, access));
  }
  selectorOf(segment: Value): Value {
    const at = cpu.SEGMENTS + cpu.SEGMENT_BYTES * Number(segment.value) + cpu.SEGMENT_SELECTOR;
    return this.state(at, 16);
  }

  get #isStackOperand(): boolean {
    return this.#decoded.isMemory && this.#decoded.segment === SS;
  }
  #load(bits: Bits, { value: address }: Value, isStack: boolean): Value {
    this.#state.checkAccess(address, bits / 8, "read", isStack);
    return cut(bits, this.#state.memory.read(address, bits / 8));
  }
  #store({ value: address }: Value, { bits, value }: Value, isStack: boolean): void {
    this.#state.checkAccess(address, bits / 8, "write", isStack);
    this.#state.memory.write(address, bits / 8, value);
  }

  // ---- the stack ----

  push(value: Value): void {
    this.pokeStack(value, -value.bits / 8);
    this.releaseStack(-value.bits / 8);
  }
  pop(bits: 16 | 32 | 64): Value {
    const value = this.peekStack(bits, 0);
    this.releaseStack(bits / 8);
    return value;
  }
  peekStack(bits: 16 | 32 | 64, offsetBytes: number): Value {
    return this.loadStack(bits, this.#aboveTop(BigInt(offsetBytes)));
  }
  loadStack(bits: 16 | 32 | 64, pointer: Value): Value {
    return this.#load(bits, this.#stackAddress(pointer, bits / 8, "read"), true);
  }
  probeStack(bits: 16 | 32 | 64, pointer: Value): void {
    const { value } = this.#stackAddress(pointer, bits / 8, "write");
    this.#state.checkAccess(value, bits / 8, "write", true);
  }
  pokeStack(value: Value, offsetBytes: number): void {
    this.#store(
      this.#stackAddress(this.#aboveTop(BigInt(offsetBytes)), value.bits / 8, "write"),
      value,
      true,
    );
  }
  releaseStack(bytes: Value | number): void {
    const top = this.#aboveTop(typeof bytes === "number" ? BigInt(bytes) : bytes.value);
    const stackBits = this.#stackBits;
    this.writeGeneral(cpu.RSP, cut(stackBits, top.value));
  }

  #aboveTop(bytes: bigint): Value {
    return cut(64, this.#state.register("rsp") + bytes);
  }
  #stackAddress(pointer: Value, bytes: number, access: "read" | "write"): Value {
    return this.segmented("ss", cut(64, BigInt.asUintN(this.#stackBits, pointer.value)), bytes, access);
  }
  get #stackBits(): 16 | 32 | 64 {
    return Number(this.#state.field(cpu.STACK_BITS, 32)) as 64;
  }

  // ---- leaving ----

  nextInstruction(): Value {
    return cut(64, this.#state.rip);
  }
  checkTarget({ value: target }: Value, before?: () => void): void {
    const limit = this.#state.field(cpu.SEG_CS + cpu.SEGMENT_LIMIT, 32);
    if (this.code64 ? isCanonical(target) : target <= limit) return;
    before?.();
    this.raise("#GP");
  }
  jump({ value: target }: Value): void {
    this.#state.rip = this.code64 ? target : BigInt.asUintN(this.operandBits, target);
  }
  branch(condition: Value, target: Value): void {
    if (isTrue(condition)) this.jump(target);
  }
  raise(fault: FaultName): void {
    throw new GuestFault(fault);
  }
  raiseWhen(condition: Value, fault: FaultName): void {
    if (isTrue(condition)) this.raise(fault);
  }
  requirePrivilege(): void {
    if (this.#state.field(cpu.CPL, 32) !== 0n) this.raise("#GP");
  }

  // ---- helpers ----

  call(helper: HelperName, ...args: Value[]): Value {
    const { result, parameters } = helperSignature(helper);
    invariant(args.length === parameters.length, `${helper} takes ${parameters.length} arguments`);
    const value = callModel(
      helper,
      this.#state,
      args.map((arg) => arg.value),
    );
    return cut(result === "i64" ? 64 : 32, value);
  }
  query(helper: HelperName, ...args: Value[]): Value {
    return this.#asStack(() => this.call(helper, ...args));
  }
  perform(helper: HelperName, ...args: Value[]): void {
    this.call(helper, ...args);
  }
  system(helper: HelperName, ...args: Value[]): void {
    if (helper !== "storeElements") this.call(helper, ...args);
    else this.#asStack(() => this.call(helper, ...args));
  }
  /** A helper that accesses the operand: through the stack segment, #GP is #SS. */
  #asStack<T>(access: () => T): T {
    try {
      return access();
    } catch (error) {
      if (error instanceof GuestFault && error.fault === "#GP" && this.#isStackOperand) this.raise("#SS");
      throw error;
    }
  }
  helperResult(index: 0 | 1): Value {
    return cut(64, this.#state.results[index]);
  }
  state(offset: number, bits: 8 | 16 | 32 | 64): Value {
    return cut(bits, this.#state.field(offset, bits));
  }
  setState(offset: number, { bits, value }: Value): void {
    this.#state.setField(offset, bits as 64, value);
  }
  stringPrefixes(): { addressBits: Value; repeat: Value; segment: Value } {
    const { addressBits, repeat, segment } = this.#decoded;
    return {
      addressBits: cut(32, addressBits),
      repeat: cut(32, repeat),
      segment: cut(32, segment),
    };
  }
  indexScale(): Value {
    return cut(8, this.#decoded.scale);
  }
  counter(): Value {
    return cut(64, BigInt.asUintN(this.#decoded.addressBits, this.#state.register("rcx")));
  }
  setCounter({ value }: Value): void {
    this.writeGeneral(cpu.RCX, cut(this.#decoded.addressBits as 64, value));
  }
}
