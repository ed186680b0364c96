import type { CodeRange, CodeTicket, RegionStore } from "../cpu/region-translator.ts";
import type { PackedCode } from "../cpu/saved-code.ts";
import { type CodeBits, MAX_INSTRUCTION_BYTES } from "../decode/decoder.ts";
import type { OpcodeIndex } from "../decode/form-table.ts";
import { HANDLER_BUDGET, HANDLER_CONTINUE, HANDLER_STOP, RecordWriter } from "../decode/record-writer.ts";
import type { ShapeTable } from "../decode/shape.ts";
import { GUEST_RAM, PAGE_BYTES } from "../layout/memory-map.ts";
import * as record from "../layout/record.ts";
import { BlockDecoder, type Fusion, MAX_BLOCK_BYTES } from "./block-decoder.ts";
import type { Block, CodePage, Region } from "./code-page.ts";
import type { CodeTemplate, TemplateMemory } from "./code-template.ts";
import { DecodedPages, NO_KEY } from "./decoded-pages.ts";
import { RecordSpace, STEP_RECORDS } from "./record-space.ts";
import type { SavedRecords } from "./saved-blocks.ts";

/** Code that changes in more than operands this often gets no template again. */
const MOST_REWRITES = 4;
/** Templates at a time: a guest can rewrite any amount of code. */
const MOST_TEMPLATES = 10_000;
const codeBitsIndex = (codeBits: CodeBits): number => (codeBits === 64 ? 2 : codeBits === 32 ? 1 : 0);
const regionPlace = (page: number, key: number): number => page * 4 * PAGE_BYTES + key;
const blockKey = (offset: number, codeBits: CodeBits): number => offset * 4 + codeBitsIndex(codeBits);

/** What the cache asks of its surroundings. */
export interface BlockCacheHooks {
  /** A page holds decoded code for the first time: its write-TLB entries must go. */
  protectCodePage(page: number): void;
  /** All records are void: everything that points to them must go. */
  recordsFlushed(): void;
  /** A region is void: its handler may be used for another. */
  regionDropped(handler: number): void;
}

/**
 * Decoded blocks by guest physical page.
 *
 * A block starts anywhere and runs to an instruction that never falls
 * through, the page's end, or 64 instructions. A write over decoded bytes turns the
 * records of the blocks concerned into stale ones, wherever they are linked
 * from. Their memory is used again only for code at the same place, so that
 * what leads to them stays right, until all records are flushed.
 */
export class BlockCache implements RegionStore {
  readonly #memory: TemplateMemory;
  readonly writer: RecordWriter;
  readonly #decoder: BlockDecoder;
  readonly #hooks: BlockCacheHooks;
  readonly #pages: DecodedPages;
  readonly #space = new RecordSpace();
  #templates = 0;
  /** Where regions begin that are not yet installed. */
  readonly #expected = new Set<number>();
  /** Blocks decoded, and decoded code thrown away, since the start. */
  decodedBlocks = 0;
  invalidatedBlocks = 0;
  /** Blocks made good by a template, without decoding. */
  restoredBlocks = 0;
  flushes = 0;

  /** @param forms What the processor can decode. */
  constructor(
    buffer: ArrayBufferLike,
    shapes: ShapeTable,
    forms: OpcodeIndex,
    fusion: Fusion,
    hooks: BlockCacheHooks,
  ) {
    this.#memory = { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), i32: new Int32Array(buffer) };
    this.writer = new RecordWriter(buffer);
    this.#decoder = new BlockDecoder(this.#memory, this.writer, shapes, forms, fusion);
    this.#pages = new DecodedPages(this.#memory, (page) => hooks.protectCodePage(page));
    this.#hooks = hooks;
  }

  get forms(): OpcodeIndex {
    return this.#decoder.forms;
  }

