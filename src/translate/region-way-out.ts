import {
  REGION_RETURNED,
  REGION_RETURNED_TO_RIP,
  RETURN_KILLS_FLAGS,
  RETURN_NOWHERE,
} from "../cpu/region-functions.ts";
import * as cpu from "../layout/cpu-state.ts";
import { CPU_STATE, PAGE_BYTES, RECORDS } from "../layout/memory-map.ts";
import type { Expr, FunctionBuilder, Label, LinkedNumber, Variable } from "../wasm/function-builder.ts";
import type { FlagOperands } from "./flag-operands.ts";
import { type Position, pageDelta, type RegionInstruction } from "./region-code.ts";
import type { RegionPlan } from "./region-plan.ts";
import type { RegionState } from "./region-state.ts";

/** What the exit block at the end of a region does once the state is in memory. */
const EXIT_RESUME = 0;
const EXIT_JUMP = 1;
const EXIT_RETURN = 2;
const EXIT_STATUS = 3;
const EXIT_SLOT = 4;
const EXIT_ONWARD = 5;

/**
 * How the code of a region leaves it, and the budget that may make it. What leaves goes by one exit block, which writes the
 * state back; what is named `synced` has it in memory already.
 */
export class RegionWayOut {
  readonly #b: FunctionBuilder;
  readonly #plan: RegionPlan;
  readonly #state: RegionState;
  readonly #flagOperands: FlagOperands;
  /** Instructions that may still be executed, as BUDGET was at the start of the running block. */
  readonly #left: Variable;
  readonly #kind: Variable;
  /** The record, or the link slot. */
  readonly #record: Variable;
  readonly #status: Variable;
  /** Where a RET leads to the caller; of a region with one. */
  readonly #expectedReturn: Variable | undefined;
  #exit: Label | undefined;
  #syncedExit: Label | undefined;

  constructor(b: FunctionBuilder, plan: RegionPlan, state: RegionState, flagOperands: FlagOperands) {
    this.#b = b;
    this.#plan = plan;
    this.#state = state;
    this.#flagOperands = flagOperands;
    this.#left = b.variable("i32", b.load("i32.load", b.i32(0), CPU_STATE + cpu.BUDGET));
    this.#kind = b.variable("i32", b.i32(EXIT_RESUME));
    this.#record = b.variable("i32", b.i32(0));
    this.#status = b.variable("i32", b.i32(0));
    if (!plan.returns) return;
    const isCalled = b.op("i32.lt_u", b.parameter(0), b.i32(RECORDS));
    const expected = b.load("i64.load", b.i32(0), CPU_STATE + cpu.EXPECTED_RETURN);
    this.#expectedReturn = b.variable("i64", b.select(isCalled, expected, b.i64(RETURN_NOWHERE)));
  }

