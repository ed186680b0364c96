// Decoded code in a snapshot. A page's blocks and records lie together, those of several pages in a group, which is put
// into the area of records when one of its pages is asked for: most never are. Groups lie one behind the other there, so
// that records have their addresses, and links between them are right, before any has been unpacked. A group is the
// rows of its pages' blocks, then the records.

import type { PackedCode, SavedCode } from "../cpu/saved-code.ts";
import {
  CODE_CHUNK_SHIFT,
  CODE_INDEX,
  CODE_INDEX_ENTRY_BYTES,
  CODE_INDEX_NEXT_PAGE,
  CODE_INDEX_RECORD,
  CODE_MAP,
  PAGE_BYTES,
} from "../layout/memory-map.ts";
import * as record from "../layout/record.ts";
import type { Block, CodePage } from "./code-page.ts";

/** Numbers of a page: itself, its two words of CODE_MAP, its group, its first row in there, and how many. */
const PAGE = 6;
/** Numbers of a block: key, start, end, address of the records, and behind them. */
const ROW = 5;
const ROW_BYTES = 4 * ROW;
/** A page more is not taken into a group that is as large. */
const GROUP_BYTES = 32 << 10;
/** A page of which there is more, since its blocks overlap, is left out: a group has to fit into a chunk. */
const MOST_PAGE_BYTES = 512 << 10;
const NO_PAGE = -1;
const CODE_SIZES = [16, 32, 64];

/** Blocks and records as a snapshot has them: PAGE numbers for each page. */
export type SavedRecords = Pick<SavedCode, "pages" | "recentGroups" | "groups">;

/** The blocks of a page, with all that are to be saved. */
export interface PageBlocks {
  readonly page: number;
  readonly blocks: readonly Block[];
}

/**
 * Collects blocks for a snapshot.
 *
 * @param memory The one memory.
 * @param recent Pages that were used lately.
 * @param first Where the records of the first group will lie.
 */
export function saveBlocks(
  memory: Uint8Array,
  pages: readonly PageBlocks[],
  recent: ReadonlySet<number>,
  first: number,
): SavedRecords {
  const recentGroups = grouped(pages.filter(({ page }) => recent.has(page)));
  const groups = [...recentGroups, ...grouped(pages.filter(({ page }) => !recent.has(page)))];
  const places = new Map<number, number>();
  let at = first;
  for (const group of groups) {
    let records = at + rowBytes(group);
    for (const block of blocksOf(group)) {
      places.set(block.records, records);
      records += block.recordsEnd - block.records;
    }
    at = records;
  }
  return {
    pages: Int32Array.from(groups.flatMap(pageNumbers)),
    recentGroups: recentGroups.map((group) => groupBytes(memory, group, places)),
    groups: groups.slice(recentGroups.length).map((group) => groupBytes(memory, group, places)),
  };
}

function grouped(pages: readonly PageBlocks[]): PageBlocks[][] {
  const groups: PageBlocks[][] = [];
  let sizeBytes = GROUP_BYTES;
  for (const page of pages) {
    const pageBytes = sizeOf(page);
    if (pageBytes > MOST_PAGE_BYTES) continue;
    if (sizeBytes >= GROUP_BYTES) {
      groups.push([]);
      sizeBytes = 0;
    }
    groups.at(-1)!.push(page);
    sizeBytes += pageBytes;
  }
  return groups;
}

function sizeOf({ blocks }: PageBlocks): number {
  return blocks.reduce((sum, { records, recordsEnd }) => sum + ROW_BYTES + recordsEnd - records, 0);
}

function blocksOf(group: readonly PageBlocks[]): Block[] {
  return group.flatMap(({ blocks }) => blocks);
}

/** Size of a group's rows, made such that records lie as they must. */
function rowBytes(group: readonly PageBlocks[]): number {
  return Math.ceil((blocksOf(group).length * ROW_BYTES) / record.RECORD_BYTES) * record.RECORD_BYTES;
}

function pageNumbers(group: readonly PageBlocks[], number: number): number[] {
  let row = 0;
  return group.flatMap(({ page, blocks }) => {
    const map = [0, 0];
    for (const { start, end } of blocks)
      for (let chunk = start >> CODE_CHUNK_SHIFT; chunk <= (end - 1) >> CODE_CHUNK_SHIFT; chunk++)
        map[chunk >> 5]! |= 1 << (chunk % 32);
    row += blocks.length;
    return [page, map[0]!, map[1]!, number, row - blocks.length, blocks.length];
  });
}

function groupBytes(
  memory: Uint8Array,
  group: readonly PageBlocks[],
  places: ReadonlyMap<number, number>,
): Uint8Array {
  const blocks = blocksOf(group);
  const before = rowBytes(group);
  const bytes = new Uint8Array(
    blocks.reduce((sum, { records, recordsEnd }) => sum + recordsEnd - records, before),
  );
  const words = new Int32Array(bytes.buffer);
  let at = before;
  for (const [i, { key, start, end, records, recordsEnd }] of blocks.entries()) {
    const place = places.get(records)!;
    words.set([key, start, end, place, place + recordsEnd - records], i * ROW);
    bytes.set(memory.subarray(records, recordsEnd), at);
    at += recordsEnd - records;
  }
  for (at = before; at < bytes.length; at += record.RECORD_BYTES) {
    if ((bytes[at + record.FLAGS]! & record.RECORD_FLAG_LINKABLE) === 0) continue;
    // What leads to code that is not saved finds its way anew.
    const link = (at + record.LINK) >> 2;
    words[link] = places.get(words[link]!) ?? 0;
  }
  return bytes;
}