  /** The record for code at a guest physical address in RAM. */
  recordAt(physical: number, codeBits: CodeBits): number {
    const page = physical >>> 12;
    const offset = physical & (PAGE_BYTES - 1);
    const known = this.#pages.known(page)?.find(blockKey(offset, codeBits));
    if (known !== undefined) {
      if (known.isLive) return known.records;
      if (known.template?.restore(this.#memory, GUEST_RAM + physical, known.records)) {
        this.restoredBlocks++;
        this.#pages.enliven(known);
        return known.records;
      }
    }
    this.#reserve();
    return this.#decodeBlock(page, offset, codeBits);
  }

  /** Makes room for one block; flushes everything when there is none. */
  #reserve(): void {
    if (!this.#space.hasRoom(MAX_BLOCK_BYTES)) this.flushAll();
  }

  /** Forgets all decoded code. */
  flushAll(): void {
    this.#pages.clear();
    this.#templates = 0;
    this.#expected.clear();
    this.#space.reset();
    this.flushes++;
    this.#hooks.recordsFlushed();
  }

  /** What is decoded, for a snapshot. */
  save(): SavedRecords {
    return this.#pages.save();
  }

  /** Goes on with what `save` gave, over memory that is as it was then but for some pages. Nothing may be decoded yet. */
  restore(
    saved: { readonly pages: Int32Array; readonly groups: readonly PackedCode[] },
    isChanged: (page: number) => boolean,
  ): void {
    this.#space.reset(this.#pages.restore(saved, isChanged));
  }

  #decodeBlock(page: number, offset: number, codeBits: CodeBits): number {
    const codePage = this.#pages.at(page);
    const key = blockKey(offset, codeBits);
    const old = codePage.find(key);
    const first = this.#space.next;
    const wantsTemplate = old !== undefined && this.#mayHaveTemplate(old);
    const decoded = this.#decoder.decode(page, offset, codeBits, first, wantsTemplate);
    this.decodedBlocks++;
    const place = this.#settle(old, first, decoded.recordsEnd);
    const block = old ?? newBlock(codePage, key);
    block.start = offset;
    block.end = decoded.end;
    block.records = place.records;
    block.recordsEnd = place.recordsEnd;
    this.#setTemplate(block, decoded.template);
    if (old === undefined) codePage.index(block);
    else block.rewrites++;
    this.#pages.enliven(block);
    return block.records;
  }

