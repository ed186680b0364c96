import type { Engine, EngineExit } from "../cpu/engine.ts";
import { type RegionTranslator, WARMTHS } from "../cpu/region-translator.ts";
import type { RestoredCode, SavedCode } from "../cpu/saved-code.ts";
import { type CodeBits, MAX_INSTRUCTION_BYTES } from "../decode/decoder.ts";
import { formsByOpcode } from "../decode/form-table.ts";
import { HANDLER_CROSSING, HANDLER_UNDEFINED } from "../decode/record-writer.ts";
import { FAULTS } from "../isa/faults.ts";
import * as cpu from "../layout/cpu-state.ts";
import { CPU_STATE, GUEST_RAM, JUMP_COUNT, JUMP_COUNT_SETTLED, PAGE_BYTES } from "../layout/memory-map.ts";
import * as record from "../layout/record.ts";
import { BlockCache } from "./block-cache.ts";
import { CodeSurroundings, jumpCacheEntry } from "./code-surroundings.ts";
import { HandlerTable, type RunExports } from "./handler-table.ts";
import { Heat } from "./heat.ts";
import type { InterpreterParts, InterpreterStatistics } from "./interpreter-parts.ts";
import { TranslationAttempts } from "./translation-attempts.ts";

/** Of how many undecodable instructions the bytes are kept: a guest can make up any number. */
const MAX_UNDEFINED_NOTED = 1000;

/**
 * The interpreter: decodes guest code into records and runs them with a
 * WebAssembly function generated from the instruction table.
 *
 * Handlers outside of the hot set are compiled when code that needs them is
 * first decoded.
 */
export class Interpreter implements Engine {
  readonly name = "interpreter";
  readonly #parts: InterpreterParts;
  readonly #handlers: HandlerTable;
  readonly #blocks: BlockCache;
  readonly #run: RunExports;
  readonly #surroundings: CodeSurroundings;
  readonly #translator: RegionTranslator | undefined;
  readonly #attempts = new TranslationAttempts();
  readonly #heat: Heat;
  readonly #i32: Int32Array;
  readonly #u8: Uint8Array;
  readonly #u16: Uint16Array;
  readonly #i64: BigInt64Array;
  /** Code is translated before it runs, so nothing has been reached yet. */
  #translatesAhead: boolean;
  /** Until it has been restored. */
  #code: RestoredCode | undefined;
  #lookups = 0;
  #links = 0;
  #crossings = 0;
  /** Bytes of instructions that no form matched, as hex, with how often they were executed. */
  readonly undefinedInstructions = new Map<string, number>();

