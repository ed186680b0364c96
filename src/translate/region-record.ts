import { SLOT_FIELDS } from "../decode/record-writer.ts";
import type { HelperName } from "../isa/helpers.ts";
import * as cpu from "../layout/cpu-state.ts";
import * as record from "../layout/record.ts";
import type { FieldLoad, HostAddress, RecordContext, RegisterBits } from "../lower/record-context.ts";
import { constantOf, type Expr, type FunctionBuilder, vectorOf } from "../wasm/function-builder.ts";
import type { FunctionRef } from "../wasm/module-writer.ts";
import type { HostPages } from "./host-pages.ts";
import { inlineFloat } from "./inline-float.ts";
import { inlineX87 } from "./inline-x87.ts";
import { pageDelta, type RegionInstruction } from "./region-code.ts";
import type { RegionState } from "./region-state.ts";
import { CELL_DISPLACEMENT, CELL_IMMEDIATE, changesWithPlace, type RegionSymbols } from "./region-symbols.ts";
import type { StateUse } from "./state-use.ts";

/** How the code of a region leaves an instruction; provided by the builder of the region. */
export interface RegionExits {
  /** To the interpreter, at the instruction, with the state before it. */
  resume(): void;
  /** After a helper's status. */
  status(status: Expr): void;
  /** To an offset in the code segment if a block of the region begins there; the instruction counts. */
  jumpToKnown(rip: Expr): void;
  /** To an offset in the code segment; the instruction counts. */
  jumpTo(rip: Expr): void;
  /** Along the instruction's relative target. */
  takeJump(): void;
  /** Before and after a helper that may use the budget up. */
  storeBudget(): void;
  loadBudget(): void;
}

/** What the lowering of one instruction of a region works with. */
export interface RegionRecordParts {
  readonly b: FunctionBuilder;
  /** The one memory, in which the records are. */
  readonly memory: DataView;
  readonly instruction: RegionInstruction;
  readonly state: RegionState;
  readonly pages: HostPages;
  /** Where what the instruction needs is noted. */
  readonly use: StateUse;
  readonly exits: RegionExits;
  helper(name: HelperName): FunctionRef;
  /** Absent where nothing is going to be linked. */
  readonly symbols?: RegionSymbols;
}

/** Lowering for a region: the record's fields are constants, the state is in locals. */
export class RegionRecord implements RecordContext {
  readonly b: FunctionBuilder;
  readonly defersFlags = true;
  readonly sseIsEnabled = true;
  readonly #parts: RegionRecordParts;
  readonly #instruction: RegionInstruction;
  #callsFloatHelpers = false;
  #numbers = 0;

  constructor(parts: RegionRecordParts) {
    this.b = parts.b;
    this.#parts = parts;
    this.#instruction = parts.instruction;
    const { unit } = parts.instruction.shape.instruction;
    if (unit === "sse") parts.use.usesSse = true;
    if (unit === "x87" || unit === "x87-control") parts.use.usesX87 = true;
  }

  hostAddress(linear: Expr, bytes: number, writes: boolean, stored?: Expr): HostAddress {
    const { pages, exits } = this.#parts;
    return pages.host(linear, bytes, { writes, stored, miss: () => exits.resume() });
  }

  helper(name: HelperName): FunctionRef {
    return this.#parts.helper(name);
  }

  field(load: FieldLoad, offset: number): Expr {
    const { memory } = this.#parts;
    const at = this.#instruction.record + offset;
    switch (load) {
      case "i32.load8_u":
        return this.b.i32(memory.getUint8(at));
      case "i32.load16_u":
        return this.b.i32(memory.getUint16(at, true));
      case "i32.load":
        // The interpreter links jumps and counts them in their records: only the target's offset is constant there.
        return this.b.i32(
          offset === record.LINK && this.#instruction.target !== undefined ? 0 : memory.getInt32(at, true),
        );
      case "i64.load":
        return this.#wide(memory.getBigInt64(at, true), offset);
      case "i64.load32_s":
        return this.#wide(BigInt(memory.getInt32(at, true)), offset);
    }
  }

