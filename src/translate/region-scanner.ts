import type { CodeRange, RegionStore } from "../cpu/region-translator.ts";
import { type DecodedInstruction, Decoder } from "../decode/decoder.ts";
import { continueHandler } from "../decode/record-writer.ts";
import type { HandlerShape, ShapeTable } from "../decode/shape.ts";
import { GUEST_RAM, PAGE_BYTES } from "../layout/memory-map.ts";
import { RECORD_BYTES } from "../layout/record.ts";
import type { BlockEnd, RegionBlock, RegionCode, RegionInstruction } from "./region-code.ts";

/** A region holds at most this many instructions. */
const MAX_INSTRUCTIONS = 300;
/** A return compares its target with at most this many places. */
const MAX_RETURN_SITES = 8;
/** A block ends after this many, because a record counts them in eight bits. */
const MAX_BLOCK_INSTRUCTIONS = 200;

/** How control goes on after an instruction. */
interface Flow {
  readonly length: number;
  readonly shape: HandlerShape;
  readonly separateAddress: boolean;
  readonly target: number | undefined;
  readonly end: "onward" | "branch" | "jump" | "call" | "return" | "leave";
}

/** A region and what became of it in memory. */
export interface ScannedRegion {
  readonly code: RegionCode;
  readonly ranges: readonly CodeRange[];
  readonly instructions: number;
}

/** Finds the blocks of a region: what is reached from its entry by direct jumps within the page. */
export class RegionScanner {
  readonly #memory: Uint8Array;
  readonly #shapes: ShapeTable;
  readonly #regions: RegionStore;
  readonly #isTranslatable: (shape: HandlerShape, instruction: RegionInstruction) => boolean;
  readonly #decoder: Decoder;

  constructor(
    buffer: ArrayBufferLike,
    shapes: ShapeTable,
    regions: RegionStore,
    isTranslatable: (shape: HandlerShape, instruction: RegionInstruction) => boolean,
  ) {
    this.#memory = new Uint8Array(buffer);
    this.#shapes = shapes;
    this.#regions = regions;
    this.#decoder = new Decoder(regions.forms);
    this.#isTranslatable = isTranslatable;
  }

  /** Undefined when there is nothing to translate, or no room for the records. */
  scan(page: number, entry: number): ScannedRegion | undefined {
    const flows = this.#explore(page, entry);
    if (flows.size === 0) return undefined;
    const leaders = new Set<number>([entry]);
    const returnSites = new Set<number>();
    for (const [offset, flow] of flows) {
      if (flow.target !== undefined) leaders.add(flow.target);
      if (flow.end === "branch") leaders.add(offset + flow.length);
      if (
        flow.end === "call" &&
        flows.has(flow.target!) &&
        flows.has(offset + flow.length) &&
        returnSites.size < MAX_RETURN_SITES
      ) {
        leaders.add(offset + flow.length);
        returnSites.add(offset + flow.length);
      }
    }
    const blocks = new Map<number, RegionBlock>();
    const ranges: CodeRange[] = [];
    let instructions = 0;
    for (const start of [...leaders].sort((a, b) => a - b)) {
      if (!flows.has(start)) continue;
      const block = this.#block(page, start, flows, leaders);
      if (block === undefined) return undefined;
      blocks.set(start, block);
      instructions += block.instructions.length;
      ranges.push({ start, end: block.instructions.at(-1)!.nextOffset });
    }
    return { code: { blocks, entry, returnSites: [...returnSites] }, ranges, instructions };
  }

  /** Decodes breadth first from the entry, so that what lies near it is in when there is too much. */
  #explore(page: number, entry: number): Map<number, Flow> {
    const flows = new Map<number, Flow>();
    const queue = [entry];
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      for (let at = next; flows.size < MAX_INSTRUCTIONS && !flows.has(at); ) {
        const flow = this.#flow(page, at);
        if (flow === undefined) break;
        flows.set(at, flow);
        const isNear = flow.target !== undefined && flow.target >= 0 && flow.target < PAGE_BYTES;
        if (isNear) queue.push(flow.target!);
        if (flow.end === "call" && !isNear) break;
        if (flow.end === "jump" || flow.end === "return" || flow.end === "leave") break;
        at += flow.length;
      }
    }
    return flows;
  }

  #flow(page: number, offset: number): Flow | undefined {
    if (offset >= PAGE_BYTES) return undefined;
    const length = this.#decode(page, offset);
    if (length <= 0) return undefined;
    const d = this.#decoder.result;
    const shape = this.#shapes.shapeOf(d.form, d.operandBits, true, d.isMemory);
    const relative = shape.operands.some((operand) => operand.kind === "relative");
    const { mnemonic, endsBlock } = shape.instruction;
    const unconditional = mnemonic === "jmp" ? "jump" : mnemonic === "call" ? "call" : undefined;
    const other = mnemonic === "ret" ? "return" : endsBlock ? "leave" : "onward";
    const end = relative ? (unconditional ?? "branch") : other;
    return {
      length,
      shape,
      end,
      separateAddress: this.#regions.writer.recordsFor(d, 64) === 2,
      target: relative ? offset + length + Number(d.immediate) : undefined,
    };
  }

  #decode(page: number, offset: number): number {
    const start = GUEST_RAM + page * PAGE_BYTES;
    return this.#decoder.decode(this.#memory, start + offset, start + PAGE_BYTES, 64);
  }

  /** Writes the fallback records of one block and describes it. */
  #block(
    page: number,
    start: number,
    flows: ReadonlyMap<number, Flow>,
    leaders: ReadonlySet<number>,
  ): RegionBlock | undefined {
    const offsets: number[] = [];
    let end: BlockEnd | undefined;
    for (let at = start; end === undefined; ) {
      const flow = flows.get(at)!;
      offsets.push(at);
      const next = at + flow.length;
      if (flow.end === "branch") end = { kind: "branch", target: flow.target!, next };
      else if (flow.end === "jump") end = { kind: "jump", target: flow.target! };
      else if (flow.end === "call" && leaders.has(next))
        end = { kind: "call", target: flow.target!, returnSite: next };
      else if (flow.end === "return") end = { kind: "return" };
      else if (flow.end === "call" || flow.end === "leave") end = { kind: "leave" };
      else if (leaders.has(next) || !flows.has(next) || offsets.length === MAX_BLOCK_INSTRUCTIONS)
        end = { kind: "onward", next };
      at = next;
    }
    const records = this.#regions.allocateRecords(2 * offsets.length + 1);
    if (records === 0) return undefined;
    const instructions: RegionInstruction[] = [];
    let to = records;
    for (const [index, offset] of offsets.entries()) {
      const flow = flows.get(offset)!;
      this.#decode(page, offset);
      const d: DecodedInstruction = this.#decoder.result;
      const nextOffset = offset + flow.length;
      const behind = this.#regions.writer.write(to, d, flow.shape, 64, nextOffset, index);
      const instruction = {
        shape: flow.shape,
        firstRecord: to,
        record: behind - RECORD_BYTES,
        offset,
        nextOffset,
        target: flow.target,
        interpreted: false,
      };
      const interpreted = flow.separateAddress || !this.#isTranslatable(flow.shape, instruction);
      instructions.push({ ...instruction, interpreted });
      to = behind;
    }
    const last = instructions.at(-1)!;
    this.#regions.writer.writePseudo(
      to,
      continueHandler(last.nextOffset),
      last.nextOffset,
      0,
      offsets.length,
    );
    this.#regions.trackRecords(page, { start, end: last.nextOffset }, records, to + RECORD_BYTES);
    return { start, instructions, end, behind: to };
  }
}
