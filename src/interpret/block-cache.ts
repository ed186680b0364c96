import type { CodeRange, CodeTicket, RegionStore } from "../cpu/region-translator.ts";
import type { PackedCode } from "../cpu/saved-code.ts";
import {
  type CodeBits,
  DECODE_TOO_LONG,
  DECODE_TRUNCATED,
  Decoder,
  MAX_INSTRUCTION_BYTES,
} from "../decode/decoder.ts";
import type { OpcodeIndex } from "../decode/form-table.ts";
import {
  continueHandler,
  HANDLER_BUDGET,
  HANDLER_CONTINUE,
  HANDLER_CROSSING,
  HANDLER_STOP,
  HANDLER_TOO_LONG,
  HANDLER_UNDEFINED,
  RecordWriter,
} from "../decode/record-writer.ts";
import type { HandlerShape, ShapeTable } from "../decode/shape.ts";
import { GUEST_RAM, PAGE_BYTES, RECORDS_END } from "../layout/memory-map.ts";
import * as record from "../layout/record.ts";
import { recentPages } from "../memory/recent-pages.ts";
import { type Block, CodePage, type Region } from "./code-page.ts";
import { type CodeTemplate, TemplateBuilder, type TemplateMemory } from "./code-template.ts";
import { FIRST_RECORD, RecordSpace, STEP_RECORDS } from "./record-space.ts";
import { SavedBlocks, type SavedRecords, saveBlocks } from "./saved-blocks.ts";

const MAX_BLOCK_INSTRUCTIONS = 64;
/** Code that changes in more than operands this often gets no template again. */
const MOST_REWRITES = 4;
/** Templates at a time: a guest can rewrite any amount of code. */
const MOST_TEMPLATES = 10_000;
/** A block's records, its address records and the pseudo-record at its end. */
const MAX_BLOCK_BYTES = (2 * MAX_BLOCK_INSTRUCTIONS + 1) * record.RECORD_BYTES;
const codeBitsIndex = (codeBits: CodeBits): number => (codeBits === 64 ? 2 : codeBits === 32 ? 1 : 0);
const regionPlace = (page: number, key: number): number => page * 4 * PAGE_BYTES + key;
/** Key of a block that no look-up finds. */
const NO_KEY = -1;
const blockKey = (offset: number, codeBits: CodeBits): number => offset * 4 + codeBitsIndex(codeBits);