  /** A field of 64 bits: what may be an address of the kernel is in a cell, so that the code is good for a kernel that lies elsewhere. */
  #wide(value: bigint, offset: number): Expr {
    const { symbols } = this.#parts;
    const isPlain = offset !== record.IMMEDIATE && offset !== record.DISPLACEMENT;
    if (symbols === undefined || isPlain || !changesWithPlace(value)) return this.b.i64(value);
    if (offset === record.IMMEDIATE)
      return symbols.address(this.b, this.#instruction, CELL_IMMEDIATE, Number(value));
    // The record counts from the start of the page, the instruction from its end.
    const { memory } = this.#parts;
    const isRelative = memory.getUint16(this.#instruction.record + record.BASE, true) === cpu.RIP_BASE;
    const before = isRelative ? memory.getUint16(this.#instruction.record + record.NEXT_OFFSET, true) : 0;
    return symbols.address(this.b, this.#instruction, CELL_DISPLACEMENT, Number(value) - before);
  }

  loadState(bits: RegisterBits, offset: Expr): Expr {
    const value = this.#parts.state.load(bits, offset);
    // The state's own is that of the page of the region's entry.
    if (constantOf(offset) !== cpu.RIP_BASE) return value;
    return this.b.op("i64.add", value, this.b.i64(BigInt(pageDelta(this.#instruction.position) * 4096)));
  }

  storeState(bits: RegisterBits, offset: Expr, value: Expr): void {
    this.#parts.state.store(bits, offset, value, () => this.#parts.exits.resume());
  }

  inlineHelper(name: HelperName, args: readonly Expr[]): Expr | "done" | undefined {
    const { state, use, exits } = this.#parts;
    const context = {
      b: this.b,
      refuse: () => exits.resume(),
      markClean: (lane: Expr) => state.markClean(lane),
      isClean: (lane: Expr) => state.isClean(lane),
      setFlagWord: (offset: number, value: Expr) => this.#setFlagWord(offset, value),
    };
    const inline = inlineFloat(context, name, args);
    if (inline !== undefined) {
      use.usesHostFloat = true;
      if (/f64|F64/.test(name)) this.#noteNumber();
    } else if (/^(f16|f32|f64|i32To|i64To)/.test(name)) this.#callsFloatHelpers = true;
    return inline;
  }

  inlineSystem(name: HelperName, args: readonly Expr[], call: () => void): boolean {
    const { b, state } = this.#parts;
    if (!state.inlinesX87) return false;
    const context = {
      b,
      helper: (helper: HelperName) => this.helper(helper),
      word: (offset: number) => state.load(32, b.i32(offset)),
      setWord: (offset: number, value: Expr) => state.store(32, b.i32(offset), value, () => {}),
      setFlagWord: (offset: number, value: Expr) => this.#setFlagWord(offset, value),
    };
    return inlineX87(context, name, args, call);
  }

  get x87IsReady(): boolean {
    return this.#parts.state.inlinesX87;
  }

  #setFlagWord(offset: number, value: Expr): void {
    const { b, state } = this.#parts;
    state.store(offset === cpu.FLAG_C ? 32 : 64, b.i32(offset), value, () => {});
  }

  /** For a register that is kept in halves, they are read one by one. */
  loadVector({ base, offset }: HostAddress): Expr | undefined {
    const { instruction, memory, state } = this.#parts;
    const registers = instruction.shape.operands.filter((operand) => operand.kind === "xmm");
    const inHalves = registers.some(({ slot }) =>
      state.isInHalves(memory.getUint16(instruction.record + SLOT_FIELDS[slot], true)),
    );
    if (!inHalves) return undefined;
    const [low, high] = [0, 8].map((at) =>
      this.b.op(
        "i64.reinterpret_f64",
        this.b.load("f64.load", base, typeof offset === "number" ? offset + at : () => offset() + at),
      ),
    );
    return vectorOf(low!, high!);
  }

  mayHaveRaised(): boolean {
    return this.#callsFloatHelpers;
  }

  /** The instruction computes with binary64 numbers: in one lane, or when this is called again in both. */
  #noteNumber(): void {
    const { instruction, use, memory } = this.#parts;
    for (const operand of instruction.shape.operands) {
      if (operand.kind !== "xmm") continue;
      const lane = Math.min(this.#numbers, 1);
      const register = memory.getUint16(instruction.record + SLOT_FIELDS[operand.slot], true);
      use.floatLanes.add(register + 8 * lane);
    }
    this.#numbers++;
  }

  beforeHelper(name: HelperName): void {
    // One that faults leaves the flags in memory as they are.
    if (writesFlags(name) || name === "flagsForPush") this.#parts.state.storeFlags();
    if (name === "sti") this.#parts.exits.storeBudget();
    if (this.#sharesX87(name)) this.#parts.state.storeX87();
  }

  afterHelper(name: HelperName): void {
    if (writesFlags(name)) this.#parts.state.reloadFlags();
    if (name === "sti") this.#parts.exits.loadBudget();
    if (this.#sharesX87(name)) this.#parts.state.reloadX87();
    if (name === "stac" || name === "clac") this.#changeTlbBank();
  }

  #sharesX87(name: HelperName): boolean {
    return name.startsWith("x87") && !name.startsWith("x87Plain") && this.#parts.state.inlinesX87;
  }

  #changeTlbBank(): void {
    const { state, pages } = this.#parts;
    state.reloadTlbBank();
    pages.forget();
  }

  fault(): void {
    this.#parts.exits.resume();
  }

  stackFault(): void {
    this.#parts.exits.resume();
  }

  raise(): void {
    this.#parts.exits.resume();
  }

  status(status: Expr): void {
    this.#parts.exits.status(status);
  }

  jumpToKnown(rip: Expr): void {
    this.#parts.exits.jumpToKnown(rip);
  }

  jumpTo(rip: Expr): void {
    this.#parts.exits.jumpTo(rip);
  }

  jumpRelative(): void {
    this.#parts.exits.takeJump();
  }

  branch(condition: Expr): void {
    this.b.if(condition, () => this.jumpRelative());
  }
}

const FLAG_WRITERS: ReadonlySet<string> = new Set(["f32CompareFlags", "f64CompareFlags", "x87CompareFlags"]);

/** Helpers that change more of the x87 unit than status, TOP and tags, or look at more. */
export function keepsX87FromInlining(name: HelperName): boolean {
  return /^mmx|^x87(LoadControl|Initialise|\w*(Environment|State))$/.test(name);
}

function writesFlags(name: HelperName): boolean {
  return FLAG_WRITERS.has(name);
}

/** Helpers that look at no general register, vector register or flag in memory, and change none but flags. */
export function isRegisterFree(name: HelperName): boolean {
  return (
    /^(f16|f32|f64|i32To|i64To|x87|multiply|divide|commitSse|mmx|pdep|pext|crc32|compareStrings|aes)/.test(
      name,
    ) || PRIVILEGED.has(name)
  );
}

/** Those that work on system flags and bases alone; `beforeHelper` and `afterHelper` see to what else they touch. */
const PRIVILEGED: ReadonlySet<string> = new Set(["cli", "sti", "stac", "clac", "swapgs", "flagsForPush"]);
