import { REGION_RETURNED, type RegionFunction } from "../cpu/region-functions.ts";
import type { HelperName } from "../isa/helpers.ts";
import { VectorValues } from "../isa/lowering/vector-values.ts";
import * as cpu from "../layout/cpu-state.ts";
import { CPU_STATE, LINK_HANDLER, LINK_TAG, PAGE_BYTES, RECORDS } from "../layout/memory-map.ts";
import { RECORD_BYTES } from "../layout/record.ts";
import { buildRecord } from "../lower/build-record.ts";
import { FlagState } from "../lower/flag-state.ts";
import { type Expr, FunctionBuilder, type Label, type Variable } from "../wasm/function-builder.ts";
import type { FunctionRef, TableRef } from "../wasm/module-writer.ts";
import type { FunctionType } from "../wasm/value-type.ts";
import type { ControlFlow, FlowNode } from "./control-flow.ts";
import { HostPages } from "./host-pages.ts";
import { isMxcsrSimple } from "./inline-float.ts";
import { type Position, pageDelta, type RegionBlock, type RegionInstruction } from "./region-code.ts";
import { type RegionExits, RegionRecord } from "./region-record.ts";
import { RegionState, StateUse } from "./region-state.ts";

/** `region(caller) -> record`: see REGION_FUNCTIONS. */
export const REGION_TYPE: FunctionType = { params: ["i32"], results: ["i32"] };
export const LEAVE_STATUS_TYPE: FunctionType = { params: ["i32", "i32"], results: ["i32"] };
/** `validate(pages, count, slot) -> whether the region's pages are where they were`. */
export const VALIDATE_TYPE: FunctionType = { params: ["i32", "i32", "i32"], results: ["i32"] };

/** Regions that have called each other; what is deeper goes on without coming back. */
const MAX_DEPTH = 200;

/** What the exit block at the end of a region does once the state is in memory. */
const EXIT_RESUME = 0;
const EXIT_JUMP = 1;
const EXIT_RETURN = 2;
const EXIT_STATUS = 3;
const EXIT_SLOT = 4;

/** What a region's code refers to besides the records. */
export interface RegionImports {
  readonly self: FunctionRef;
  helper(name: HelperName): FunctionRef;
  link(name: RegionFunction): FunctionRef;
  readonly leaveStatus: FunctionRef;
  readonly validate: FunctionRef;
  readonly handlers: TableRef;
}

/** Places in memory that belong to a region. */
export interface RegionPlaces {
  /** A link slot for what leads out of the region at a position. */
  slot(target: Position): number;
  /** The slot that says for which address space the region's pages have been validated. */
  readonly validation: number;
  /** Its pages but the one of the entry, for the validation. */
  readonly pages: number;
  /** For each byte of the entry's page: the number of the dispatched block that begins there, or NOT_DISPATCHED. 0 where there is none. */
  readonly dispatchTable: number;
  readonly handler: number;
}

/** What is known of a region before its code is built. */
export interface RegionPlan {
  readonly flow: ControlFlow;
  readonly entry: Position;
  readonly pageCount: number;
  /** All that its instructions use. */
  readonly use: StateUse;
  readonly places: RegionPlaces;
  readonly imports: RegionImports;
  /** The one memory, in which the records are. */
  readonly memory: DataView;
}

/**
 * Builds the function of a region: a handler of the interpreter, which returns
 * the next record, or 0.
 *
 * Control flow inside the region is structured; state lives in locals and is
 * written back in one exit block. Whatever the region cannot do itself - a
 * TLB miss, a fault, a system instruction - resumes the interpreter at the
 * instruction, with the state before it. A call writes the state back and calls the region there, which
 * comes back here when it returns to behind the call.
 */