/** Chooses fused handlers after a block has been decoded. */
export interface Fusion {
  /** Handler for the shapes at the head of `shapes`, or undefined to leave the first alone. */
  fusedHandler(first: HandlerShape, second: HandlerShape): number | undefined;
}

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
  readonly #shapes: ShapeTable;
  readonly forms: OpcodeIndex;
  readonly #decoder: Decoder;
  readonly #hooks: BlockCacheHooks;
  readonly #fusion: Fusion;
  #pages = new Map<number, CodePage>();
  /** Blocks of pages that are not among `#pages` yet. */
  #saved: SavedBlocks | undefined;
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
    this.forms = forms;
    this.#decoder = new Decoder(forms);
    this.#memory = { u8: new Uint8Array(buffer), u16: new Uint16Array(buffer), i32: new Int32Array(buffer) };
    this.writer = new RecordWriter(buffer);
    this.#shapes = shapes;
    this.#fusion = fusion;
    this.#hooks = hooks;
  }

  /** The record for code at a guest physical address in RAM. */
  recordAt(physical: number, codeBits: CodeBits): number {
    const page = physical >>> 12;
    const offset = physical & (PAGE_BYTES - 1);
    const known = this.#knownPage(page)?.find(blockKey(offset, codeBits));
    if (known !== undefined) {
      if (known.isLive) return known.records;
      if (known.template?.restore(this.#memory, GUEST_RAM + physical, known.records)) {
        this.restoredBlocks++;
        this.#enliven(known);
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
    this.#saved?.clear();
    this.#saved = undefined;
    for (const page of this.#pages.values()) page.clear();
    this.#pages = new Map();
    this.#templates = 0;
    this.#expected.clear();
    this.#space.reset();
    this.flushes++;
    this.#hooks.recordsFlushed();
  }

  #decodeBlock(page: number, offset: number, codeBits: CodeBits): number {
    const { writer } = this;
    const codePage = this.#pageOf(page);
    const key = blockKey(offset, codeBits);
    const old = codePage.find(key);
    let template = old !== undefined && this.#mayHaveTemplate(old) ? new TemplateBuilder() : undefined;
    const d = this.#decoder.result;
    const pageStart = GUEST_RAM + page * PAGE_BYTES;
    const pageEnd = pageStart + PAGE_BYTES;
    const first = this.#space.next;
    let at = first;
    let here = offset;
    let count = 0;
    let previous = 0;
    let previousShape: HandlerShape | undefined;
    for (;;) {
      if (count === MAX_BLOCK_INSTRUCTIONS || here >= PAGE_BYTES) {
        writer.writePseudo(at, continueHandler(here), here, 0, count);
        at += record.RECORD_BYTES;
        break;
      }
      const length = this.#decoder.decode(this.#memory.u8, pageStart + here, pageEnd, codeBits);
      if (length === DECODE_TRUNCATED) {
        writer.writePseudo(at, HANDLER_CROSSING, here, 0, count);
        at += record.RECORD_BYTES;
        here = PAGE_BYTES;
        template = undefined;
        break;
      }
      if (length < 0) {
        const tooLong = length === DECODE_TOO_LONG;
        writer.writePseudo(at, tooLong ? HANDLER_TOO_LONG : HANDLER_UNDEFINED, here, 0, count);
        at += record.RECORD_BYTES;
        here = Math.min(PAGE_BYTES, here + MAX_INSTRUCTION_BYTES);
        template = undefined;
        break;
      }
      here += length;
      const shape = this.#shapes.shapeOf(d.form, d.operandBits, codeBits === 64, d.isMemory);
      const behind = writer.write(at, d, shape, codeBits, here, count);
      const separate = behind - at > record.RECORD_BYTES;
      if (previousShape !== undefined && !separate) {
        const fused = this.#fusion.fusedHandler(previousShape, shape);
        if (fused !== undefined) writer.setHandler(previous, fused);
      }
      previous = behind - record.RECORD_BYTES;
      template?.add(d, here - offset, previous - first);
      previousShape = shape;
      at = behind;
      count++;
      if (shape.instruction.endsBlock) break;
    }
    this.decodedBlocks++;
    const made = template?.finish(
      this.#memory,
      pageStart + offset,
      here - offset,
      first,
      (at - first) / record.RECORD_BYTES,
    );
    const place = this.#settle(old, first, at);
    const block = old ?? newBlock(codePage, key);
    block.start = offset;
    block.end = here;
    block.records = place.records;
    block.recordsEnd = place.recordsEnd;
    this.#setTemplate(block, made);
    if (old === undefined) codePage.index(block);
    else block.rewrites++;
    this.#enliven(block);
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

  #pageOf(number: number): CodePage {
    return this.#knownPage(number) ?? this.#addPage(number);
  }

  #addPage(number: number): CodePage {
    const page = new CodePage(number, this.#memory.i32);
    this.#pages.set(number, page);
    return page;
  }

  #knownPage(number: number): CodePage | undefined {
    const known = this.#pages.get(number);
    if (known !== undefined || this.#saved?.has(number) !== true) return known;
    const page = this.#addPage(number);
    this.#saved.moveTo(page);
    return page;
  }

  /** From now on all pages with code are among `#pages`. */
  #takeSaved(): void {
    for (const number of this.#saved?.pages ?? []) this.#knownPage(number);
    this.#saved = undefined;
  }

  /** What is decoded, for a snapshot: blocks of one page that are live, with their records. */
  save(): SavedRecords {
    this.#takeSaved();
    const isSaved = ({ key, twin, region }: Block) =>
      key !== NO_KEY && twin === undefined && region === undefined;
    const pages = [...this.#pages.values()].map((page) => ({
      page: page.number,
      blocks: [...page.liveBlocks()].filter(isSaved),
    }));
    const filled = pages.filter(({ blocks }) => blocks.length > 0);
    const { u8 } = this.#memory;
    return saveBlocks(u8, filled, recentPages(u8.buffer, this.#pageCount), FIRST_RECORD);
  }

  get #pageCount(): number {
    return (this.#memory.u8.length - GUEST_RAM) / PAGE_BYTES;
  }

  /**
   * Goes on with what `save` gave, over memory that is as it was then but for some pages. Nothing may be decoded yet, and
   * nothing is done where it is not what `save` gives.
   */
  restore(
    saved: { readonly pages: Int32Array; readonly groups: readonly PackedCode[] },
    isChanged: (page: number) => boolean,
  ): void {
    const { buffer } = this.#memory.u8;
    this.#saved = SavedBlocks.enter(
      buffer,
      saved,
      { first: FIRST_RECORD, end: RECORDS_END, pageCount: this.#pageCount },
      isChanged,
    );
    this.#space.reset(this.#saved?.end);
  }

  #enliven(block: Block): void {
    if (!block.page.hasCode) this.#hooks.protectCodePage(block.page.number);
    block.page.enliven(block);
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
    const known = this.#pageOf(page).find(key);
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
    const { recordsEnd, end } = this.#writeSingle(behindBudget, bytes, offset, codeBits, HANDLER_CONTINUE);
    this.#space.takeUpTo(recordsEnd);
    const behind = Math.max(1, end - PAGE_BYTES);
    const block = newBlock(this.#pageOf(page), key, { start: offset, end: PAGE_BYTES, records, recordsEnd });
    const twin = newBlock(this.#pageOf(nextPage), NO_KEY, { start: 0, end: behind, records, recordsEnd });
    block.twin = twin;
    twin.twin = block;
    block.page.index(block);
    this.#enliven(block);
    this.#enliven(twin);
    return records;
  }

  /** Whether an instruction needs more bytes than the first `available`. */
  isTruncated(bytes: Uint8Array, available: number, codeBits: CodeBits): boolean {
    return this.#decoder.decode(bytes, 0, available, codeBits) === DECODE_TRUNCATED;
  }

  /** A record for one instruction, followed by one that stops the engine. Not cached. */
  stepRecord(bytes: Uint8Array, offset: number, codeBits: CodeBits): number {
    this.#writeSingle(STEP_RECORDS, bytes, offset, codeBits, HANDLER_STOP);
    return STEP_RECORDS;
  }

  #writeSingle(
    at: number,
    bytes: Uint8Array,
    offset: number,
    codeBits: CodeBits,
    follower: number,
  ): { recordsEnd: number; end: number } {
    const length = this.#decoder.decode(bytes, 0, bytes.length, codeBits);
    if (length <= 0) {
      const tooLong = length === DECODE_TOO_LONG || length === DECODE_TRUNCATED;
      this.writer.writePseudo(at, tooLong ? HANDLER_TOO_LONG : HANDLER_UNDEFINED, offset, 0, 0);
      return { recordsEnd: at + record.RECORD_BYTES, end: offset + MAX_INSTRUCTION_BYTES };
    }
    const d = this.#decoder.result;
    const shape = this.#shapes.shapeOf(d.form, d.operandBits, codeBits === 64, d.isMemory);
    const end = offset + length;
    const behind = this.writer.write(at, d, shape, codeBits, end, 0);
    this.writer.writePseudo(behind, follower, end, 0, 1);
    return { recordsEnd: behind + record.RECORD_BYTES, end };
  }

  allocateRecords(count: number): number {
    return this.#space.take(count);
  }

  trackRecords({ page, start, end }: CodeRange, records: number, recordsEnd: number): void {
    this.#enliven(newBlock(this.#pageOf(page), NO_KEY, { start, end, records, recordsEnd }));
  }

  /** Whether 64-bit code has been decoded from a page offset on, even if it has been written since. */
  hasBlock(page: number, offset: number): boolean {
    return this.#knownPage(page)?.find(blockKey(offset, 64)) !== undefined;
  }

  hasRegion(page: number, offset: number): boolean {
    const key = blockKey(offset, 64);
    return (
      this.#expected.has(regionPlace(page, key)) || this.#knownPage(page)?.find(key)?.region !== undefined
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
    const old = this.#pageOf(entry.page).find(key);
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
    const part = newBlock(this.#pageOf(page), key, { start, end, records, recordsEnd });
    part.region = region;
    region.parts.push(part);
    this.#enliven(part);
    return part;
  }

  /** Makes the first record of a stale block lead to its successor. */
  forward(stale: number, to: number): void {
    this.writer.forward(stale, to);
  }

  /** The guest has written the bytes `first .. last` of a page: decoded code that covers any of them is stale. */
  codeWritten(page: number, first: number, last: number): void {
    const codePage = this.#knownPage(page);
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
