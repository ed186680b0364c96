import type { CodeRange, CodeTicket, RegionStore } from "../cpu/region-translator.ts";
import {
  type CodeBits,
  DECODE_TOO_LONG,
  DECODE_TRUNCATED,
  Decoder,
  MAX_INSTRUCTION_BYTES,
} from "../decode/decoder.ts";
import {
  continueHandler,
  HANDLER_CONTINUE,
  HANDLER_CROSSING,
  HANDLER_STOP,
  HANDLER_TOO_LONG,
  HANDLER_UNDEFINED,
  RecordWriter,
} from "../decode/record-writer.ts";
import type { HandlerShape, ShapeTable } from "../decode/shape.ts";
import {
  CODE_CHUNK_SHIFT,
  CODE_MAP,
  GUEST_RAM,
  PAGE_BYTES,
  RECORDS,
  RECORDS_END,
} from "../layout/memory-map.ts";
import * as record from "../layout/record.ts";

const MAX_BLOCK_INSTRUCTIONS = 64;
/** A block's records, its address records and the pseudo-record at its end. */
const MAX_BLOCK_BYTES = (2 * MAX_BLOCK_INSTRUCTIONS + 1) * record.RECORD_BYTES;
/** Room at the start of the region for single-stepped instructions. */
const STEP_RECORDS = RECORDS;
const FIRST_BLOCK = RECORDS + 8 * record.RECORD_BYTES;

/** Decoded code: which bytes of a page it came from and where its records lie. */
interface Block {
  readonly key: number;
  /** Page offsets of the first byte and of the byte behind the last. */
  readonly start: number;
  readonly end: number;
  readonly records: number;
  readonly recordsEnd: number;
  /** For an instruction on two pages: the other page, and the block's key there. */
  readonly otherPage: number;
  readonly otherKey: number;
  /** Void together with this block: the other parts of a region, and where it is entered. */
  readonly region?: Region;
}

/** A piece of translated code, entered at one place. */
interface Region {
  readonly handler: number;
  readonly place: number;
  readonly parts: { readonly page: number; readonly key: number }[];
  isVoid: boolean;
}

class CodePage {
  /** Blocks by `blockKey`. */
  readonly blocks = new Map<number, Block>();
}

const codeBitsIndex = (codeBits: CodeBits): number => (codeBits === 64 ? 2 : codeBits === 32 ? 1 : 0);
const regionPlace = (page: number, key: number): number => page * 4 * PAGE_BYTES + key;
const vacatedKey = (page: number, key: number): number => page * 4 * PAGE_BYTES + key;
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
 * from; their memory is not used again until all records are flushed.
 */
export class BlockCache implements RegionStore {
  readonly #memory: Uint8Array;
  readonly #codeMap: BigUint64Array;
  readonly writer: RecordWriter;
  readonly #shapes: ShapeTable;
  readonly #decoder = new Decoder();
  readonly #hooks: BlockCacheHooks;
  readonly #fusion: Fusion;
  #pages = new Map<number, CodePage>();
  #next = FIRST_BLOCK;
  #uniqueKeys = 0;
  /** Records of blocks at a code address that went stale, by page and key: the code decoded there next takes their place, so that what leads to them stays right. */
  #vacated = new Map<number, { readonly records: number; readonly end: number }>();
  /** Where regions begin that are not yet installed. */
  readonly #expected = new Set<number>();
  /** Blocks decoded, and decoded code thrown away, since the start. */
  decodedBlocks = 0;
  invalidatedBlocks = 0;
  flushes = 0;

  constructor(buffer: ArrayBufferLike, shapes: ShapeTable, fusion: Fusion, hooks: BlockCacheHooks) {
    this.#memory = new Uint8Array(buffer);
    this.#codeMap = new BigUint64Array(buffer);
    this.writer = new RecordWriter(buffer);
    this.#shapes = shapes;
    this.#fusion = fusion;
    this.#hooks = hooks;
  }

  /** The record for code at a guest physical address in RAM. */
  recordAt(physical: number, codeBits: CodeBits): number {
    const page = physical >>> 12;
    const offset = physical & (PAGE_BYTES - 1);
    const known = this.#pages.get(page)?.blocks.get(blockKey(offset, codeBits));
    if (known !== undefined) return known.records;
    this.#reserve();
    return this.#decodeBlock(page, offset, codeBits);
  }

  /** Makes room for one block; flushes everything when there is none. */
  #reserve(): void {
    if (this.#next + MAX_BLOCK_BYTES <= RECORDS_END) return;
    this.flushAll();
  }

