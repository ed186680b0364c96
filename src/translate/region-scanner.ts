import type { HotPlace, RegionStore, TranslatorHost } from "../cpu/region-translator.ts";
import { isStepped, isTransfer } from "../cpu/stepped-instructions.ts";
import { continueHandler, HANDLER_CONTINUE } from "../decode/record-writer.ts";
import { type HandlerShape, type ShapeTable, shapeKey } from "../decode/shape.ts";
import { PAGE_BYTES } from "../layout/memory-map.ts";
import { RECORD_BYTES } from "../layout/record.ts";
import type { CodeReader } from "./code-reader.ts";
import {
  type BlockEnd,
  isOnTwoPages,
  type Position,
  pageDelta,
  type RegionBlock,
  type RegionCode,
  type RegionInstruction,
  type RegionPage,
} from "./region-code.ts";

/** A region holds at most this many instructions. */
const MAX_INSTRUCTIONS = 400;
/** A region has code on at most this many pages. */
const MAX_PAGES = 4;
/** A byte table numbers the targets of indirect jumps. */
const MAX_INDIRECT_TARGETS = 200;
/** What is further from an indirect jump, in bytes, is taken for another function's code. */
const MAX_TARGET_DISTANCE = 1024;
/** A function that is one block of at most this many instructions is put in the place of its calls. */
const MAX_INLINED = 12;
/** A block ends after this many, because a record counts them in eight bits. */
const MAX_BLOCK_INSTRUCTIONS = 200;

/** How control goes on after an instruction. */
interface Flow {
  readonly length: number;
  readonly shape: HandlerShape;
  readonly shapeKey: number;
  readonly separateAddress: boolean;
  readonly target: Position | undefined;
  readonly end: "onward" | "branch" | "jump" | "call" | "indirect" | "return" | "leave";
}

/** Code that runs straight, and the records for it. */
export interface DescribedCode {
  readonly start: Position;
  readonly end: Position;
  /** Addresses in the one memory. */
  readonly records: number;
  readonly recordsEnd: number;
}

/** A region and what became of it in memory. */
export interface ScannedRegion {
  readonly code: RegionCode;
  /** Where the code lies, and what stands in the place of calls; the first is the entry block. */
  readonly described: readonly DescribedCode[];
  /** All that have been described, by their number. */
  readonly instructions: readonly RegionInstruction[];
}

/** Finds the blocks of a region: what is reached from its entry without calls and returns. */
export class RegionScanner {
  readonly #shapes: ShapeTable;
  readonly #regions: RegionStore;
  readonly #isTranslatable: (shape: HandlerShape, instruction: RegionInstruction) => boolean;
  readonly #reader: CodeReader;
  readonly #pageAt: (delta: number) => number | undefined;
  readonly #hasBeenReached: TranslatorHost["hasBeenReached"];
  #pages: RegionPage[] = [];
  #instructions: RegionInstruction[] = [];
  #described: DescribedCode[] = [];

  constructor(
    host: TranslatorHost,
    reader: CodeReader,
    isTranslatable: (shape: HandlerShape, instruction: RegionInstruction) => boolean,
  ) {
    this.#shapes = host.shapes;
    this.#regions = host.regions;
    this.#pageAt = (delta) => host.pageAt(delta);
    this.#hasBeenReached = (page, offset) => host.hasBeenReached(page, offset);
    this.#reader = reader;
    this.#isTranslatable = isTranslatable;
  }

