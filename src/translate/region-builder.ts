import type { HelperName } from "../isa/helpers.ts";
import { VectorValues } from "../isa/lowering/vector-values.ts";
import * as cpu from "../layout/cpu-state.ts";
import { CPU_STATE } from "../layout/memory-map.ts";
import { buildRecord } from "../lower/build-record.ts";
import { FlagState } from "../lower/flag-state.ts";
import { helperType } from "../lower/helper-type.ts";
import { type Expr, FunctionBuilder, type Label, type Variable } from "../wasm/function-builder.ts";
import type { FunctionRef } from "../wasm/module-writer.ts";
import type { FunctionType } from "../wasm/value-type.ts";
import { ControlFlow, type FlowNode } from "./control-flow.ts";
import type { RegionCode, RegionInstruction } from "./region-code.ts";
import { type RegionExits, RegionRecord } from "./region-record.ts";
import { RegionState, StateUse } from "./region-state.ts";

/** What the exit block at the end of a region does once the state is in memory. */
const EXIT_RESUME = 0;
const EXIT_JUMP = 1;
const EXIT_STATUS = 2;

/** Functions that a region calls. */
export interface RegionImports {
  helper(name: HelperName): FunctionRef;
  readonly dispatch: FunctionRef;
  readonly leaveStatus: FunctionRef;
}

/**
 * The function of a region: a handler of the interpreter, which takes
 * the region's record and returns the next one, or 0.
 *
 * Control flow inside the region is structured; state lives in locals and is
 * written back in one exit block. Whatever the region cannot do itself - a
 * TLB miss, a fault, a system instruction - resumes the interpreter at the
 * instruction, with the state before it.
 */
export class Region {
  readonly #flow: ControlFlow;
  readonly #memory: DataView;
  readonly #use = new StateUse();
  /** Helpers that the region calls. */
  readonly helpers: ReadonlySet<HelperName>;