export class RegionBuilder {
  readonly #b = new FunctionBuilder(REGION_TYPE);
  readonly #plan: RegionPlan;
  readonly #state: RegionState;
  readonly #pages: HostPages;
  readonly #use: StateUse;
  /** Instructions that may still be executed, as BUDGET was at the start of the running block. */
  readonly #left: Variable;
  readonly #exitKind: Variable;
  /** The record, or the link slot. */
  readonly #exitRecord: Variable;
  readonly #exitStatus: Variable;
  readonly #dispatchTo: Variable;
  readonly #loops = new Map<FlowNode, Label>();
  readonly #labels = new Map<FlowNode, Label>();
  /** Where the state still has to be written back, and where it is in memory. */
  #exit: Label | undefined;
  #syncedExit: Label | undefined;

  constructor(plan: RegionPlan) {
    const b = this.#b;
    b.bindsParts = true;
    this.#plan = plan;
    this.#use = plan.use;
    this.#left = b.variable("i32", b.load("i32.load", b.i32(0), CPU_STATE + cpu.BUDGET));
    this.#exitKind = b.variable("i32", b.i32(EXIT_RESUME));
    this.#exitRecord = b.variable("i32", b.i32(0));
    this.#exitStatus = b.variable("i32", b.i32(0));
    this.#dispatchTo = b.variable("i32", b.i32(0));
    this.#state = new RegionState(b, new StateUse(), plan.use);
    const state = this.#state;
    this.#pages = new HostPages(b, state.numbers, () => state.tlbBase, plan.imports.link("hostAddress"));
  }