  /** Undefined when there is nothing to translate, or no room for the records. */
  scan(place: HotPlace): ScannedRegion | undefined {
    this.#pages = [{ delta: 0, page: place.page }];
    this.#instructions = [];
    this.#described = [];
    const entry = place.offset;
    const { flows, indirectTargets } = this.#explore(place);
    const first = flows.get(entry);
    // What is entered at an instruction on two pages is looked up by both (BlockCache.crossingRecord).
    if (first === undefined || isOnTwoPages(entry, entry + first.length)) return undefined;
    const leaders = new Set<Position>([entry, ...indirectTargets]);
    for (const [position, flow] of flows) {
      if (flow.target !== undefined && flow.end !== "call") leaders.add(flow.target);
      if (flow.end === "branch" || flow.end === "call") leaders.add(position + flow.length);
      if (isOnTwoPages(position, position + flow.length)) leaders.add(position);
    }
    const blocks = new Map<Position, RegionBlock>();
    for (const start of [...leaders].sort((a, b) => a - b)) {
      // Long runs are cut where a block is full.
      for (let at: Position | undefined = start; at !== undefined; ) {
        if (!flows.has(at) || blocks.has(at)) break;
        const block = this.#block(at, flows, leaders);
        if (block === undefined) return undefined;
        blocks.set(at, block);
        at = block.end.kind === "onward" && !leaders.has(block.end.next) ? block.end.next : undefined;
      }
    }
    const code = { blocks, entry, indirectTargets, pages: this.#pages };
    const isEntry = ({ records }: DescribedCode): boolean =>
      records === blocks.get(entry)!.instructions[0]!.firstRecord;
    const described = [...this.#described.filter(isEntry), ...this.#described.filter((one) => !isEntry(one))];
    return { code, described, instructions: this.#instructions };
  }

  /** Decodes breadth first from the entry, so that what lies near it is in when there is too much. */
  #explore(place: HotPlace): { flows: Map<Position, Flow>; indirectTargets: Position[] } {
    const flows = new Map<Position, Flow>();
    const indirectTargets: Position[] = [];
    let knowsTargets = false;
    const queue: Position[] = [place.offset];
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      for (let at = next; flows.size < MAX_INSTRUCTIONS && !flows.has(at); ) {
        const flow = this.#flow(at);
        if (flow === undefined) break;
        flows.set(at, flow);
        if (flow.target !== undefined && this.#isFollowed(flow.end, flow.target)) queue.push(flow.target);
        if (flow.end === "indirect" && !knowsTargets) {
          knowsTargets = true;
          indirectTargets.push(...likelyTargets(place, at));
          queue.push(...indirectTargets);
        }
        if (flow.end === "jump" || flow.end === "indirect" || flow.end === "return" || flow.end === "leave")
          break;
        at += flow.length;
      }
    }
    return { flows, indirectTargets: indirectTargets.filter((target) => flows.has(target)) };
  }

  /** Compilers move unlikely code to where only a taken jump leads: a branch that was never taken is not followed. */
  #isFollowed(end: Flow["end"], target: Position): boolean {
    if (end === "call") return false;
    if (end !== "branch") return true;
    const page = this.#pageOf(target);
    return page !== undefined && this.#hasBeenReached(page, target & (PAGE_BYTES - 1));
  }

  #flow(position: Position): Flow | undefined {
    const length = this.#reader.decode(position, (at) => this.#pageOf(at));
    if (length <= 0) return undefined;
    const d = this.#reader.result;
    const shape = this.#shapes.shapeOf(d.form, d.operandBits, true, d.isMemory);
    const relative = shape.operands.some((operand) => operand.kind === "relative");
    const next = position + length;
    return {
      length,
      shape,
      shapeKey: shapeKey(d.form, d.operandBits, true, d.isMemory),
      end: endOf(shape, relative),
      separateAddress: this.#regions.writer.recordsFor(d, 64) === 2,
      target: relative ? next + Number(d.immediate) : jumpsOnward(shape) ? next : undefined,
    };
  }

  #pageOf(position: Position): number | undefined {
    const delta = pageDelta(position);
    const known = this.#pages.find((page) => page.delta === delta);
    if (known !== undefined) return known.page;
    if (this.#pages.length === MAX_PAGES) return undefined;
    const page = this.#pageAt(delta);
    if (page !== undefined) this.#pages.push({ delta, page });
    return page;
  }