  /** Writes the body, which leaves on all its ways, and the exit block behind it. */
  around(body: () => void): void {
    const b = this.#b;
    const { imports } = this.#plan;
    b.block((synced) => {
      this.#syncedExit = synced;
      b.block((exit) => {
        this.#exit = exit;
        body();
      });
      this.#flagOperands.finish();
      this.writeBack();
    });
    const caller = b.parameter(0);
    const isKind = (value: number): Expr => b.op("i32.eq", b.getLazy(this.#kind), b.i32(value));
    b.if(isKind(EXIT_RESUME), () => {
      this.#restoreRipBase();
      b.return(b.getLazy(this.#record));
    });
    b.if(isKind(EXIT_SLOT), () =>
      b.returnCall(imports.link("continueBySlot"), b.getLazy(this.#record), caller),
    );
    b.if(isKind(EXIT_ONWARD), () =>
      b.returnCall(imports.link("onwardBySlot"), b.getLazy(this.#record), caller),
    );
    b.if(isKind(EXIT_STATUS), () => {
      this.#restoreRipBase();
      b.returnCall(imports.leaveStatus, b.getLazy(this.#record), b.getLazy(this.#status));
    });
    b.if(isKind(EXIT_RETURN), () => this.#returnToCaller());
    b.returnCall(imports.link("continueAt"), caller);
  }

  /** To the interpreter, at an instruction. */
  resume(instruction: RegionInstruction): void {
    this.#setRecord(instruction);
    this.#b.br(this.#exit!);
  }

  resumeSynced(instruction: RegionInstruction): void {
    this.#setRecord(instruction);
    this.#b.br(this.#syncedExit!);
  }

  /** After a helper's status. */
  status(instruction: RegionInstruction, status: Expr): void {
    const b = this.#b;
    this.setRipBase(instruction.position);
    b.set(this.#record, this.recordOf(instruction));
    b.set(this.#status, status);
    this.#leave(EXIT_STATUS);
  }

  /** To RIP in memory, wherever that is. */
  jump(): void {
    this.#leave(EXIT_JUMP);
  }

  jumpSynced(): void {
    this.#leaveSynced(EXIT_JUMP);
  }

  /** To RIP in memory, which a link slot may know. */
  jumpBySlot(slot: LinkedNumber): void {
    this.#b.set(this.#record, this.#b.linked(slot));
    this.#leave(EXIT_SLOT);
  }

  /** The same without a jump. */
  onwardBySlot(slot: LinkedNumber): void {
    this.#b.set(this.#record, this.#b.linked(slot));
    this.#leave(EXIT_ONWARD);
  }

  /** After a RET. `spillFlags` writes flags that are pending to their words, where they are needed. */
  returnTo(rip: Expr, spillFlags: () => void): void {
    const b = this.#b;
    const { use } = this.#plan;
    this.#state.writeBack(use, "others");
    this.storeBudget();
    const isExpected = b.op("i64.eq", rip, b.get(this.#expectedReturn!));
    const goesOn = b.bind(b.op("i32.and", isExpected, this.allowsMoreThan(0)));
    const killsFlags = b.op("i32.and", b.parameter(0), b.i32(RETURN_KILLS_FLAGS));
    const returned = (): void => b.return(b.i32(REGION_RETURNED));
    b.if(b.op("i32.and", goesOn, killsFlags), returned, undefined, "likely");
    spillFlags();
    this.#state.writeBack(use, "flags");
    b.if(goesOn, returned);
    this.storeRip(rip);
    this.#returnToCaller();
  }

  returnSynced(): void {
    this.#leaveSynced(EXIT_RETURN);
  }

  /** Before a jump to a position, when no instruction may be executed any more. `spillFlags` writes flags that are pending. */
  leaveWithoutBudget(next: Position, spillFlags: () => void): void {
    this.#b.if(
      this.isExhausted(),
      () => {
        spillFlags();
        this.storeRip(this.ripOf(next));
        this.jump();
      },
      undefined,
      "unlikely",
    );
  }

  isExhausted(): Expr {
    return this.#b.op("i32.le_s", this.#b.getLazy(this.#left), this.#b.i32(0));
  }

  /** Whether more than so many instructions may still be executed. */
  allowsMoreThan(instructions: number): Expr {
    return this.#b.op("i32.gt_s", this.#b.getLazy(this.#left), this.#b.i32(instructions));
  }

  count(instructions: number): void {
    const b = this.#b;
    b.set(this.#left, b.op("i32.sub", b.getLazy(this.#left), b.i32(instructions)));
  }

  storeBudget(): void {
    const b = this.#b;
    b.store("i32.store", b.i32(0), b.getLazy(this.#left), CPU_STATE + cpu.BUDGET);
  }

  loadBudget(): void {
    const b = this.#b;
    b.set(this.#left, b.load("i32.load", b.i32(0), CPU_STATE + cpu.BUDGET));
  }

  writeBack(which?: "others"): void {
    this.#state.writeBack(this.#plan.use, which);
    this.storeBudget();
  }

  ripOf(position: Position): Expr {
    const b = this.#b;
    return b.bind(b.op("i64.add", this.#state.ripBase, b.i64(BigInt(position))));
  }

  storeRip(rip: Expr): void {
    this.#b.store("i64.store", this.#b.i32(0), rip, CPU_STATE + cpu.RIP);
  }

  /** What is `offset` bytes from an instruction's record with the operands. */
  recordOf(instruction: RegionInstruction, offset = 0): Expr {
    const { record, firstRecord } = instruction;
    return this.#plan.symbols.record(this.#b, instruction, record - firstRecord + offset);
  }

  /** The interpreter goes on at a position: RIP_BASE in memory follows. Where there is one page only, the exit block sees to it. */
  setRipBase(position: Position): void {
    if (this.#plan.pageCount > 1) this.storeRipBase(position);
  }

  storeRipBase(position: Position): void {
    const b = this.#b;
    const base = b.op("i64.add", this.#state.ripBase, b.i64(BigInt(pageDelta(position) * PAGE_BYTES)));
    b.store("i64.store", b.i32(0), base, CPU_STATE + cpu.RIP_BASE);
  }

  /** Regions that have been called lately may have left their own in memory. */
  #restoreRipBase(): void {
    if (this.#plan.pageCount === 1) this.storeRipBase(0);
  }

  #returnToCaller(): void {
    const b = this.#b;
    const caller = b.parameter(0);
    const isCalled = b.op("i32.lt_u", caller, b.i32(RECORDS));
    b.if(isCalled, () => b.return(b.i32(REGION_RETURNED_TO_RIP)), undefined, "likely");
    b.returnCall(this.#plan.imports.link("returnTo"), caller);
  }

  #setRecord(instruction: RegionInstruction): void {
    this.setRipBase(instruction.position);
    this.#b.set(this.#record, this.#plan.symbols.record(this.#b, instruction));
  }

  #leave(kind: number): void {
    this.#b.set(this.#kind, this.#b.i32(kind));
    this.#b.br(this.#exit!);
  }

  #leaveSynced(kind: number): void {
    this.#b.set(this.#kind, this.#b.i32(kind));
    this.#b.br(this.#syncedExit!);
  }
}
