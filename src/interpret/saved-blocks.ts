import {
  CODE_CHUNK_SHIFT,
  CODE_INDEX,
  CODE_INDEX_ENTRY_BYTES,
  CODE_INDEX_NEXT_PAGE,
  CODE_INDEX_RECORD,
  CODE_MAP,
  PAGE_BYTES,
} from "../layout/memory-map.ts";
import { RECORD_BYTES } from "../layout/record.ts";
import type { Block, CodePage } from "./code-page.ts";

/** Numbers of a row: page, key, start, end, address of the records, and behind them. */
const ROW = 6;
const NO_PAGE = -1;
const CODE_SIZES = [16, 32, 64];

/** Where records may lie: from, and up to. */
export interface RecordArea {
  readonly first: number;
  readonly end: number;
}

/** Collects blocks for a snapshot. Those of a page come one after the other. */
export function blockRows(blocks: readonly Block[]): Int32Array {
  const rows = new Int32Array(blocks.length * ROW);
  for (const [i, { page, key, start, end, records, recordsEnd }] of blocks.entries())
    rows.set([page.number, key, start, end, records, recordsEnd], i * ROW);
  return rows;
}

/** Whether rows are such as `blockRows` makes, of a machine with so many pages and records within `area`. */
export function areBlockRows(rows: Int32Array, pages: number, area: RecordArea): boolean {
  if (rows.length % ROW !== 0) return false;
  for (let i = 0; i < rows.length; i += ROW) {
    const [key, start, end, records] = [rows[i + 1]!, rows[i + 2]!, rows[i + 3]!, rows[i + 4]!];
    const fits =
      isWithin(rows[i]!, 0, pages - 1) &&
      isWithin(key & 3, 0, 2) &&
      key >> 2 === start &&
      isWithin(start, 0, PAGE_BYTES - 1) &&
      isWithin(end, start + 1, PAGE_BYTES) &&
      isWithin(records, area.first, area.end) &&
      isWithin(rows[i + 5]!, records + RECORD_BYTES, area.end) &&
      (rows[i + 5]! - records) % RECORD_BYTES === 0;
    if (!fits) return false;
  }
  return true;
}

/** Blocks of a snapshot, which become `Block`s when their page is asked for: most pages never are. */
export class SavedBlocks {
  readonly #rows: Int32Array;
  /** The first row of each page that has not been asked for. */
  readonly #pages = new Map<number, number>();

  constructor(rows: Int32Array) {
    this.#rows = rows;
  }

  /**
   * Enters the blocks into the code map and the code index of the one memory.
   *
   * @param isVoid Whether a page has changed: called once for each, and `drop` for the records of its blocks.
   */
  enter(
    memory: Int32Array,
    isVoid: (page: number) => boolean,
    drop: (from: number, to: number) => void,
  ): void {
    const rows = this.#rows;
    let page = NO_PAGE;
    let skipped = false;
    for (let i = 0; i < rows.length; i += ROW) {
      if (rows[i] !== page) {
        page = rows[i]!;
        skipped = isVoid(page);
        if (!skipped) this.#pages.set(page, i);
      }
      if (skipped) drop(rows[i + 4]!, rows[i + 5]!);
      else this.#enterRow(memory, i);
    }
  }

  #enterRow(memory: Int32Array, row: number): void {
    const rows = this.#rows;
    const page = rows[row]!;
    const start = rows[row + 2]!;
    const last = (rows[row + 3]! - 1) >> CODE_CHUNK_SHIFT;
    const map = (CODE_MAP >> 2) + 2 * page;
    for (let chunk = start >> CODE_CHUNK_SHIFT; chunk <= last; chunk++)
      memory[map + (chunk >> 5)]! |= 1 << (chunk % 32);
    const physical = page * PAGE_BYTES + start;
    const entry = CODE_INDEX + (Math.imul(physical, 0x9e3779b1) >>> 16) * CODE_INDEX_ENTRY_BYTES;
    memory[entry >> 2] = physical;
    memory[(entry + 4) >> 2] = CODE_SIZES[rows[row + 1]! & 3]!;
    memory[(entry + CODE_INDEX_RECORD) >> 2] = rows[row + 4]!;
    memory[(entry + CODE_INDEX_NEXT_PAGE) >> 2] = NO_PAGE;
  }

  /** Numbers of pages that have not been taken. */
  get pages(): readonly number[] {
    return [...this.#pages.keys()];
  }

  has(page: number): boolean {
    return this.#pages.has(page);
  }

  /** Gives the blocks of a page to it, once. */
  moveTo(page: CodePage): void {
    const first = this.#pages.get(page.number);
    if (first === undefined) return;
    this.#pages.delete(page.number);
    const rows = this.#rows;
    for (let i = first; i < rows.length && rows[i] === page.number; i += ROW) {
      const block: Block = {
        page,
        key: rows[i + 1]!,
        start: rows[i + 2]!,
        end: rows[i + 3]!,
        records: rows[i + 4]!,
        recordsEnd: rows[i + 5]!,
        isLive: false,
        rewrites: 0,
      };
      page.index(block);
      page.enliven(block);
    }
  }
}

function isWithin(value: number, least: number, most: number): boolean {
  return value >= least && value <= most;
}