  /** The block at a position. A block lies on one page. */
  #block(
    start: Position,
    flows: ReadonlyMap<Position, Flow>,
    leaders: ReadonlySet<Position>,
  ): RegionBlock | undefined {
    const positions: Position[] = [];
    let end: BlockEnd | undefined;
    for (let at = start; end === undefined; ) {
      const flow = flows.get(at)!;
      positions.push(at);
      const next = at + flow.length;
      if (flow.end === "branch") end = { kind: "branch", target: flow.target!, next };
      else if (flow.end === "jump") end = { kind: "jump", target: flow.target! };
      else if (flow.end === "call")
        end = { kind: "call", target: flow.target, next, body: this.#inlined(flow.target, flows) };
      else if (flow.end !== "onward") end = { kind: flow.end };
      else if (
        leaders.has(next) ||
        !flows.has(next) ||
        positions.length === MAX_BLOCK_INSTRUCTIONS ||
        pageDelta(next) !== pageDelta(start)
      )
        end = { kind: "onward", next };
      at = next;
    }
    return this.#describe(positions, flows, end);
  }

  /** The function at a position as a block to stand in the place of a call, if it is short and straight. */
  #inlined(target: Position | undefined, region: ReadonlyMap<Position, Flow>): RegionBlock | undefined {
    if (target === undefined) return undefined;
    const flows = new Map<Position, Flow>();
    const positions: Position[] = [];
    for (let at = target; ; ) {
      const flow = region.get(at) ?? this.#flow(at);
      if (flow === undefined || positions.length === MAX_INLINED || pageDelta(at) !== pageDelta(target))
        return undefined;
      flows.set(at, flow);
      positions.push(at);
      if (isOnTwoPages(at, at + flow.length)) return undefined;
      if (flow.end === "return") return this.#describe(positions, flows, { kind: "return" });
      if (flow.end !== "onward") return undefined;
      at += flow.length;
    }
  }

  /** Writes the fallback records of a block. */
  #describe(
    positions: readonly Position[],
    flows: ReadonlyMap<Position, Flow>,
    end: BlockEnd,
  ): RegionBlock | undefined {
    const start = positions[0]!;
    const records = this.#regions.allocateRecords(2 * positions.length + 1);
    if (records === 0) return undefined;
    const base = pageDelta(start) * PAGE_BYTES;
    const instructions: RegionInstruction[] = [];
    let to = records;
    for (const [index, position] of positions.entries()) {
      const flow = flows.get(position)!;
      this.#reader.decode(position, (at) => this.#pageOf(at));
      const d = this.#reader.result;
      const next = position + flow.length;
      const behind = this.#regions.writer.write(to, d, flow.shape, 64, next - base, index);
      const instruction = {
        number: this.#instructions.length,
        inBlock: index,
        recordInBlock: to - records,
        shape: flow.shape,
        shapeKey: flow.shapeKey,
        firstRecord: to,
        record: behind - RECORD_BYTES,
        position,
        next,
        target: flow.target,
        interpreted: false,
        stepped: false,
        transfers: false,
      };
      const interpreted = flow.separateAddress || !this.#isTranslatable(flow.shape, instruction);
      const hasHandler = interpreted && !flow.separateAddress;
      const stepped = hasHandler && isStepped(flow.shape);
      const transfers = hasHandler && isTransfer(flow.shape);
      const described = { ...instruction, interpreted, stepped, transfers };
      instructions.push(described);
      this.#instructions.push(described);
      to = behind;
    }
    const last = instructions.at(-1)!;
    const lastOffset = last.next - base;
    const crosses = isOnTwoPages(start, last.next);
    // Before an instruction on two pages the budget is looked at, and not behind it, as in the interpreter.
    const behind = crosses ? HANDLER_CONTINUE : continueHandler(lastOffset);
    this.#regions.writer.writePseudo(to, behind, lastOffset, 0, positions.length);
    this.#described.push({ start, end: last.next, records, recordsEnd: to + RECORD_BYTES });
    return { start, instructions, end, crosses };
  }
}

/** Where an indirect jump at a position may go: nearest first, because only so many instructions have room. */
function likelyTargets(place: HotPlace, position: Position): Position[] {
  const distance = (target: Position): number => Math.abs(target - position);
  return place
    .recentTargets()
    .filter((target) => distance(target) <= MAX_TARGET_DISTANCE)
    .sort((a, b) => distance(a) - distance(b))
    .slice(0, MAX_INDIRECT_TARGETS);
}

/** STI ends a block only so that interrupts are looked for behind it. */
function jumpsOnward(shape: HandlerShape): boolean {
  return shape.instruction.mnemonic === "sti";
}

function endOf(shape: HandlerShape, relative: boolean): Flow["end"] {
  const { mnemonic, endsBlock } = shape.instruction;
  if (mnemonic === "ret") return "return";
  if (relative) return mnemonic === "jmp" ? "jump" : mnemonic === "call" ? "call" : "branch";
  if (!endsBlock) return "onward";
  if (jumpsOnward(shape)) return "jump";
  const near = shape.operands[0]?.kind === "general" || shape.operands[0]?.kind === "memory";
  if (near && mnemonic === "call") return "call";
  if (near && mnemonic === "jmp") return "indirect";
  return "leave";
}
