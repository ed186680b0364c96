import type { RegionStore } from "../cpu/region-translator.ts";
import { FORMS } from "../decode/form-table.ts";
import type { ShapeTable } from "../decode/shape.ts";
import { invariant } from "../layout/invariant.ts";
import { PAGE_BYTES } from "../layout/memory-map.ts";
import { HANDLER, RECORD_BYTES } from "../layout/record.ts";
import type { CodeReader } from "./code-reader.ts";
import { type Position, pageDelta, type RegionInstruction, type RegionPage } from "./region-code.ts";
import type { DescribedCode, ScannedRegion } from "./region-scanner.ts";

/** The records of a region as they are kept for other runs: decoding its instructions again would cost most of what making it does. */
export interface KeptRecords {
  /** How many each part of the described code has. */
  readonly counts: readonly number[];
  /** Of each instruction, by its number: which record has the operands, times two, and one where the record before computes the address. */
  readonly places: ArrayLike<number>;
  /** Likewise: what kind of instruction it is, as a place in `shapes`. */
  readonly kinds: ArrayLike<number>;
  /** See `shapeKey` (decode/shape.ts). */
  readonly shapes: readonly number[];
  /** Instructions with addresses that may be others: number, position and place in the block of each. Their records are zeros. */
  readonly moved: readonly number[];
  /** All, without handlers, which have other numbers in other runs. */
  readonly records: Uint8Array;
}

/** An instruction in memory, for what a region's code has of it in cells. */
export type PlacedInstruction = Pick<RegionInstruction, "shape" | "firstRecord" | "record">;

/** A region's records in memory. */
export interface PlacedRecords {
  readonly described: readonly DescribedCode[];
  /** By number. */
  readonly instructions: readonly PlacedInstruction[];
}

/** @param isMoved Whether an instruction has an address in it that may be another. */
export function keepRecords(
  memory: Uint8Array,
  { described, instructions }: Pick<ScannedRegion, "described" | "instructions">,
  isMoved: (instruction: RegionInstruction) => boolean,
): KeptRecords {
  const counts = described.map(({ records, recordsEnd }) => (recordsEnd - records) / RECORD_BYTES);
  const records = new Uint8Array(counts.reduce((sum, count) => sum + count, 0) * RECORD_BYTES);
  const parts: { readonly from: number; readonly end: number; readonly to: number }[] = [];
  let to = 0;
  for (const { records: from, recordsEnd: end } of described) {
    records.set(memory.subarray(from, end), to);
    parts.push({ from, end, to });
    to += end - from;
  }
  const shapes = [...new Set(instructions.map(({ shapeKey }) => shapeKey))];
  const places: number[] = [];
  const moved: number[] = [];
  for (const instruction of instructions) {
    const { number, inBlock, record, firstRecord, position } = instruction;
    const part = parts.find(({ from, end }) => record >= from && record < end);
    invariant(part !== undefined, "an instruction's record is among its region's");
    const place = record - part.from + part.to;
    const first = firstRecord - part.from + part.to;
    records.fill(0, place + HANDLER, place + HANDLER + 2);
    places.push((place / RECORD_BYTES) * 2 + (first < place ? 1 : 0));
    if (!isMoved(instruction)) continue;
    moved.push(number, position, inBlock);
    records.fill(0, first, place + RECORD_BYTES);
  }
  const kinds = instructions.map(({ shapeKey }) => shapes.indexOf(shapeKey));
  return { counts, places, kinds, shapes, moved, records };
}

/** Puts records that were kept into memory. */
export class RecordPlacer {
  readonly #memory: Uint8Array;
  readonly #handlers: Uint16Array;
  readonly #regions: RegionStore;
  readonly #shapes: ShapeTable;
  readonly #reader: CodeReader;

  constructor(buffer: ArrayBufferLike, regions: RegionStore, shapes: ShapeTable, reader: CodeReader) {
    this.#memory = new Uint8Array(buffer);
    this.#handlers = new Uint16Array(buffer);
    this.#regions = regions;
    this.#shapes = shapes;
    this.#reader = reader;
  }

  /**
   * Undefined when there is no room.
   *
   * @param spans Where the described code lies: each start is followed by its end.
   */
  place(
    kept: KeptRecords,
    spans: readonly Position[],
    pages: readonly RegionPage[],
  ): PlacedRecords | undefined {
    const first = this.#regions.allocateRecords(kept.records.length / RECORD_BYTES);
    if (first === 0) return undefined;
    this.#memory.set(kept.records, first);
    const shapes = kept.shapes.map((key) => this.#shapes.byKey(key, FORMS));
    const instructions: PlacedInstruction[] = [];
    for (let i = 0; i < kept.places.length; i++) {
      const place = kept.places[i]!;
      const record = first + (place >> 1) * RECORD_BYTES;
      const shape = shapes[kept.kinds[i]!]!;
      this.#handlers[(record + HANDLER) >> 1] = shape.id;
      instructions.push({ shape, record, firstRecord: record - (place & 1) * RECORD_BYTES });
    }
    let records = first;
    const described = kept.counts.map((count, i) => {
      const start = records;
      records += count * RECORD_BYTES;
      return { start: spans[2 * i]!, end: spans[2 * i + 1]!, records: start, recordsEnd: records };
    });
    const pageOf = (at: Position): number | undefined =>
      pages.find(({ delta }) => delta === pageDelta(at))?.page;
    for (let i = 0; i < kept.moved.length; i += 3) {
      const [number, position, inBlock] = kept.moved.slice(i, i + 3) as [number, number, number];
      const { firstRecord, shape } = instructions[number]!;
      const part = described.find((one) => firstRecord >= one.records && firstRecord < one.recordsEnd)!;
      const next = position + this.#reader.decode(position, pageOf) - pageDelta(part.start) * PAGE_BYTES;
      this.#regions.writer.write(firstRecord, this.#reader.result, shape, 64, next, inBlock);
    }
    return { described, instructions };
  }
}
