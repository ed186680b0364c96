import { VectorValues } from "../isa/lowering/vector-values.ts";
import * as cpu from "../layout/cpu-state.ts";
import { invariant } from "../layout/invariant.ts";
import { CPU_STATE, LINK_TAG, PAGE_BYTES } from "../layout/memory-map.ts";
import { RECORD_BYTES } from "../layout/record.ts";
import { buildRecord } from "../lower/build-record.ts";
import { FlagState } from "../lower/flag-state.ts";

import { type Expr, FunctionBuilder, type Label, type Variable } from "../wasm/function-builder.ts";
import type { FlowNode } from "./control-flow.ts";
import { FlagLiveness, replacesAllFlags } from "./flag-liveness.ts";
import { FlagOperands } from "./flag-operands.ts";
import { HostPages } from "./host-pages.ts";
import { isMxcsrSimple } from "./inline-float.ts";
import { RegionCalls } from "./region-calls.ts";
import { type Position, pageDelta, type RegionBlock, type RegionInstruction } from "./region-code.ts";
import { HANDLERS, REGION_TYPE, type RegionPlan } from "./region-plan.ts";
import { type RegionExits, RegionRecord } from "./region-record.ts";
import { RegionState } from "./region-state.ts";
import { RegionWayOut } from "./region-way-out.ts";
import { StateUse } from "./state-use.ts";

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
  readonly #out: RegionWayOut;
  readonly #calls: RegionCalls;
  readonly #flagLiveness: FlagLiveness;
  readonly #flagOperands: FlagOperands;
  readonly #dispatchTo: Variable;
  /** Flags that are pending where the block begins that is written next. */
  #inherited: FlagState | undefined;
  readonly #loops = new Map<FlowNode, Label>();
  readonly #labels = new Map<FlowNode, Label>();

  constructor(plan: RegionPlan) {
    const b = this.#b;
    b.bindsParts = true;
    this.#plan = plan;
    this.#dispatchTo = b.variable("i32", b.i32(0));
    const state = new RegionState(b, new StateUse(), plan.use);
    this.#state = state;
    this.#pages = new HostPages({
      b,
      numbers: state.numbers,
      tlbBase: () => state.tlbBase,
      lookUp: plan.imports.link("hostAddress"),
      splitStore: plan.imports.link("splitStore"),
      // The stack pointer is known long before the stack is accessed.
      addendCell: (root) => (state.rootOf(cpu.RSP) === root ? undefined : plan.symbols.addendCell()),
    });
    this.#flagLiveness = new FlagLiveness(plan.flow);
    this.#flagOperands = new FlagOperands(b, state, !plan.use.staysInMemory);
    this.#out = new RegionWayOut(b, plan, state, this.#flagOperands);
    this.#calls = new RegionCalls(b, plan, state, this.#out);
  }

  build(): FunctionBuilder {
    this.#out.around(() => {
      this.#checkEntry();
      this.#tree(this.#plan.flow.entry);
    });
    return this.#b;
  }

  /** The region can be entered only under conditions; otherwise the interpreter executes its first block. */
  #checkEntry(): void {
    const b = this.#b;
    const { flow, entry, pageCount, symbols, imports, use } = this.#plan;
    const first = flow.node(entry)!.block!.instructions[0]!;
    const refuseWhen = (condition: Expr): void =>
      b.if(condition, () => b.return(symbols.record(b, first)), undefined, "unlikely");
    if (pageCount > 1) {
      const key = b.bind(b.op("i64.xor", this.#state.ripBase, this.#state.modeKey));
      const slot = b.linked(symbols.validation);
      const validate = (): Expr => b.call(imports.validate, symbols.pages(b), b.i32(pageCount - 1), slot)!;
      b.if(
        b.op("i64.ne", b.load("i64.load", slot, LINK_TAG), key),
        () => refuseWhen(b.op("i32.eqz", validate())),
        undefined,
        "unlikely",
      );
    }
    if (use.tlbBank !== 0) refuseWhen(this.#state.hasOtherTlbBank());
    if (use.usesSse) refuseWhen(this.#state.sseIsDisabled());
    if (use.inlinesX87) refuseWhen(this.#state.x87IsUnready());
    if (use.usesHostFloat) refuseWhen(b.op("i32.eqz", isMxcsrSimple(b)));
    refuseWhen(this.#state.hasDenormal());
  }

  /**
   * Writes a node and all that it dominates. What is known of addresses holds in a node that
   * control comes to from one other only, where it is written.
   */
  #tree(node: FlowNode): void {
    const state = this.#state;
    const [registers, pages] = [state.knownRegisters, this.#pages.known];
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
    this.#out.jump();
  }

  /** `returnsTo` is given for a function that stands in the place of its call. */
  #block(node: FlowNode, block: RegionBlock, returnsTo?: Position): void {
    this.#state.spanStarts();
    let flags = this.#inherited ?? this.#newFlags();
    this.#inherited = undefined;
    const count = block.instructions.length;
    for (const instruction of block.instructions) {
      if (instruction.stepped) {
        flags.flush();
        this.#step(instruction);
        // What is known of them is no longer so.
        flags = this.#newFlags();
        continue;
      }
      if (instruction.interpreted) {
        flags.flush();
        if (instruction.transfers) return this.#transfer(instruction);
        return this.#out.resume(instruction);
      }
      const exits: RegionExits = {
        resume: () => {
          this.#flagOperands.spill(flags);
          this.#out.resume(instruction);
        },
        status: (status) => {
          this.#flagOperands.spill(flags);
          this.#out.status(instruction, status);
        },
        jumpToKnown: (rip) => {
          if (block.end.kind !== "indirect") return;
          flags.flush();
          this.#dispatchIndirect(rip, count);
        },
        jumpTo: (rip) => {
          if (block.end.kind === "return" && returnsTo === undefined) {
            const back = this.#b.bind(rip);
            this.#out.count(count);
            return this.#out.returnTo(back, () => flags.spill());
          }
          if (block.end.kind === "call") {
            const { next } = block.end;
            this.#out.count(count);
            return this.#call(node, next, undefined, this.#b.bind(rip), () => flags.spill());
          }
          flags.flush();
          this.#out.count(count);
          // STI goes on behind itself by a jump, so that the budget is looked at.
          if (block.end.kind === "jump") this.#takeJump(node, block, instruction.target!, flags);
          else this.#jumpIndirectly(node, rip, returnsTo, flags);
        },
        takeJump: () => {
          this.#out.count(count);
          if (block.end.kind === "call" && block.end.body === undefined) {
            const { next } = block.end;
            const to = instruction.target!;
            return this.#call(node, next, to, this.#out.ripOf(to), () => flags.spill());
          }
          this.#takeJump(node, block, instruction.target!, flags);
        },
        storeBudget: () => this.#out.storeBudget(),
        loadBudget: () => this.#out.loadBudget(),
      };
      buildRecord(this.#record(instruction, exits), instruction.shape, flags);
    }
    if (block.end.kind === "onward" || block.end.kind === "branch")
      this.#goOnward(node, block, block.end.next, flags);
  }

  /**
   * Has the interpreter's handler execute one instruction, and goes on unless that led elsewhere, changed mappings of code that
   * have been used, or led to code being written.
   */
  #step(instruction: RegionInstruction): void {
    const b = this.#b;
    const { use } = this.#plan;
    const codeWrites = (): Expr => b.load("i64.load", b.i32(0), CPU_STATE + cpu.COUNT_CODE_WRITE);
    const before = codeWrites();
    const next = this.#callHandler(instruction);
    const elsewhere = b.op("i32.ne", next, this.#out.recordOf(instruction, RECORD_BYTES));
    const key = b.load("i64.load", b.i32(0), CPU_STATE + cpu.MODE_KEY);
    const written = b.op("i64.ne", before, codeWrites());
    const isOther = b.op("i32.or", b.op("i64.ne", key, this.#state.modeKey), this.#state.hasOtherTlbBank());
    const leave = (): void => b.return(next);
    const changed = b.op("i32.or", written, isOther);
    b.if(b.op("i32.or", elsewhere, changed), leave, undefined, "unlikely");
    if (use.usesHostFloat) b.if(b.op("i32.eqz", isMxcsrSimple(b)), leave, undefined, "unlikely");
    if (use.inlinesX87) b.if(this.#state.x87IsUnready(), leave, undefined, "unlikely");
    this.#out.loadBudget();
    this.#state.reload();
    b.if(this.#state.hasDenormal(), leave, undefined, "unlikely");
    this.#pages.forget();
  }

  /** Has the interpreter's handler execute the last instruction of a block, and goes on where it leads. */
  #transfer(instruction: RegionInstruction): void {
    const b = this.#b;
    const next = this.#callHandler(instruction);
    b.returnCall(this.#plan.imports.link("continueRecord"), next, b.parameter(0));
  }

  /** The next record by the interpreter's handler of an instruction, which finds the state in memory. */
  #callHandler(instruction: RegionInstruction): Expr {
    const b = this.#b;
    this.#out.storeRipBase(instruction.position);
    this.#out.writeBack();
    const handler = this.#plan.symbols.handler(b, instruction);
    return b.callIndirect(HANDLERS, REGION_TYPE, handler, this.#out.recordOf(instruction))!;
  }

  #record(instruction: RegionInstruction, exits: RegionExits): RegionRecord {
    const { memory, imports, symbols } = this.#plan;
    return new RegionRecord({
      b: this.#b,
      memory,
      instruction,
      state: this.#state,
      pages: this.#pages,
      use: this.#plan.use,
      exits,
      helper: (name) => imports.helper(name),
      symbols,
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

  /**
   * From a block to the one behind it, which is no jump: the budget is looked at only where a page ends, as in the interpreter, and
   * where an instruction lies on two pages, before that.
   */
  #goOnward(node: FlowNode, block: RegionBlock, next: Position, flags: FlagState): void {
    const to = this.#successor(node, next);
    this.#out.count(block.instructions.length);
    const atPageEnd = pageDelta(next) !== pageDelta(block.start) && !block.crosses;
    if (to === undefined) {
      this.#flagOperands.spill(flags);
      this.#out.storeRip(this.#out.ripOf(next));
      const slot = this.#plan.symbols.slot(next);
      return atPageEnd ? this.#out.jumpBySlot(slot) : this.#out.onwardBySlot(slot);
    }
    if (atPageEnd || to.block!.crosses)
      this.#out.leaveWithoutBudget(next, () => this.#flagOperands.spill(flags));
    this.#goTo(node, to, flags);
  }

  /** A jump that is taken; the block has been counted. This is where the budget is looked at, as in the interpreter. */
  #takeJump(node: FlowNode, block: RegionBlock, target: Position, flags: FlagState): void {
    if (block.end.kind === "call") {
      const { body, next } = block.end;
      invariant(body !== undefined, "other calls have been made");
      this.#out.leaveWithoutBudget(target, () => this.#flagOperands.spill(flags));
      this.#inherited = flags.copy();
      return this.#block(node, body, next);
    }
    const to = this.#successor(node, target);
    if (to === undefined) {
      this.#flagOperands.spill(flags);
      this.#out.storeRip(this.#out.ripOf(target));
      return this.#out.jumpBySlot(this.#plan.symbols.slot(target));
    }
    this.#out.leaveWithoutBudget(target, () => this.#flagOperands.spill(flags));
    this.#goTo(node, to, flags);
  }

  #jumpIndirectly(node: FlowNode, target: Expr, returnsTo: Position | undefined, flags: FlagState): void {
    const b = this.#b;
    const rip = b.bind(target);
    const back = returnsTo === undefined ? undefined : this.#successor(node, returnsTo);
    if (back !== undefined) {
      const isThere = b.op("i64.eq", rip, this.#out.ripOf(returnsTo!));
      b.if(
        b.op("i32.and", isThere, this.#out.allowsMoreThan(0)),
        () => this.#goTo(node, back, flags),
        undefined,
        "likely",
      );
    }
    this.#out.storeRip(rip);
    this.#out.jump();
  }

  /** An indirect jump into the entry's page goes by the dispatcher, which knows what of it is in the region. */
  #dispatchIndirect(target: Expr, instructions: number): void {
    const b = this.#b;
    const { flow, symbols } = this.#plan;
    const { dispatcher } = flow;
    if (dispatcher === undefined || !flow.hasIndirectTargets) return;
    const rip = b.bind(target);
    const offset = b.bind(b.op("i64.sub", rip, this.#state.ripBase));
    const inPage = (): void => {
      this.#out.count(instructions);
      this.#out.storeRip(rip);
      const at = b.op("i32.add", b.op("i32.wrap_i64", offset), symbols.dispatchTable(b));
      b.set(this.#dispatchTo, b.load("i32.load8_u", at));
      b.br(this.#loops.get(dispatcher)!);
    };
    b.if(
      b.op("i64.lt_u", offset, b.i64(BigInt(PAGE_BYTES))),
      () => b.if(this.#out.allowsMoreThan(instructions), inPage, undefined, "likely"),
      undefined,
      "likely",
    );
  }

  /** Ends a block with a call: to `target`, or wherever `rip` says. Goes on at `next`, if the region has that. */
  #call(node: FlowNode, next: Position, target: Position | undefined, rip: Expr, spill: () => void): void {
    const b = this.#b;
    const { flow, entry } = this.#plan;
    const to = this.#successor(node, next);
    const areDead = target === entry && replacesAllFlags(flow.node(entry)!.block!);
    const killsFlags = to !== undefined && this.#state.keepsTlbBank && replacesAllFlags(to.block!);
    this.#calls.call({ target, rip, next, flags: { areDead, spill }, killsFlags });
    if (to === undefined) {
      this.#out.storeRip(this.#out.ripOf(next));
      return this.#out.jumpSynced();
    }
    this.#state.reload();
    this.#pages.forget();
    const resume = (): void => this.#out.resumeSynced(to.block!.instructions[0]!);
    b.if(this.#state.hasDenormal(), resume, undefined, "unlikely");
    const { use } = this.#plan;
    if (use.inlinesX87) b.if(this.#state.x87IsUnready(), resume, undefined, "unlikely");
    if (use.usesHostFloat) b.if(b.op("i32.eqz", isMxcsrSimple(b)), resume, undefined, "unlikely");
    this.#goTo(node, to, this.#newFlags());
  }

  /** The node at a position that control goes on to inside the region. */
  #successor(from: FlowNode, start: Position): FlowNode | undefined {
    const to = this.#plan.flow.node(start);
    return to !== undefined && from.successors.includes(to) ? to : undefined;
  }

  /**
   * Continues with a block of the region. Where control comes to it from here alone, flags stay pending; elsewhere they are
   * written, unless the block sets them first.
   */
  #goTo(from: FlowNode, to: FlowNode, flags: FlagState): void {
    const b = this.#b;
    const { flow } = this.#plan;
    const isDispatched = flow.isDispatched(from, to);
    if (!to.isMerge && !to.isLoopHeader && !isDispatched) this.#inherited = flags.copy();
    else if (to.block === undefined || !replacesAllFlags(to.block)) {
      if (isDispatched || this.#flagLiveness.isLive(to)) flags.spill();
      else this.#flagOperands.spill(flags);
    }
    if (isDispatched) {
      b.set(this.#dispatchTo, b.i32(flow.dispatched.indexOf(to.block!.start)));
      b.br(this.#loops.get(flow.dispatcher!)!);
    } else if (flow.isBackEdge(from, to)) b.br(this.#loops.get(to)!);
    else if (to.isMerge) b.br(this.#labels.get(to)!);
    else this.#tree(to);
  }
}