  /** Builds it once, only to learn what it uses. */
  constructor(code: RegionCode, memory: DataView) {
    this.#flow = new ControlFlow(code);
    this.#memory = memory;
    const helpers = new Set<HelperName>();
    const helper = (name: HelperName): FunctionRef => {
      helpers.add(name);
      return { index: 0, name, type: helperType(name) };
    };
    const dispatch = { index: 0, name: "dispatch", type: DISPATCH_TYPE };
    const leaveStatus = { index: 0, name: "leaveStatus", type: LEAVE_STATUS_TYPE };
    new RegionBuilder(this.#flow, memory, { helper, dispatch, leaveStatus }, this.#use, undefined).build();
    this.helpers = helpers;
  }

  build(imports: RegionImports): FunctionBuilder {
    return new RegionBuilder(this.#flow, this.#memory, imports, new StateUse(), this.#use).build();
  }
}

export const DISPATCH_TYPE: FunctionType = { params: [], results: ["i32"] };
export const LEAVE_STATUS_TYPE: FunctionType = { params: ["i32", "i32"], results: ["i32"] };

class RegionBuilder {
  readonly #b = new FunctionBuilder({ params: ["i32"], results: ["i32"] });
  readonly #flow: ControlFlow;
  readonly #memory: DataView;
  readonly #imports: RegionImports;
  readonly #state: RegionState;
  readonly #use: StateUse;
  readonly #known: StateUse | undefined;
  /** Instructions that may still be executed, as BUDGET was at the start of the running block. */
  readonly #left: Variable;
  readonly #exitKind: Variable;
  /** The record to resume at, or that of the instruction whose helper returned a status. */
  readonly #exitRecord: Variable;
  readonly #exitStatus: Variable;
  readonly #labels = new Map<FlowNode, Label>();
  readonly #loops = new Map<FlowNode, Label>();
  #exit: Label | undefined;

  constructor(
    flow: ControlFlow,
    memory: DataView,
    imports: RegionImports,
    use: StateUse,
    known: StateUse | undefined,
  ) {
    this.#flow = flow;
    this.#memory = memory;
    this.#imports = imports;
    this.#use = use;
    this.#known = known;
    const b = this.#b;
    this.#state = new RegionState(b, use, known);
    this.#left = b.variable("i32", b.load("i32.load", b.i32(0), CPU_STATE + cpu.BUDGET));
    this.#exitKind = b.variable("i32", b.i32(EXIT_RESUME));
    this.#exitRecord = b.variable("i32", b.i32(0));
    this.#exitStatus = b.variable("i32", b.i32(0));
  }

  build(): FunctionBuilder {
    const b = this.#b;
    b.block((exit) => {
      this.#exit = exit;
      this.#tree(this.#flow.entry);
    });
    this.#state.writeBack(this.#known ?? this.#use);
    b.store("i32.store", b.i32(0), b.getLazy(this.#left), CPU_STATE + cpu.BUDGET);
    const kind = b.getLazy(this.#exitKind);
    b.if(b.op("i32.eqz", kind), () => b.return(b.getLazy(this.#exitRecord)));
    b.if(b.op("i32.eq", kind, b.i32(EXIT_STATUS)), () =>
      b.returnCall(this.#imports.leaveStatus, b.getLazy(this.#exitRecord), b.getLazy(this.#exitStatus)),
    );
    b.returnCall(this.#imports.dispatch);
    return b;
  }

  /** Writes a block and all that it dominates. */
  #tree(node: FlowNode): void {
    const merges = node.children.filter((child) => child.isMerge).sort((x, y) => y.order - x.order);
    const within = (i: number): void => {
      const merge = merges[i];
      if (merge === undefined) return this.#block(node);
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

  #block(node: FlowNode): void {
    const { block } = node;
    const flags = this.#newFlags();
    const count = block.instructions.length;
    for (const instruction of block.instructions) {
      if (instruction.interpreted) {
        flags.flush();
        return this.#resumeAt(instruction.firstRecord);
      }
      const exits: RegionExits = {
        resume: () => {
          flags.spill();
          this.#resumeAt(instruction.firstRecord);
        },
        status: (status) => {
          flags.spill();
          this.#leaveWith(EXIT_STATUS, instruction.record, status);
        },
        jumpTo: (rip) => {
          flags.flush();
          this.#count(count);
          if (block.end.kind === "return") this.#returnTo(node, rip);
          this.#jumpTo(rip);
        },
        takeJump: () => {
          flags.spill();
          this.#takeJump(node, instruction, count);
        },
      };
      buildRecord(this.#record(instruction, exits), instruction.shape, flags);
    }
    flags.flush();
    const { end } = block;
    if (end.kind !== "onward" && end.kind !== "branch") return;
    if (this.#flow.hasEdge(node, end.next)) {
      this.#count(count);
      this.#goTo(node, end.next);
    } else this.#resumeAt(block.behind);
  }

  #record(instruction: RegionInstruction, exits: RegionExits): RegionRecord {
    return new RegionRecord({
      b: this.#b,
      memory: this.#memory,
      instruction,
      state: this.#state,
      exits,
      helper: (name) => this.#imports.helper(name),
    });
  }

  #newFlags(): FlagState {
    const state = this.#state;
    const storage = {
      b: this.#b,
      loadState: (bits: 32 | 64, offset: Expr) => state.load(bits, offset),
      storeState: (bits: 32 | 64, offset: Expr, value: Expr) => state.store(bits, offset, value),
    };
    return new FlagState(storage, new VectorValues(this.#b));
  }

  /** A jump that is taken: this is where the budget is looked at, as in the interpreter. */
  #takeJump(node: FlowNode, instruction: RegionInstruction, count: number): void {
    const b = this.#b;
    this.#count(count);
    const target = instruction.target!;
    const rip = (): Expr => b.op("i64.add", this.#state.load(64, b.i32(cpu.RIP_BASE)), b.i64(BigInt(target)));
    if (!this.#flow.hasEdge(node, target) || node.block.end.kind === "leave") return this.#jumpTo(rip());
    b.if(b.op("i32.le_s", b.getLazy(this.#left), b.i32(0)), () => this.#jumpTo(rip()), undefined, "unlikely");
    this.#goTo(node, target);
  }

  /** A return: where it goes is compared with the return sites of the region's own calls. */
  #returnTo(node: FlowNode, rip: Expr): void {
    const b = this.#b;
    const target = b.bind(rip);
    const base = this.#state.load(64, b.i32(cpu.RIP_BASE));
    const hasBudget = b.op("i32.gt_s", b.getLazy(this.#left), b.i32(0));
    for (const site of node.successors) {
      if (!this.#flow.hasEdge(node, site)) continue;
      const isSite = b.op("i64.eq", target, b.op("i64.add", base, b.i64(BigInt(site))));
      b.if(b.op("i32.and", isSite, hasBudget), () => this.#goTo(node, site));
    }
  }

  /** Continues with a block of the region; the edge exists. */
  #goTo(from: FlowNode, start: number): void {
    const to = this.#flow.node(start);
    if (this.#flow.isBackEdge(from, to)) this.#b.br(this.#loops.get(to)!);
    else if (to.isMerge) this.#b.br(this.#labels.get(to)!);
    else this.#tree(to);
  }

  #count(instructions: number): void {
    const b = this.#b;
    b.set(this.#left, b.op("i32.sub", b.getLazy(this.#left), b.i32(instructions)));
  }

  #jumpTo(rip: Expr): void {
    this.#b.store("i64.store", this.#b.i32(0), rip, CPU_STATE + cpu.RIP);
    this.#leaveWith(EXIT_JUMP, 0, undefined);
  }

  #resumeAt(recordAddress: number): void {
    this.#leaveWith(EXIT_RESUME, recordAddress, undefined);
  }

  #leaveWith(kind: number, recordAddress: number, status: Expr | undefined): void {
    const b = this.#b;
    if (kind !== EXIT_RESUME) b.set(this.#exitKind, b.i32(kind));
    if (recordAddress !== 0) b.set(this.#exitRecord, b.i32(recordAddress));
    if (status !== undefined) b.set(this.#exitStatus, status);
    b.br(this.#exit!);
  }
}
