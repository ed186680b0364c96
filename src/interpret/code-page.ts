import { CODE_CHUNK_SHIFT, CODE_MAP, PAGE_BYTES } from "../layout/memory-map.ts";
import type { CodeTemplate } from "./code-template.ts";

/** A piece of translated code, entered at one place. */
export interface Region {
  readonly handler: number;
  /** Page and key of where it is entered, as one number. */
  readonly place: number;
  isVoid: boolean;
  /** Void together: the ranges it was made from, and where it is entered. */
  readonly parts: Block[];
}

/** Decoded code: which bytes of a page it came from and where its records lie. */
export interface Block {
  readonly page: CodePage;
  /** Its place in the page's index; -1 for one that is in none. */
  key: number;
  /** Page offsets of the first byte and of the byte behind the last. */
  start: number;
  end: number;
  records: number;
  /** Behind the last record that belongs to it, used or not. */
  recordsEnd: number;
  /** Whether the records are what the bytes say. */
  isLive: boolean;
  /** For an instruction on two pages: the block of the other page. */
  twin?: Block;
  region?: Region;
  /** Of code that is written again and again. */
  template?: CodeTemplate | undefined;
  /** How often the code came back as something that a template could not tell. */
  rewrites: number;
}

const CHUNKS = PAGE_BYTES >> CODE_CHUNK_SHIFT;
const CHUNK_BITS_PER_WORD = 32;

/** Decoded code of one guest page, and its 64 bits in CODE_MAP. */
export class CodePage {
  readonly number: number;
  readonly #codeMap: Int32Array;
  /** Index in `#codeMap` of the first of the page's two words. */
  readonly #words: number;
  /** Live blocks by the chunks of 64 bytes that they cover. */
  readonly #chunks: (Block[] | undefined)[] = new Array(CHUNKS);
  readonly #index = new Map<number, Block>();

  /** @param memory The one memory, in words. */
  constructor(number: number, memory: Int32Array) {
    this.number = number;
    this.#codeMap = memory;
    this.#words = (CODE_MAP >> 2) + 2 * number;
  }

  /** Whether any byte is covered by decoded code that is live. */
  get hasCode(): boolean {
    return (this.#codeMap[this.#words]! | this.#codeMap[this.#words + 1]!) !== 0;
  }

  /** The block with a key, live or not. */
  find(key: number): Block | undefined {
    return this.#index.get(key);
  }

  /** Enters a block by its key, in the place of one that was there. */
  index(block: Block): void {
    this.#index.set(block.key, block);
  }

  /** Takes a block out of the index, if it is there. */
  forget(block: Block): void {
    if (this.#index.get(block.key) === block) this.#index.delete(block.key);
  }

  /** From now on a write over the block's bytes finds it. */
  enliven(block: Block): void {
    block.isLive = true;
    const last = lastChunk(block);
    for (let chunk = block.start >> CODE_CHUNK_SHIFT; chunk <= last; chunk++) {
      const blocks = this.#chunks[chunk];
      if (blocks === undefined) this.#chunks[chunk] = [block];
      else blocks.push(block);
      this.#codeMap[this.#words + (chunk >> 5)]! |= 1 << (chunk % CHUNK_BITS_PER_WORD);
    }
  }

  /** The reverse of `enliven`. */
  kill(block: Block): void {
    block.isLive = false;
    const last = lastChunk(block);
    for (let chunk = block.start >> CODE_CHUNK_SHIFT; chunk <= last; chunk++) {
      const blocks = this.#chunks[chunk]!;
      const at = blocks.indexOf(block);
      blocks[at] = blocks[blocks.length - 1]!;
      blocks.pop();
      if (blocks.length === 0)
        this.#codeMap[this.#words + (chunk >> 5)]! &= ~(1 << (chunk % CHUNK_BITS_PER_WORD));
    }
  }

  /** All live blocks, in the index or not. */
  liveBlocks(): ReadonlySet<Block> {
    return new Set(this.#chunks.flatMap((blocks) => blocks ?? []));
  }

  /** Some live block that covers any of the bytes `first .. last`. */
  covering(first: number, last: number): Block | undefined {
    for (let chunk = first >> CODE_CHUNK_SHIFT; chunk <= last >> CODE_CHUNK_SHIFT; chunk++) {
      const blocks = this.#chunks[chunk];
      if (blocks === undefined) continue;
      for (const block of blocks) if (block.start <= last && block.end > first) return block;
    }
    return undefined;
  }

  /** Forgets everything. */
  clear(): void {
    this.#codeMap[this.#words] = 0;
    this.#codeMap[this.#words + 1] = 0;
  }
}

function lastChunk(block: Block): number {
  return (Math.min(block.end, PAGE_BYTES) - 1) >> CODE_CHUNK_SHIFT;
}
