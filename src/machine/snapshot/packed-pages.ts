import { PAGE_BYTES } from "../../layout/memory-map.ts";
import type { AbsentPages } from "../../memory/absent-pages.ts";
import { type MemoryChunk, pagesOf } from "./format.ts";
import type { GuestPages } from "./guest-pages.ts";

/** A chunk of guest pages that has been read and whose CRC is right, still packed. */
export interface PackedChunk {
  readonly chunk: MemoryChunk;
  /** @throws {VmError} `snapshot-damaged`. */
  unpack(): Uint8Array;
}

const NOT_PACKED = -1;

/**
 * Pages of a snapshot, unpacked a chunk at a time when the machine needs one of them. What is entered later replaces what
 * was entered before, page by page.
 */
export class PackedPages {
  readonly #pages: GuestPages;
  readonly #absent: AbsentPages;
  /** By number; gone when it has been unpacked. */
  readonly #chunks: (PackedChunk | undefined)[] = [];
  /** For each page the number of its chunk. */
  readonly #chunkOf: Int32Array;

  constructor(pages: GuestPages, absent: AbsentPages) {
    this.#pages = pages;
    this.#absent = absent;
    this.#chunkOf = new Int32Array(pages.count).fill(NOT_PACKED);
  }

  /** A chunk that will be read: its number. */
  expect({ pages }: MemoryChunk): number {
    const number = this.#chunks.push(undefined) - 1;
    for (let i = 0; i + 1 < pages.length; i += 2) {
      const end = pages[i]! + pages[i + 1]!;
      this.#chunkOf.fill(number, pages[i]!, end);
      for (let page = pages[i]!; page < end; page++) this.#absent.expect(page);
    }
    return number;
  }

  /** The chunk of a number has been read. */
  take(number: number, packed: PackedChunk): void {
    this.#chunks[number] = packed;
  }

  /** What was entered of these pages does not count: they are zero, or in memory. */
  forget(pages: readonly number[]): void {
    for (let i = 0; i + 1 < pages.length; i += 2) {
      const end = pages[i]! + pages[i + 1]!;
      this.#chunkOf.fill(NOT_PACKED, pages[i]!, end);
      for (let page = pages[i]!; this.#absent.count > 0 && page < end; page++) this.#absent.arrived(page);
    }
  }

  /** All chunks have been read. */
  ready(): void {
    this.#absent.source = (page) => this.#bringIn(page);
  }

  /** Unpacks the chunk of an absent page. */
  #bringIn(page: number): void {
    const number = this.#chunkOf[page]!;
    const { chunk, unpack } = this.#chunks[number]!;
    const bytes = unpack();
    this.#chunks[number] = undefined;
    let at = 0;
    for (const each of pagesOf(chunk.pages)) {
      if (this.#chunkOf[each] === number) {
        this.#pages.copyIn(each, bytes.subarray(at, at + PAGE_BYTES));
        this.#absent.arrived(each);
      }
      at += PAGE_BYTES;
    }
  }
}
