import { GUEST_RAM, PAGE_BYTES } from "../../layout/memory-map.ts";

const PAGE_WORDS = PAGE_BYTES / 4;

/** Guest RAM page by page, as snapshots look at it. */
export class GuestPages {
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly #words: Int32Array;

  /** @param buffer That of the one WebAssembly memory. */
  constructor(buffer: ArrayBufferLike, ramBytes: number) {
    this.count = ramBytes / PAGE_BYTES;
    this.bytes = new Uint8Array(buffer, GUEST_RAM, ramBytes);
    this.#words = new Int32Array(buffer, GUEST_RAM, ramBytes / 4);
  }

  isZero(page: number): boolean {
    const words = this.#words;
    const end = (page + 1) * PAGE_WORDS;
    for (let i = page * PAGE_WORDS; i < end; i += 8) {
      const some =
        words[i]! |
        words[i + 1]! |
        words[i + 2]! |
        words[i + 3]! |
        words[i + 4]! |
        words[i + 5]! |
        words[i + 6]! |
        words[i + 7]!;
      if (some !== 0) return false;
    }
    return true;
  }

  /** Whether a page has these contents: PAGE_BYTES bytes at `offset`, a multiple of 4, of `other`. */
  equals(page: number, other: Int32Array, offset: number): boolean {
    const words = this.#words;
    const start = page * PAGE_WORDS;
    const from = offset / 4;
    for (let i = 0; i < PAGE_WORDS; i++) if (words[start + i] !== other[from + i]) return false;
    return true;
  }

  copyOut(page: number, target: Uint8Array, offset: number): void {
    const at = page * PAGE_BYTES;
    target.set(this.bytes.subarray(at, at + PAGE_BYTES), offset);
  }

  /** The pages themselves. */
  view(first: number, count: number): Uint8Array {
    return this.bytes.subarray(first * PAGE_BYTES, (first + count) * PAGE_BYTES);
  }

  copyIn(firstPage: number, pages: Uint8Array): void {
    this.bytes.set(pages, firstPage * PAGE_BYTES);
  }

  clear(page: number): void {
    this.bytes.fill(0, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
  }
}