  #setTemplate(block: Block, template: CodeTemplate | undefined): void {
    this.#templates += (template === undefined ? 0 : 1) - (block.template === undefined ? 0 : 1);
    block.template = template;
  }

  #mayHaveTemplate(block: Block): boolean {
    const hasRoom = block.template !== undefined || this.#templates < MOST_TEMPLATES;
    return hasRoom && block.rewrites < MOST_REWRITES;
  }

  /** Where the records just written stay: in the place of the stale ones for the same code if they fit, else where they are. */
  #settle(old: Block | undefined, first: number, end: number): { records: number; recordsEnd: number } {
    if (old === undefined || end - first > old.recordsEnd - old.records) {
      this.#space.takeUpTo(end);
      return { records: first, recordsEnd: end };
    }
    const { records, recordsEnd } = old;
    this.#memory.u8.copyWithin(records, first, end);
    // The whole place goes stale with the block, so that it can take a longer one again.
    for (let at = records + end - first; at < recordsEnd; at += record.RECORD_BYTES)
      this.writer.makeStale(at);
    return { records, recordsEnd };
  }

  /**
   * The record of an instruction that begins at `physical` and goes on at the
   * start of another physical page. Decoded anew unless both pages still hold
   * what was decoded.
   */
  crossingRecord(physical: number, nextPage: number, codeBits: CodeBits): number {
    const page = physical >>> 12;
    const offset = physical & (PAGE_BYTES - 1);
    // Keys of crossing instructions lie behind those of all blocks.
    const key = blockKey(offset, codeBits) + 4 * PAGE_BYTES;
    const known = this.#pages.at(page).find(key);
    if (known !== undefined && known.twin?.page.number === nextPage) return known.records;
    if (known !== undefined) this.#drop(known);
    this.#reserve();
    const bytes = new Uint8Array(2 * MAX_INSTRUCTION_BYTES);
    const onFirst = PAGE_BYTES - offset;
    const firstAt = GUEST_RAM + page * PAGE_BYTES + offset;
    const secondAt = GUEST_RAM + nextPage * PAGE_BYTES;
    bytes.set(this.#memory.u8.subarray(firstAt, firstAt + onFirst));
    bytes.set(this.#memory.u8.subarray(secondAt, secondAt + MAX_INSTRUCTION_BYTES), onFirst);
    const records = this.#space.next;
    this.writer.writePseudo(records, HANDLER_BUDGET, offset, 0, 0);
    const behindBudget = records + record.RECORD_BYTES;
    const { recordsEnd, end } = this.#decoder.decodeSingle(
      behindBudget,
      bytes,
      offset,
      codeBits,
      HANDLER_CONTINUE,
    );
    this.#space.takeUpTo(recordsEnd);
    const behind = Math.max(1, end - PAGE_BYTES);
    const block = newBlock(this.#pages.at(page), key, {
      start: offset,
      end: PAGE_BYTES,
      records,
      recordsEnd,
    });
    const twin = newBlock(this.#pages.at(nextPage), NO_KEY, { start: 0, end: behind, records, recordsEnd });
    block.twin = twin;
    twin.twin = block;
    block.page.index(block);
    this.#pages.enliven(block);
    this.#pages.enliven(twin);
    return records;
  }

  isTruncated(bytes: Uint8Array, available: number, codeBits: CodeBits): boolean {
    return this.#decoder.isTruncated(bytes, available, codeBits);
  }

  /** A record for one instruction, followed by one that stops the engine. Not cached. */
  stepRecord(bytes: Uint8Array, offset: number, codeBits: CodeBits): number {
    this.#decoder.decodeSingle(STEP_RECORDS, bytes, offset, codeBits, HANDLER_STOP);
    return STEP_RECORDS;
  }

  allocateRecords(count: number): number {
    return this.#space.take(count);
  }

  trackRecords({ page, start, end }: CodeRange, records: number, recordsEnd: number): void {
    this.#pages.enliven(newBlock(this.#pages.at(page), NO_KEY, { start, end, records, recordsEnd }));
  }

  /** Whether 64-bit code has been decoded from a page offset on, even if it has been written since. */
  hasBlock(page: number, offset: number): boolean {
    return this.#pages.known(page)?.find(blockKey(offset, 64)) !== undefined;
  }

  hasRegion(page: number, offset: number): boolean {
    const key = blockKey(offset, 64);
    return (
      this.#expected.has(regionPlace(page, key)) || this.#pages.known(page)?.find(key)?.region !== undefined
    );
  }

  expectRegion(handler: number, ranges: readonly CodeRange[]): CodeTicket {
    const entry = ranges[0]!;
    const place = regionPlace(entry.page, blockKey(entry.start, 64));
    const region: Region = { handler, place, parts: [], isVoid: false };
    const records = this.#space.takeEntry();
    if (records === 0) {
      this.#hooks.regionDropped(handler);
      return { isVoid: true, install: () => {} };
    }
    this.writer.writePseudo(records, handler, entry.start, 0, 0, record.RECORD_FLAG_REGION);
    for (const range of ranges) this.#addPart(region, NO_KEY, range, records);
    this.#expected.add(place);
    return {
      get isVoid() {
        return region.isVoid;
      },
      install: () => this.#installRegion(region, entry, records),
    };
  }

  #installRegion(region: Region, entry: CodeRange, records: number): void {
    this.#expected.delete(region.place);
    const key = blockKey(entry.start, 64);
    const old = this.#pages.at(entry.page).find(key);
    if (old !== undefined) this.#setTemplate(old, undefined);
    if (old?.isLive) {
      // The old block's records may be in use; what leads to the first of them leads to the region from now on.
      old.page.forget(old);
      old.key = NO_KEY;
      this.forward(old.records, records);
    }
    const part = this.#addPart(region, key, entry, records);
    part.page.index(part);
  }

  #addPart(region: Region, key: number, { page, start, end }: CodeRange, records: number): Block {
    const recordsEnd = records + record.RECORD_BYTES;
    const part = newBlock(this.#pages.at(page), key, { start, end, records, recordsEnd });
    part.region = region;
    region.parts.push(part);
    this.#pages.enliven(part);
    return part;
  }

  /** Makes the first record of a stale block lead to its successor. */
  forward(stale: number, to: number): void {
    this.writer.forward(stale, to);
  }

  /** The guest has written the bytes `first .. last` of a page: decoded code that covers any of them is stale. */
  codeWritten(page: number, first: number, last: number): void {
    const codePage = this.#pages.known(page);
    if (codePage === undefined) return;
    for (let block = codePage.covering(first, last); block !== undefined; ) {
      this.#drop(block);
      block = codePage.covering(first, last);
    }
  }

  #drop(block: Block): void {
    for (let at = block.records; at < block.recordsEnd; at += record.RECORD_BYTES) this.writer.makeStale(at);
    this.invalidatedBlocks++;
    const { region, twin } = block;
    if (region === undefined && twin === undefined) return block.page.kill(block);
    for (const part of region?.parts ?? [block, twin!]) {
      part.page.kill(part);
      part.page.forget(part);
    }
    if (region === undefined) return;
    region.isVoid = true;
    this.#expected.delete(region.place);
    this.#hooks.regionDropped(region.handler);
  }
}

function newBlock(
  page: CodePage,
  key: number,
  { start, end, records, recordsEnd } = { start: 0, end: 0, records: 0, recordsEnd: 0 },
): Block {
  return { page, key, start, end, records, recordsEnd, isLive: false, rewrites: 0 };
}