  build(): FunctionBuilder {
    const b = this.#b;
    const { imports, flow } = this.#plan;
    b.block((synced) => {
      this.#syncedExit = synced;
      b.block((exit) => {
        this.#exit = exit;
        this.#checkEntry();
        this.#tree(flow.entry);
      });
      this.#writeBack();
    });
    const kind = b.getLazy(this.#exitKind);
    const caller = b.parameter(0);
    const isKind = (value: number): Expr => b.op("i32.eq", kind, b.i32(value));
    b.if(b.op("i32.eqz", kind), () => {
      this.#restoreRipBase();
      b.return(b.getLazy(this.#exitRecord));
    });
    b.if(isKind(EXIT_SLOT), () =>
      b.returnCall(imports.link("continueBySlot"), b.getLazy(this.#exitRecord), caller),
    );
    b.if(isKind(EXIT_STATUS), () => {
      this.#restoreRipBase();
      b.returnCall(imports.leaveStatus, b.getLazy(this.#exitRecord), b.getLazy(this.#exitStatus));
    });
    b.if(isKind(EXIT_RETURN), () => this.#return());
    b.returnCall(imports.link("continueAt"), caller);
    return b;
  }

  /** After a RET, with the state in memory: to the region that called this one. */
  #return(): void {
    const b = this.#b;
    const caller = b.parameter(0);
    const isCalled = b.op("i32.lt_u", caller, b.i32(RECORDS));
    b.if(isCalled, () => b.return(b.i32(REGION_RETURNED)), undefined, "likely");
    b.returnCall(this.#plan.imports.link("continueAt"), caller);
  }

  /** Regions that have been called lately may have left their own in memory. */
  #restoreRipBase(): void {
    if (this.#plan.pageCount === 1) this.#storeRipBase(0);
  }

  /** The region can be entered only under conditions; otherwise the interpreter executes its first block. */
  #checkEntry(): void {
    const b = this.#b;
    const { flow, entry, pageCount, places, imports } = this.#plan;
    const first = flow.node(entry)!.block!.instructions[0]!.firstRecord;
    const refuseWhen = (condition: Expr): void =>
      b.if(condition, () => b.return(b.i32(first)), undefined, "unlikely");
    if (pageCount > 1) {
      const key = b.bind(b.op("i64.xor", this.#state.ripBase, this.#state.modeKey));
      const slot = b.i32(places.validation);
      const validate = (): Expr => b.call(imports.validate, b.i32(places.pages), b.i32(pageCount - 1), slot)!;
      b.if(
        b.op("i64.ne", b.load("i64.load", slot, LINK_TAG), key),
        () => refuseWhen(b.op("i32.eqz", validate())),
        undefined,
        "unlikely",
      );
    }
    if (this.#use.usesSse) refuseWhen(this.#state.sseIsDisabled());
    if (this.#use.usesHostFloat) refuseWhen(b.op("i32.eqz", isMxcsrSimple(b)));
    refuseWhen(this.#state.hasDenormal());
  }

  /**
   * Writes a node and all that it dominates. What is known of addresses holds in a node that
   * control comes to from one other only, where it is written.
   */
  #tree(node: FlowNode): void {
    const state = this.#state;
    const [registers, pages] = [state.registerNumbers, this.#pages.known];
    const goesOn = !node.isMerge && !node.isLoopHeader;
    state.knowRegisters(goesOn ? registers : undefined);
    if (!goesOn) this.#pages.forget();
    this.#write(node);
    state.knowRegisters(registers);
    this.#pages.restore(pages);
  }

  #write(node: FlowNode): void {
    const merges = node.children.filter((child) => child.isMerge).sort((x, y) => y.order - x.order);
    const within = (i: number): void => {
      const merge = merges[i];
      if (merge === undefined)
        return node.block === undefined ? this.#dispatch() : this.#block(node, node.block);
      this.#b.block((label) => {
        this.#labels.set(merge, label);
        within(i + 1);
      });
      this.#tree(merge);
    };
    if (!node.isLoopHeader) return within(0);
    this.#b.loop((label) => {
      this.#loops.set(node, label);
      within(0);
    });
  }

  #dispatch(): void {
    const { flow } = this.#plan;
    const labels = flow.dispatched.map((start) => this.#labels.get(flow.node(start)!)!);
    const b = this.#b;
    b.block((elsewhere) => b.brTable(b.getLazy(this.#dispatchTo), labels, elsewhere));
    this.#leaveWith(EXIT_JUMP, 0, undefined);
  }

  /** `returnsTo` is given for a function that stands in the place of its call. */
  #block(node: FlowNode, block: RegionBlock, returnsTo?: Position): void {
    const flags = this.#newFlags();
    const count = block.instructions.length;
    for (const instruction of block.instructions) {
      if (instruction.stepped) {
        flags.flush();
        this.#step(instruction);
        continue;
      }
      if (instruction.interpreted) {
        flags.flush();
        return this.#resumeAt(instruction.position, instruction.firstRecord);
      }
      const exits: RegionExits = {
        resume: () => {
          flags.spill();
          this.#resumeAt(instruction.position, instruction.firstRecord);
        },
        status: (status) => {
          flags.spill();
          this.#setRipBase(instruction.position);
          this.#leaveWith(EXIT_STATUS, instruction.record, status);
        },
        jumpToKnown: (rip) => {
          if (block.end.kind !== "indirect") return;
          flags.flush();
          this.#dispatchIndirect(rip, count);
        },
        jumpTo: (rip) => {
          flags.flush();
          this.#count(count);
          // STI goes on behind itself by a jump, so that the budget is looked at.
          if (block.end.kind === "jump") this.#takeJump(node, block, instruction.target!);
          else this.#jumpIndirectly(node, block, rip, returnsTo);
        },
        takeJump: () => {
          flags.spill();
          this.#count(count);
          this.#takeJump(node, block, instruction.target!);
        },
        storeBudget: () => this.#storeBudget(),
        loadBudget: () => this.#loadBudget(),
      };
      buildRecord(this.#record(instruction, exits), instruction.shape, flags);
    }
    flags.flush();
    if (block.end.kind === "onward" || block.end.kind === "branch")
      this.#goOnward(node, block, block.end.next);
  }

  /** Has the interpreter's handler execute one instruction, and goes on unless that led elsewhere or to code being written. */
  #step({ shape, record, position }: RegionInstruction): void {
    const b = this.#b;
    const codeWrites = (): Expr => b.load("i64.load", b.i32(0), CPU_STATE + cpu.COUNT_CODE_WRITE);
    this.#storeRipBase(pageDelta(position));
    this.#writeBack();
    const before = codeWrites();
    const next = b.callIndirect(this.#plan.imports.handlers, REGION_TYPE, b.i32(shape.id), b.i32(record))!;
    const elsewhere = b.op("i32.ne", next, b.i32(record + RECORD_BYTES));
    const changed = b.op("i32.or", b.op("i64.ne", before, codeWrites()), this.#state.hasOtherTlbBank());
    b.if(b.op("i32.or", elsewhere, changed), () => b.return(next), undefined, "unlikely");
    this.#loadBudget();
    this.#state.reload();
    this.#pages.forget();
  }

  #record(instruction: RegionInstruction, exits: RegionExits): RegionRecord {
    const { memory, imports } = this.#plan;
    return new RegionRecord({
      b: this.#b,
      memory,
      instruction,
      state: this.#state,
      pages: this.#pages,
      use: this.#use,
      exits,
      helper: (name) => imports.helper(name),
    });
  }

  #newFlags(): FlagState {
    const state = this.#state;
    const storage = {
      b: this.#b,
      loadState: (bits: 32 | 64, offset: Expr) => state.load(bits, offset),
      storeState: (bits: 32 | 64, offset: Expr, value: Expr) => state.store(bits, offset, value, () => {}),
    };
    return new FlagState(storage, new VectorValues(this.#b));
  }

  /** From a block to the one behind it, which is no jump: the budget is looked at only where a page ends, as in the interpreter. */
  #goOnward(node: FlowNode, block: RegionBlock, next: Position): void {
    const to = this.#successor(node, next);
    if (to === undefined) return this.#resumeAt(block.start, block.behind);
    this.#count(block.instructions.length);
    if (pageDelta(next) !== pageDelta(block.start)) this.#leaveWithoutBudget(next);
    this.#goTo(node, to);
  }

  /** A jump that is taken; the block has been counted. This is where the budget is looked at, as in the interpreter. */
  #takeJump(node: FlowNode, block: RegionBlock, target: Position): void {
    if (block.end.kind === "call") {
      const { body, next } = block.end;
      if (body === undefined) return this.#call(node, next, target, this.#ripOf(target));
      this.#leaveWithoutBudget(target);
      return this.#block(node, body, next);
    }
    const to = this.#successor(node, target);
    if (to === undefined) {
      this.#storeRip(this.#ripOf(target));
      return this.#leaveWith(EXIT_SLOT, this.#plan.places.slot(target), undefined);
    }
    this.#leaveWithoutBudget(target);
    this.#goTo(node, to);
  }

  #jumpIndirectly(node: FlowNode, block: RegionBlock, target: Expr, returnsTo: Position | undefined): void {
    const b = this.#b;
    const rip = b.bind(target);
    const back = returnsTo === undefined ? undefined : this.#successor(node, returnsTo);
    if (back !== undefined) {
      const isThere = b.op("i64.eq", rip, this.#ripOf(returnsTo!));
      const hasBudget = b.op("i32.gt_s", b.getLazy(this.#left), b.i32(0));
      b.if(b.op("i32.and", isThere, hasBudget), () => this.#goTo(node, back), undefined, "likely");
    }
    if (block.end.kind === "call") return this.#call(node, block.end.next, undefined, rip);
    this.#storeRip(rip);
    if (block.end.kind !== "return") return this.#leaveWith(EXIT_JUMP, 0, undefined);
    this.#writeBack();
    this.#return();
  }

  /** An indirect jump into the entry's page goes by the dispatcher, which knows what of it is in the region. */
  #dispatchIndirect(target: Expr, instructions: number): void {
    const b = this.#b;
    const { flow, places } = this.#plan;
    const { dispatcher } = flow;
    if (dispatcher === undefined || places.dispatchTable === 0) return;
    const rip = b.bind(target);
    const offset = b.bind(b.op("i64.sub", rip, this.#state.ripBase));
    const inPage = (): void => {
      this.#count(instructions);
      this.#storeRip(rip);
      const at = b.op("i32.wrap_i64", offset);
      b.set(this.#dispatchTo, b.load("i32.load8_u", at, places.dispatchTable));
      b.br(this.#loops.get(dispatcher)!);
    };
    const hasBudget = b.op("i32.gt_s", b.getLazy(this.#left), b.i32(instructions));
    b.if(
      b.op("i64.lt_u", offset, b.i64(BigInt(PAGE_BYTES))),
      () => b.if(hasBudget, inPage, undefined, "likely"),
      undefined,
      "likely",
    );
  }

  /** A near call, whose return address has been pushed: of the region at `rip` if there is one. */
  #call(node: FlowNode, next: Position, target: Position | undefined, rip: Expr): void {
    const b = this.#b;
    const { places, imports, entry } = this.#plan;
    this.#storeRip(rip);
    this.#writeBack();
    const caller = b.parameter(0);
    const isCalled = b.op("i32.lt_u", caller, b.i32(RECORDS));
    const depth = b.bind(b.op("i32.add", b.select(isCalled, caller, b.i32(0)), b.i32(1)));
    const tooDeep = b.op("i32.gt_u", depth, b.i32(MAX_DEPTH));
    const exhausted = b.op("i32.le_s", b.getLazy(this.#left), b.i32(0));
    b.if(b.op("i32.or", tooDeep, exhausted), () => this.#leaveSynced(EXIT_JUMP), undefined, "unlikely");
    let result: Expr;
    if (target === entry) {
      this.#storeRipBase(0);
      result = b.call(imports.self, depth)!;
    } else {
      const handler =
        target === undefined
          ? b.call(imports.link("findRegion"), b.i32(0))!
          : this.#linked(rip, places.slot(target));
      b.if(b.op("i32.eqz", handler), () => this.#leaveSynced(EXIT_JUMP), undefined, "unlikely");
      result = b.callIndirect(imports.handlers, REGION_TYPE, handler, depth)!;
    }
    b.if(b.op("i32.ne", result, b.i32(REGION_RETURNED)), () => b.return(result), undefined, "unlikely");
    this.#comeBack(node, next);
  }

  /** The handler that a link slot leads to for `rip`; 0 when there is no region. */
  #linked(rip: Expr, slot: number): Expr {
    const b = this.#b;
    const handler = b.variable("i32");
    const at = b.i32(slot);
    const isLinked = b.op(
      "i64.eq",
      b.load("i64.load", at, LINK_TAG),
      b.op("i64.xor", rip, this.#state.modeKey),
    );
    b.if(
      isLinked,
      () => {
        b.store("i64.store", b.i32(0), b.op("i64.and", rip, b.i64(-4096n)), CPU_STATE + cpu.RIP_BASE);
        b.set(handler, b.load("i32.load", at, LINK_HANDLER));
      },
      () => b.set(handler, b.call(this.#plan.imports.link("findRegion"), at)!),
      "likely",
    );
    return b.get(handler);
  }

  /** Behind a call that has returned: here, or somewhere else. */
  #comeBack(node: FlowNode, next: Position): void {
    const b = this.#b;
    const expected = this.#ripOf(next);
    const elsewhere = b.op("i64.ne", b.load("i64.load", b.i32(0), CPU_STATE + cpu.RIP), expected);
    this.#loadBudget();
    const exhausted = b.op("i32.le_s", b.getLazy(this.#left), b.i32(0));
    const cannotGoOn = b.op("i32.or", exhausted, this.#state.hasOtherTlbBank());
    b.if(b.op("i32.or", elsewhere, cannotGoOn), () => this.#leaveSynced(EXIT_RETURN), undefined, "unlikely");
    const to = this.#successor(node, next);
    if (to === undefined) return this.#leaveSynced(EXIT_JUMP);
    this.#state.reload();
    this.#pages.forget();
    const denormal = this.#state.hasDenormal();
    b.if(
      denormal,
      () => {
        this.#setRipBase(next);
        b.set(this.#exitRecord, b.i32(to.block!.instructions[0]!.firstRecord));
        this.#leaveSynced(EXIT_RESUME);
      },
      undefined,
      "unlikely",
    );
    this.#goTo(node, to);
  }

  /** The node at a position that control goes on to inside the region. */
  #successor(from: FlowNode, start: Position): FlowNode | undefined {
    const to = this.#plan.flow.node(start);
    return to !== undefined && from.successors.includes(to) ? to : undefined;
  }

  /** Continues with a block of the region. */
  #goTo(from: FlowNode, to: FlowNode): void {
    const b = this.#b;
    const { flow } = this.#plan;
    if (flow.isDispatched(from, to)) {
      b.set(this.#dispatchTo, b.i32(flow.dispatched.indexOf(to.block!.start)));
      b.br(this.#loops.get(flow.dispatcher!)!);
    } else if (flow.isBackEdge(from, to)) b.br(this.#loops.get(to)!);
    else if (to.isMerge) b.br(this.#labels.get(to)!);
    else this.#tree(to);
  }

  #leaveWithoutBudget(next: Position): void {
    const b = this.#b;
    b.if(
      b.op("i32.le_s", b.getLazy(this.#left), b.i32(0)),
      () => {
        this.#storeRip(this.#ripOf(next));
        this.#leaveWith(EXIT_JUMP, 0, undefined);
      },
      undefined,
      "unlikely",
    );
  }

  #count(instructions: number): void {
    const b = this.#b;
    b.set(this.#left, b.op("i32.sub", b.getLazy(this.#left), b.i32(instructions)));
  }

  #ripOf(position: Position): Expr {
    const b = this.#b;
    return b.bind(b.op("i64.add", this.#state.ripBase, b.i64(BigInt(position))));
  }

  #storeRip(rip: Expr): void {
    this.#b.store("i64.store", this.#b.i32(0), rip, CPU_STATE + cpu.RIP);
  }

  /** The interpreter goes on at a position: RIP_BASE in memory follows. Where there is one page only, the exit block sees to it. */
  #setRipBase(position: Position): void {
    if (this.#plan.pageCount > 1) this.#storeRipBase(pageDelta(position));
  }

  #storeRipBase(delta: number): void {
    const b = this.#b;
    const base = b.op("i64.add", this.#state.ripBase, b.i64(BigInt(delta * PAGE_BYTES)));
    b.store("i64.store", b.i32(0), base, CPU_STATE + cpu.RIP_BASE);
  }

  #writeBack(): void {
    this.#state.writeBack(this.#use);
    this.#storeBudget();
  }

  #storeBudget(): void {
    const b = this.#b;
    b.store("i32.store", b.i32(0), b.getLazy(this.#left), CPU_STATE + cpu.BUDGET);
  }

  #loadBudget(): void {
    const b = this.#b;
    b.set(this.#left, b.load("i32.load", b.i32(0), CPU_STATE + cpu.BUDGET));
  }

  #resumeAt(position: Position, recordAddress: number): void {
    this.#setRipBase(position);
    this.#leaveWith(EXIT_RESUME, recordAddress, undefined);
  }

  #leaveWith(kind: number, recordAddress: number, status: Expr | undefined): void {
    const b = this.#b;
    if (kind !== EXIT_RESUME) b.set(this.#exitKind, b.i32(kind));
    if (recordAddress !== 0) b.set(this.#exitRecord, b.i32(recordAddress));
    if (status !== undefined) b.set(this.#exitStatus, status);
    b.br(this.#exit!);
  }

  /** Leaves with the state in memory. */
  #leaveSynced(kind: number): void {
    if (kind !== EXIT_RESUME) this.#b.set(this.#exitKind, this.#b.i32(kind));
    this.#b.br(this.#syncedExit!);
  }
}
