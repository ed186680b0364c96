import { DIRTY_PAGES, GUEST_RAM, PAGE_BYTES } from "../layout/memory-map.ts";
import type { Side } from "./side.ts";

/** Words of a page. */
const PAGE_WORDS = PAGE_BYTES >> 2;

/** Bytes of guest RAM that two processors do not agree on, in one page. */
export interface PageDifference {
  /** Guest physical address of the page. */
  readonly page: number;
  /** How many of its bytes differ, and where the first does. */
  readonly bytes: number;
  readonly first: number;
  /** Sixteen bytes from the first on, as hex, of both. */
  readonly values: readonly [string, string];
  /** Whether the page was known to have been written. */
  readonly noted: boolean;
}

/**
 * Compares the RAM of two processors by the pages that either may have
 * written (DIRTY_PAGES), and keeps it as it was at the last comparison.
 */
export class MemoryComparison {
  readonly #sides: readonly [Side, Side];
  readonly #pages: number;
  readonly #words: readonly [Int32Array, Int32Array];
  readonly #dirty: readonly [Uint8Array, Uint8Array];
  /** The same marks, four in a word: few are set. */
  readonly #dirtyWords: readonly [Int32Array, Int32Array];
  /** RAM when both agreed last. */
  readonly #agreed: Int32Array;

  constructor(sides: readonly [Side, Side], ramBytes: number) {
    this.#sides = sides;
    this.#pages = ramBytes / PAGE_BYTES;
    const words = (side: Side) => new Int32Array(side.memory.buffer, GUEST_RAM, ramBytes >> 2);
    const dirty = (side: Side) => new Uint8Array(side.memory.buffer, DIRTY_PAGES, this.#pages);
    this.#words = [words(sides[0]), words(sides[1])];
    this.#dirty = [dirty(sides[0]), dirty(sides[1])];
    const four = (side: Side) => new Int32Array(side.memory.buffer, DIRTY_PAGES, Math.ceil(this.#pages / 4));
    this.#dirtyWords = [four(sides[0]), four(sides[1])];
    this.#agreed = new Int32Array(ramBytes >> 2);
  }

  /** Copies RAM of the first to the second, whatever has changed it. */
  copyAll(): void {
    const [from, to] = this.#words;
    for (let page = 0; page < this.#pages; page++) {
      const at = page * PAGE_WORDS;
      if (!samePage(from, to, at)) this.#copyPage(from, to, at);
      if (!samePage(from, this.#agreed, at)) this.#copyPage(from, this.#agreed, at);
    }
    this.#clearMarks();
  }

  /** Pages that may have been written since the last agreement and differ now. */
  differences(): PageDifference[] {
    return this.#dirtyPages().flatMap((page) => this.#difference(page, true));
  }

  /** Pages that differ, of all. */
  allDifferences(): PageDifference[] {
    const found: PageDifference[] = [];
    for (let page = 0; page < this.#pages; page++) {
      const noted = this.#dirty[0][page] === 1 || this.#dirty[1][page] === 1;
      found.push(...this.#difference(page, noted));
    }
    return found;
  }

  /** Both have been found equal: this is what `setBack` returns to. */
  agree(): void {
    for (const page of this.#dirtyPages()) this.#copyPage(this.#words[0], this.#agreed, page * PAGE_WORDS);
    this.#clearMarks();
  }

  /** Gives both the RAM of the last agreement. Code decoded from it must be forgotten. */
  setBack(): void {
    for (const page of this.#dirtyPages())
      for (const words of this.#words) this.#copyPage(this.#agreed, words, page * PAGE_WORDS);
  }

  /** Bytes of the first's RAM. */
  copyOf(address: number, bytes: number): Uint8Array {
    return new Uint8Array(this.#sides[0].memory.buffer, GUEST_RAM + address, bytes).slice();
  }

  /** Bytes that come into a processor's RAM from outside. Code decoded from there is void. */
  write(side: Side, address: number, bytes: Uint8Array): void {
    const end = address + bytes.length;
    new Uint8Array(side.memory.buffer, GUEST_RAM + address, bytes.length).set(bytes);
    for (let page = Math.floor(address / PAGE_BYTES); page * PAGE_BYTES < end; page++) {
      this.#dirty[this.#sides.indexOf(side) as 0 | 1][page] = 1;
      const first = Math.max(address - page * PAGE_BYTES, 0);
      side.engine.codeWritten(page, first, Math.min(end - page * PAGE_BYTES, PAGE_BYTES) - 1);
    }
  }

  #dirtyPages(): number[] {
    const [a, b] = this.#dirty;
    const [fourOfA, fourOfB] = this.#dirtyWords;
    const pages: number[] = [];
    for (let i = 0; i < fourOfA.length; i++) {
      if ((fourOfA[i]! | fourOfB[i]!) === 0) continue;
      for (let page = 4 * i; page < 4 * i + 4; page++) if ((a[page]! | b[page]!) !== 0) pages.push(page);
    }
    return pages;
  }

  #clearMarks(): void {
    for (const dirty of this.#dirty) dirty.fill(0);
    for (const side of this.#sides) side.core.protectAllPages();
  }

  #copyPage(from: Int32Array, to: Int32Array, at: number): void {
    to.set(from.subarray(at, at + PAGE_WORDS), at);
  }

  #difference(page: number, noted: boolean): PageDifference[] {
    const [a, b] = this.#words;
    if (samePage(a, b, page * PAGE_WORDS)) return [];
    const part = (words: Int32Array) =>
      new Uint8Array(words.buffer, words.byteOffset + page * PAGE_BYTES, PAGE_BYTES);
    const [left, right] = [part(a), part(b)];
    const first = left.findIndex((byte, i) => byte !== right[i]);
    const bytes = left.reduce((count, byte, i) => count + (byte === right[i] ? 0 : 1), 0);
    const text = (of: Uint8Array) =>
      [...of.subarray(first, first + 16)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const address = page * PAGE_BYTES;
    return [{ page: address, bytes, first: address + first, values: [text(left), text(right)], noted }];
  }
}

function samePage(a: Int32Array, b: Int32Array, at: number): boolean {
  for (let i = at; i < at + PAGE_WORDS; i++) if (a[i] !== b[i]) return false;
  return true;
}
