import { invariant } from "../layout/invariant.ts";
import { ABSENT_PAGES, PAGE_BYTES, PAGE_SHIFT } from "../layout/memory-map.ts";

/** Puts a page into memory, and those that come with it, and tells `AbsentPages.arrived` of each. */
export type BringIn = (page: number) => void;

/**
 * Which pages of guest RAM are not in memory yet, because their contents are still packed in a snapshot. Most pages of a
 * restored guest are never touched. The core asks for them where a translation is not in a TLB, everyone else by `GuestMemory`.
 */
export class AbsentPages {
  /** ABSENT_PAGES, which the core reads. */
  readonly #bits: Uint8Array;
  readonly #pages: number;
  #count = 0;
  #bringIn: BringIn | undefined;

  /** @param buffer That of the one WebAssembly memory. */
  constructor(buffer: ArrayBufferLike, ramBytes: number) {
    this.#pages = ramBytes / PAGE_BYTES;
    this.#bits = new Uint8Array(buffer, ABSENT_PAGES, Math.ceil(this.#pages / 8));
  }

  /** How many there are. */
  get count(): number {
    return this.#count;
  }

  /** From now on pages can be asked for. */
  set source(bringIn: BringIn) {
    this.#bringIn = bringIn;
  }

  has(page: number): boolean {
    return (this.#bits[page >> 3]! & (1 << (page & 7))) !== 0;
  }

  expect(page: number): void {
    if (this.has(page)) return;
    this.#bits[page >> 3]! |= 1 << (page & 7);
    this.#count++;
  }

  /** A page is in memory, or has turned out to be zero. */
  arrived(page: number): void {
    if (!this.has(page)) return;
    this.#bits[page >> 3]! &= ~(1 << (page & 7));
    this.#count--;
  }

  bringIn(page: number): void {
    if (!this.has(page)) return;
    invariant(this.#bringIn !== undefined, "no page is asked for before the snapshot has been read");
    this.#bringIn(page);
    invariant(!this.has(page), "a page that was asked for is in memory");
  }

  bringInRange(address: number, length: number): void {
    if (this.#count === 0 || length === 0) return;
    const last = Math.floor((address + length - 1) / PAGE_BYTES);
    for (let page = address >>> PAGE_SHIFT; page <= last; page++) this.bringIn(page);
  }

  bringInAll(): void {
    for (let page = 0; this.#count > 0 && page < this.#pages; page++) this.bringIn(page);
  }
}