  /** Forgets all decoded code. */
  flushAll(): void {
    for (const page of this.#pages.keys()) this.#codeMap[(CODE_MAP >> 3) + page] = 0n;
    this.#pages = new Map();
    this.#vacated = new Map();
    this.#expected.clear();
    this.#next = FIRST_BLOCK;
    this.flushes++;
    this.#hooks.recordsFlushed();
  }

  #decodeBlock(page: number, offset: number, codeBits: CodeBits): number {
    const { writer } = this;
    const d = this.#decoder.result;
    const pageStart = GUEST_RAM + page * PAGE_BYTES;
    const pageEnd = pageStart + PAGE_BYTES;
    const first = this.#next;
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
      const length = this.#decoder.decode(this.#memory, pageStart + here, pageEnd, codeBits);
      if (length === DECODE_TRUNCATED) {
        writer.writePseudo(at, HANDLER_CROSSING, here, 0, count);
        at += record.RECORD_BYTES;
        here = PAGE_BYTES;
        break;
      }
      if (length < 0) {
        const tooLong = length === DECODE_TOO_LONG;
        writer.writePseudo(at, tooLong ? HANDLER_TOO_LONG : HANDLER_UNDEFINED, here, 0, count);
        at += record.RECORD_BYTES;
        here = Math.min(PAGE_BYTES, here + MAX_INSTRUCTION_BYTES);
        break;
      }
      here += length;
      const shape = this.#shapes.shapeOf(d.form, d.operandBits, codeBits === 64, d.isMemory);
      const separate = writer.recordsFor(d, codeBits) === 2;
      const behind = writer.write(at, d, shape, codeBits, here, count);
      if (previousShape !== undefined && !separate) {
        const fused = this.#fusion.fusedHandler(previousShape, shape);
        if (fused !== undefined) writer.setHandler(previous, fused);
      }
      previous = behind - record.RECORD_BYTES;
      previousShape = shape;
      at = behind;
      count++;
      if (shape.instruction.endsBlock) break;
    }
    this.decodedBlocks++;
    const key = blockKey(offset, codeBits);
    const place = this.#settle(page, key, first, at);
    this.#register(page, { key, start: offset, end: here, ...place, otherPage: -1, otherKey: -1 });
    return place.records;
  }

  /** Where the records just written stay: in the place of the stale ones for the same code if they fit, else where they are. */
  #settle(page: number, key: number, first: number, end: number): { records: number; recordsEnd: number } {
    const place = this.#vacated.get(vacatedKey(page, key));
    if (place === undefined || end - first > place.end - place.records) {
      this.#next = end;
      return { records: first, recordsEnd: end };
    }
    this.#memory.copyWithin(place.records, first, end);
    // The whole place goes stale with the block, so that it can take a longer one again.
    for (let at = place.records + end - first; at < place.end; at += record.RECORD_BYTES)
      this.writer.makeStale(at);
    return { records: place.records, recordsEnd: place.end };
  }

  #register(page: number, block: Block): void {
    let codePage = this.#pages.get(page);
    if (codePage === undefined) {
      codePage = new CodePage();
      this.#pages.set(page, codePage);
      this.#hooks.protectCodePage(page);
    }
    codePage.blocks.set(block.key, block);
    this.#codeMap[(CODE_MAP >> 3) + page]! |= chunkBits(block.start, block.end);
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
    const known = this.#pages.get(page)?.blocks.get(key);
    if (known !== undefined && known.otherPage === nextPage) return known.records;
    if (known !== undefined) this.#drop(page, known);
    this.#reserve();
    const bytes = new Uint8Array(2 * MAX_INSTRUCTION_BYTES);
    const onFirst = PAGE_BYTES - offset;
    const firstAt = GUEST_RAM + page * PAGE_BYTES + offset;
    const secondAt = GUEST_RAM + nextPage * PAGE_BYTES;
    bytes.set(this.#memory.subarray(firstAt, firstAt + onFirst));
    bytes.set(this.#memory.subarray(secondAt, secondAt + MAX_INSTRUCTION_BYTES), onFirst);
    const first = this.#next;
    const at = this.#writeSingle(first, bytes, offset, codeBits, HANDLER_CONTINUE);
    this.#next = at.recordsEnd;
    // Several pages may go on in one: the key there tells them apart.
    const otherKey = key + (page + 1) * 8 * PAGE_BYTES;
    this.#register(page, {
      key,
      start: offset,
      end: PAGE_BYTES,
      records: first,
      recordsEnd: at.recordsEnd,
      otherPage: nextPage,
      otherKey,
    });
    const behind = Math.max(1, at.end - PAGE_BYTES);
    this.#register(nextPage, {
      key: otherKey,
      start: 0,
      end: behind,
      records: first,
      recordsEnd: at.recordsEnd,
      otherPage: page,
      otherKey: key,
    });
    return first;
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
    const bytes = count * record.RECORD_BYTES;
    if (this.#next + bytes > RECORDS_END) return 0;
    this.#next += bytes;
    return this.#next - bytes;
  }

  trackRecords({ page, start, end }: CodeRange, records: number, recordsEnd: number): void {
    this.#register(page, {
      start,
      end,
      key: this.#uniqueKey(),
      records,
      recordsEnd,
      otherPage: -1,
      otherKey: -1,
    });
  }

  hasRegion(page: number, offset: number): boolean {
    const key = blockKey(offset, 64);
    return (
      this.#expected.has(regionPlace(page, key)) ||
      this.#pages.get(page)?.blocks.get(key)?.region !== undefined
    );
  }

  expectRegion(handler: number, ranges: readonly CodeRange[]): CodeTicket {
    const entry = ranges[0]!;
    const entryKey = blockKey(entry.start, 64);
    const place = regionPlace(entry.page, entryKey);
    const region: Region = { handler, place, parts: [], isVoid: false };
    const at = this.allocateRecords(1);
    if (at === 0) {
      region.isVoid = true;
      this.#hooks.regionDropped(handler);
      return { isVoid: true, install: () => {} };
    }
    this.writer.writePseudo(at, handler, entry.start, 0, 0, record.RECORD_FLAG_REGION);
    const recordsEnd = at + record.RECORD_BYTES;
    const add = (key: number, { page, start, end }: CodeRange): void => {
      region.parts.push({ page, key });
      this.#register(page, { key, start, end, records: at, recordsEnd, otherPage: -1, otherKey: -1, region });
    };
    for (const range of ranges) add(this.#uniqueKey(), range);
    this.#expected.add(place);
    const install = (): void => {
      this.#expected.delete(place);
      const old = this.#pages.get(entry.page)?.blocks.get(entryKey);
      if (old !== undefined) {
        // The old block's records may be in use; what leads to the first of them leads to the region from now on.
        this.#register(entry.page, { ...old, key: this.#uniqueKey() });
        this.forward(old.records, at);
      }
      add(entryKey, entry);
    };
    return {
      get isVoid() {
        return region.isVoid;
      },
      install,
    };
  }

  /** A key that no code address has. */
  #uniqueKey(): number {
    return -++this.#uniqueKeys;
  }

  /** Makes the first record of a stale block lead to its successor. */
  forward(stale: number, to: number): void {
    this.writer.forward(stale, to);
  }

  /** The guest has written the bytes `first .. last` of a page: decoded code that covers any of them is stale. */
  codeWritten(page: number, first: number, last: number): void {
    const codePage = this.#pages.get(page);
    if (codePage === undefined) return;
    for (const block of [...codePage.blocks.values()]) {
      const present = codePage.blocks.get(block.key) === block;
      if (present && block.start <= last && block.end > first) this.#drop(page, block);
    }
    let bits = 0n;
    for (const block of codePage.blocks.values()) bits |= chunkBits(block.start, block.end);
    this.#codeMap[(CODE_MAP >> 3) + page] = bits;
    if (bits === 0n) this.#pages.delete(page);
  }

  #drop(page: number, block: Block): void {
    for (let at = block.records; at < block.recordsEnd; at += record.RECORD_BYTES) this.writer.makeStale(at);
    const blocks = this.#pages.get(page)?.blocks;
    blocks?.delete(block.key);
    if (block.region !== undefined) {
      for (const part of block.region.parts) this.#pages.get(part.page)?.blocks.delete(part.key);
      if (!block.region.isVoid) this.#hooks.regionDropped(block.region.handler);
      block.region.isVoid = true;
      this.#expected.delete(block.region.place);
    }
    if (block.otherPage >= 0) this.#pages.get(block.otherPage)?.blocks.delete(block.otherKey);
    else if (block.region === undefined && block.key >= 0)
      this.#vacated.set(vacatedKey(page, block.key), { records: block.records, end: block.recordsEnd });
    this.invalidatedBlocks++;
  }
}

/** The CODE_MAP bits of the bytes `start .. end - 1` of a page. */
function chunkBits(start: number, end: number): bigint {
  let bits = 0n;
  for (
    let chunk = start >> CODE_CHUNK_SHIFT;
    chunk <= (Math.min(end, PAGE_BYTES) - 1) >> CODE_CHUNK_SHIFT;
    chunk++
  ) {
    bits |= 1n << BigInt(chunk);
  }
  return bits;
}