/** Blocks of a snapshot, which become `Block`s when their page is asked for. */
export class SavedBlocks {
  readonly #memory: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #pageNumbers: Int32Array;
  /** Gone when they are in memory. */
  readonly #groups: ((() => Uint8Array) | undefined)[];
  /** Where groups lie in memory, and behind the last where that ends. */
  readonly #places: readonly number[];
  /** Where the numbers of each page are that has not been asked for. */
  readonly #pages = new Map<number, number>();

  private constructor(
    buffer: ArrayBufferLike,
    pages: Int32Array,
    groups: readonly (() => Uint8Array)[],
    places: readonly number[],
  ) {
    this.#memory = new Int32Array(buffer);
    this.#bytes = new Uint8Array(buffer);
    this.#pageNumbers = pages;
    this.#groups = [...groups];
    this.#places = places;
  }

  /**
   * Enters pages into the code map. Undefined where they are not such as `saveBlocks` makes.
   *
   * @param buffer Of the one memory.
   * @param area Where records may lie: from, and up to.
   * @param isVoid Whether a page has changed since it was saved.
   */
  static enter(
    buffer: ArrayBufferLike,
    { pages, groups }: { readonly pages: Int32Array; readonly groups: readonly PackedCode[] },
    area: { readonly first: number; readonly end: number; readonly pageCount: number },
    isVoid: (page: number) => boolean,
  ): SavedBlocks | undefined {
    const places = [area.first];
    for (const { sizeBytes } of groups) places.push(places.at(-1)! + sizeBytes);
    if (pages.length % PAGE !== 0 || places.at(-1)! > area.end) return undefined;
    if (places.some((place) => place % record.RECORD_BYTES !== 0)) return undefined;
    for (let i = 0; i < pages.length; i += PAGE) {
      const sizeBytes = groups[pages[i + 3]!]?.sizeBytes ?? 0;
      const rows = sizeBytes / ROW_BYTES;
      const fits =
        isWithin(pages[i]!, 0, area.pageCount - 1) &&
        isWithin(pages[i + 4]!, 0, rows) &&
        isWithin(pages[i + 5]!, 1, rows - pages[i + 4]!);
      if (!fits) return undefined;
    }
    const unpack = groups.map((group) => group.unpack);
    const saved = new SavedBlocks(buffer, pages, unpack, places);
    for (let i = 0; i < pages.length; i += PAGE) if (!isVoid(pages[i]!)) saved.#enterPage(i);
    return saved;
  }

  #enterPage(at: number): void {
    const numbers = this.#pageNumbers;
    const page = numbers[at]!;
    this.#setCodeMap(page, numbers[at + 1]!, numbers[at + 2]!);
    this.#pages.set(page, at);
  }

  #setCodeMap(page: number, low: number, high: number): void {
    const map = (CODE_MAP >> 2) + 2 * page;
    this.#memory[map] = low;
    this.#memory[map + 1] = high;
  }

  /** Behind the last record. */
  get end(): number {
    return this.#places.at(-1)!;
  }

  /** Numbers of pages that have not been taken. */
  get pages(): readonly number[] {
    return [...this.#pages.keys()];
  }

  has(page: number): boolean {
    return this.#pages.has(page);
  }

  /** Forgets all that has not been taken. */
  clear(): void {
    for (const page of this.#pages.keys()) this.#setCodeMap(page, 0, 0);
    this.#pages.clear();
  }

  /** Gives the blocks of a page to it, once. */
  moveTo(page: CodePage): void {
    const at = this.#pages.get(page.number);
    if (at === undefined) return;
    this.#pages.delete(page.number);
    this.#setCodeMap(page.number, 0, 0);
    const group = this.#pageNumbers[at + 3]!;
    this.#bringIn(group);
    const first = (this.#places[group]! >> 2) + this.#pageNumbers[at + 4]! * ROW;
    const end = first + this.#pageNumbers[at + 5]! * ROW;
    for (let row = first; row < end; row += ROW) if (this.#isRow(row, group)) this.#enterRow(row, page);
  }

  #bringIn(group: number): void {
    const unpack = this.#groups[group];
    if (unpack === undefined) return;
    this.#groups[group] = undefined;
    const place = this.#places[group]!;
    this.#bytes.set(unpack().subarray(0, this.#places[group + 1]! - place), place);
  }

  #isRow(row: number, group: number): boolean {
    const words = this.#memory;
    const key = words[row]!;
    const start = words[row + 1]!;
    const end = words[row + 2]!;
    const records = words[row + 3]!;
    const recordsEnd = words[row + 4]!;
    const isPlace = (key & 3) <= 2 && key >> 2 === start && start >= 0 && start < end && end <= PAGE_BYTES;
    const isInGroup = records >= this.#places[group]! && recordsEnd <= this.#places[group + 1]!;
    return isPlace && isInGroup && records < recordsEnd && (records | recordsEnd) % record.RECORD_BYTES === 0;
  }

  #enterRow(row: number, page: CodePage): void {
    const words = this.#memory;
    const block: Block = {
      page,
      key: words[row]!,
      start: words[row + 1]!,
      end: words[row + 2]!,
      records: words[row + 3]!,
      recordsEnd: words[row + 4]!,
      isLive: false,
      rewrites: 0,
    };
    page.index(block);
    page.enliven(block);
    const physical = page.number * PAGE_BYTES + block.start;
    const entry = CODE_INDEX + (Math.imul(physical, 0x9e3779b1) >>> 16) * CODE_INDEX_ENTRY_BYTES;
    words[entry >> 2] = physical;
    words[(entry + 4) >> 2] = CODE_SIZES[block.key & 3]!;
    words[(entry + CODE_INDEX_RECORD) >> 2] = block.records;
    words[(entry + CODE_INDEX_NEXT_PAGE) >> 2] = NO_PAGE;
  }
}

function isWithin(value: number, least: number, most: number): boolean {
  return value >= least && value <= most;
}