  constructor(parts: InterpreterParts) {
    this.#parts = parts;
    this.#translatesAhead = parts.eager === true;
    this.#heat = new Heat(parts.heatMarks ?? []);
    const { buffer } = parts.memory;
    this.#i32 = new Int32Array(buffer);
    this.#u8 = new Uint8Array(buffer);
    this.#u16 = new Uint16Array(buffer);
    this.#i64 = new BigInt64Array(buffer);
    this.#handlers = new HandlerTable(parts, this.#heat.mark);
    const { shapes, run } = this.#handlers;
    this.#blocks = new BlockCache(buffer, shapes, parts.forms ?? formsByOpcode(), this.#handlers.fusion, {
      protectCodePage: (page) => parts.core.protectCodePage(page),
      recordsFlushed: () => this.#forgetRecords(),
      regionDropped: (handler) => this.#translator?.regionDropped(handler),
    });
    this.#run = parts.meter === undefined ? run : { ...run, run: parts.meter.timed("guest/code", run.run) };
    this.#surroundings = new CodeSurroundings(parts.core, buffer);
    this.#translator = parts.createTranslator?.({
      memory: parts.memory,
      pages: parts.pages,
      core: parts.core,
      run: this.#run,
      handlers: this.#handlers.table,
      shapes,
      regions: this.#blocks,
      pageAt: (delta) => this.#surroundings.pageAt(delta),
      hasBeenReached: (page, offset) => this.#translatesAhead || this.#blocks.hasBlock(page, offset),
    });
    this.#code = this.#handlers.restored;
  }

  get statistics(): InterpreterStatistics {
    const { shapes } = this.#handlers.shapes;
    return {
      lookups: this.#lookups,
      links: this.#links,
      crossings: this.#crossings,
      decodedBlocks: this.#blocks.decodedBlocks,
      invalidatedBlocks: this.#blocks.invalidatedBlocks,
      restoredBlocks: this.#blocks.restoredBlocks,
      recordFlushes: this.#blocks.flushes,
      handlerModules: this.#handlers.modules,
      handlerShapes: shapes.length,
      ...this.#translator?.statistics,
    };
  }

  codeWritten(page: number, first: number, last: number): void {
    this.#blocks.codeWritten(page, first, last);
  }

  forgetCode(): void {
    this.#blocks.flushAll();
  }

  saveCode(): SavedCode | undefined {
    const { codeKey } = this.#parts;
    if (codeKey === undefined) return undefined;
    return { key: codeKey, ...this.#handlers.save(), ...this.#blocks.save() };
  }

  restoreCode(): void {
    this.forgetCode();
    const code = this.#code;
    this.#code = undefined;
    if (code !== undefined) this.#blocks.restore(code, (page) => code.changedPages.has(page));
  }

  /** Runs from RIP until something outside of the engine has to happen. */
  execute(): EngineExit {
    this.#translator?.runStarts();
    let pc = this.#run.dispatch();
    for (;;) {
      if (pc !== 0) this.#enterRecords(pc);
      const exit = this.#state32(cpu.EXIT_REASON);
      switch (exit) {
        case cpu.EXIT_LOOKUP:
          pc = this.#lookup();
          break;
        case cpu.EXIT_HOT:
          pc = this.#becameHot(this.#state32(cpu.EXIT_RECORD));
          break;
        case cpu.EXIT_STALE:
          if (this.#isBudgetUsedUp()) return cpu.EXIT_BUDGET;
          pc = this.#replaceStale(this.#state32(cpu.EXIT_RECORD));
          break;
        case cpu.EXIT_LINK:
          pc = this.#link(this.#state32(cpu.EXIT_RECORD));
          break;
        case cpu.EXIT_FAULT:
          this.#noteFault();
          return exit;
        default:
          return exit as EngineExit;
      }
      if (pc !== 0) continue;
      // A lookup that found no record has set the reason itself.
      const refusal = this.#state32(cpu.EXIT_REASON);
      if (refusal === cpu.EXIT_FAULT || refusal === cpu.EXIT_STEP) return refusal;
    }
  }

  /** Executes exactly one instruction at RIP, or delivers nothing but its fault. */
  step(): EngineExit {
    const physical = this.#translate(this.#linearAddress());
    if (physical < 0) return cpu.EXIT_FAULT;
    const offset = physical & (PAGE_BYTES - 1);
    const bytes = this.#fetch(physical);
    if (bytes === undefined || this.#leavesSegment(bytes)) return cpu.EXIT_FAULT;
    this.#setRipBase(offset);
    const at = this.#blocks.stepRecord(bytes, offset, this.#codeBits());
    this.#handlers.compilePending();
    // With a budget of one, a jump does not go on into code that is decoded already.
    const spare = this.#state32(cpu.BUDGET) - 1;
    this.#addToBudget(-spare);
    this.#enterRecords(at);
    this.#addToBudget(spare);
    const exit = this.#state32(cpu.EXIT_REASON);
    // Whatever leads on to more code has done its one instruction.
    if (exit === cpu.EXIT_LOOKUP || exit === cpu.EXIT_LINK || exit === cpu.EXIT_STALE) return cpu.EXIT_BUDGET;
    if (exit === cpu.EXIT_FAULT) this.#noteFault();
    return exit as EngineExit;
  }

  /** Blocks that lead on without a jump ask here. RIP is exact. */
  #isBudgetUsedUp(): boolean {
    return this.#state32(cpu.BUDGET) <= 0;
  }

  /** Changes the budget without counting the difference as executed. */
  #addToBudget(instructions: number): void {
    this.#setState32(cpu.BUDGET, this.#state32(cpu.BUDGET) + instructions);
    this.#setState32(cpu.BUDGET_START, this.#state32(cpu.BUDGET_START) + instructions);
  }

  /**
   * Fifteen bytes from the physical address of RIP; those behind the page, where the instruction has any, from where
   * the next page lies. Undefined with a fault set when that page is absent.
   */
  #fetch(physical: number): Uint8Array | undefined {
    const bytes = new Uint8Array(2 * MAX_INSTRUCTION_BYTES).fill(0xff);
    const onPage = Math.min(MAX_INSTRUCTION_BYTES, PAGE_BYTES - (physical & (PAGE_BYTES - 1)));
    if (this.#isRam(physical))
      bytes.set(this.#u8.subarray(GUEST_RAM + physical, GUEST_RAM + physical + onPage));
    if (onPage < MAX_INSTRUCTION_BYTES && this.#blocks.isTruncated(bytes, onPage, this.#codeBits())) {
      const next = this.#translate(this.#linearAddress() + BigInt(onPage));
      if (next < 0) return undefined;
      if (this.#isRam(next)) {
        bytes.set(this.#u8.subarray(GUEST_RAM + next, GUEST_RAM + next + MAX_INSTRUCTION_BYTES), onPage);
      }
    }
    return bytes;
  }

  /** Whether the instruction goes beyond the limit of CS: sets #GP(0). */
  #leavesSegment(bytes: Uint8Array): boolean {
    const available = this.#parts.core.fetchableBytes();
    if (available >= MAX_INSTRUCTION_BYTES) return false;
    if (!this.#blocks.isTruncated(bytes, available, this.#codeBits())) return false;
    this.#setState32(cpu.FAULT_VECTOR, FAULTS["#GP"]);
    this.#setState32(cpu.FAULT_ERROR_CODE, 0);
    this.#setState32(cpu.EXIT_REASON, cpu.EXIT_FAULT);
    return true;
  }

  /** Finds or decodes the code at RIP, notes it in the jump cache, and returns its record; 0 with a fault set. */
  #lookup(): number {
    this.#lookups++;
    const linear = this.#linearAddress();
    if (this.#parts.core.mustStep(linear) !== 0) {
      this.#setState32(cpu.EXIT_REASON, cpu.EXIT_STEP);
      return 0;
    }
    const physical = this.#translate(linear);
    if (physical < 0) return 0;
    const offset = physical & (PAGE_BYTES - 1);
    this.#setRipBase(offset);
    if (!this.#isRam(physical)) return this.#deviceCode(physical, offset);
    if (this.#parts.eager === true) this.#translateCode(physical);
    const at = this.#blocks.recordAt(physical, this.#codeBits());
    if (this.#u16[(at + record.HANDLER) >> 1] === HANDLER_CROSSING) return this.#crossing(physical);
    this.#handlers.compilePending();
    this.#parts.core.enterCode(physical, -1, at);
    // What has become hot and was rewritten may become hot again.
    const count = (jumpCacheEntry(linear) + JUMP_COUNT) >> 2;
    if (this.#i32[count]! >= JUMP_COUNT_SETTLED) this.#i32[count] = 0;
    return at;
  }

  #enterRecords(pc: number): void {
    this.#run.run(pc);
    this.#setState32(cpu.CURRENT_RECORD, 0);
  }

  /** Translates the code at RIP at once, if there is a translator and RIP can be fetched from. For tests. */
  translateHere(): void {
    this.#translatesAhead = true;
    const at = this.#becameHot(0);
    this.#translatesAhead = this.#parts.eager === true;
    this.#translator?.compileWaiting();
    if (at === 0) this.#setState32(cpu.FAULT_VECTOR, -1);
    else this.#lookup();
  }

  /** The code at RIP has become hot, or warm: by the count in the record of the jump that leads there, or, where that is 0, of the jump cache. */
  #becameHot(from: number): number {
    const linear = this.#linearAddress();
    if (this.#parts.core.mustStep(linear) !== 0) return this.#lookup();
    const physical = this.#translate(linear);
    if (physical < 0) return 0;
    const counter = from === 0 ? -1 - physical : from;
    const goesOn = this.#isRam(physical) && !this.#translateCode(physical, counter);
    if (goesOn && from !== 0) {
      this.#i32[(from + record.DISPLACEMENT) >> 2] = this.#heat.goesOn(counter, this.#leadsForward(from));
      return this.#lookup();
    }
    const at = this.#lookup();
    this.#i32[(jumpCacheEntry(linear) + JUMP_COUNT) >> 2] = goesOn
      ? this.#heat.goesOn(counter, false)
      : JUMP_COUNT_SETTLED;
    return at;
  }

  /**
   * Offers the code at RIP, whose physical address is in RAM, to the translator. False when it is to go on being counted, by the counter that
   * has reached the mark.
   */
  #translateCode(physical: number, counter?: number): boolean {
    if (this.#translator === undefined || this.#codeBits() !== 64) return true;
    const [page, offset] = [physical >>> 12, physical & (PAGE_BYTES - 1)];
    if (this.#blocks.hasRegion(page, offset)) return true;
    this.#setRipBase(offset);
    const place = { page, offset, recentTargets: () => this.#surroundings.recentTargets() };
    const isHot = this.#translatesAhead || counter === undefined || this.#heat.isHot(counter);
    if (!isHot && !this.#translator.wants(place, WARMTHS[this.#heat.markOf(counter)]!)) return false;
    if (!this.#translatesAhead && !this.#attempts.isDue(physical)) return true;
    this.#translator.translate(place);
    if (this.#parts.eager === true) this.#translator.compileWaiting();
    return true;
  }

  /** A stale record was reached: the code is decoded anew, and what leads to the record leads there from now on. */
  #replaceStale(stale: number): number {
    const flushes = this.#blocks.flushes;
    const crossings = this.#crossings;
    const at = this.#lookup();
    const isBlockStart = this.#u8[stale + record.INDEX] === 0;
    const hasNewPlace = at !== 0 && at !== stale && isBlockStart && flushes === this.#blocks.flushes;
    // What leads to a record may do so wherever its page is mapped: not so for one that a second page belongs to.
    if (hasNewPlace && crossings === this.#crossings) this.#blocks.forward(stale, at);
    return at;
  }

  /** Code outside of RAM reads as all ones; it is never cached. */
  #deviceCode(physical: number, offset: number): number {
    const bytes = this.#fetch(physical);
    if (bytes === undefined) return 0;
    const at = this.#blocks.stepRecord(bytes, offset, this.#codeBits());
    this.#handlers.compilePending();
    return at;
  }

  /** Resolves a direct jump within a page. RIP is its target. */
  #link(from: number): number {
    this.#links++;
    const physical = this.#translate(this.#linearAddress());
    if (physical < 0) return 0;
    if (!this.#isRam(physical)) return this.#lookup();
    const flushes = this.#blocks.flushes;
    if (this.#parts.eager === true) this.#translateCode(physical);
    const at = this.#blocks.recordAt(physical, this.#codeBits());
    this.#handlers.compilePending();
    // After a flush the jump's own record is gone.
    if (flushes === this.#blocks.flushes && from >= record.RECORD_BYTES) {
      this.#i32[(from + record.LINK) >> 2] = at;
      // The count of a relative jump (InterpretedRecord).
      this.#i32[(from + record.DISPLACEMENT) >> 2] = this.#heat.start(this.#leadsForward(from));
    }
    this.#setRipBase(physical & (PAGE_BYTES - 1));
    if (this.#state32(cpu.BUDGET) <= 0) this.#setState32(cpu.EXIT_REASON, cpu.EXIT_BUDGET);
    return this.#state32(cpu.BUDGET) <= 0 ? this.#run.dispatch() : at;
  }

  /** Whether a relative jump that is no call leads to code behind it. */
  #leadsForward(from: number): boolean {
    const target = this.#i32[(from + record.TARGET_OFFSET) >> 2]!;
    if (target < this.#u16[(from + record.NEXT_OFFSET) >> 1]!) return false;
    return (
      this.#handlers.shapes.at(this.#u16[(from + record.HANDLER) >> 1]!)?.instruction.mnemonic !== "call"
    );
  }

  /** The instruction at RIP begins in RAM and lies on two pages. */
  #crossing(physical: number): number {
    this.#crossings++;
    const next = this.#translate((this.#linearAddress() & ~0xfffn) + 4096n);
    if (next < 0) return 0;
    if (!this.#isRam(next)) return this.#deviceCode(physical, physical & (PAGE_BYTES - 1));
    const at = this.#blocks.crossingRecord(physical, next >>> 12, this.#codeBits());
    this.#handlers.compilePending();
    this.#parts.core.enterCode(physical, next >>> 12, at);
    return at;
  }

  /** A guest physical address, or -1 with EXIT_FAULT and the fault set. */
  #translate(linear: bigint): number {
    const physical = this.#parts.core.translateExecute(BigInt.asIntN(64, linear));
    if (physical >= 0n) return physical > 0xffff_ffffn ? 0xffff_ffff : Number(physical);
    this.#setState32(cpu.EXIT_REASON, cpu.EXIT_FAULT);
    return -1;
  }

  #isRam(physical: number): boolean {
    return physical < this.#i32[(CPU_STATE + cpu.RAM_BYTES) >> 2]! >>> 0;
  }

  #linearAddress(): bigint {
    return BigInt.asIntN(64, this.#state64(cpu.RIP) + this.#state64(cpu.SEG_CS + cpu.SEGMENT_EFFECTIVE_BASE));
  }

  #setRipBase(offset: number): void {
    this.#i64[(CPU_STATE + cpu.RIP_BASE) >> 3] = this.#state64(cpu.RIP) - BigInt(offset);
  }

  #codeBits(): CodeBits {
    return this.#state32(cpu.CODE_BITS) as CodeBits;
  }

  #forgetRecords(): void {
    this.#parts.core.flushJumpCache();
    this.#parts.core.forgetCode();
    this.#heat.forget();
    this.#translator?.allRegionsDropped();
  }

  /** Turns a non-canonical stack reference into #SS, and counts undecodable instructions. */
  #noteFault(): void {
    const at = this.#state32(cpu.EXIT_RECORD);
    if (this.#state32(cpu.FAULT_NON_CANONICAL) !== 0) {
      if ((this.#u8[at + record.FLAGS]! & record.RECORD_FLAG_STACK) !== 0)
        this.#setState32(cpu.FAULT_VECTOR, 12);
      this.#setState32(cpu.FAULT_NON_CANONICAL, 0);
    }
    if (this.#u16[(at + record.HANDLER) >> 1] === HANDLER_UNDEFINED) this.#countUndefined();
  }

  #countUndefined(): void {
    const vector = this.#state32(cpu.FAULT_VECTOR);
    const physical = this.#parts.core.translateExecute(this.#linearAddress());
    this.#setState32(cpu.FAULT_VECTOR, vector);
    if (physical < 0n || !this.#isRam(Number(physical))) return;
    const at = GUEST_RAM + Number(physical);
    if (this.undefinedInstructions.size >= MAX_UNDEFINED_NOTED) return;
    const text = [...this.#u8.subarray(at, at + 8)]
      .map((byte) => byte.toString(16).padStart(2, "0"))
      .join(" ");
    this.undefinedInstructions.set(text, (this.undefinedInstructions.get(text) ?? 0) + 1);
  }

  #state32(field: number): number {
    return this.#i32[(CPU_STATE + field) >> 2]!;
  }
  #setState32(field: number, value: number): void {
    this.#i32[(CPU_STATE + field) >> 2] = value;
  }
  #state64(field: number): bigint {
    return this.#i64[(CPU_STATE + field) >> 3]!;
  }
}
