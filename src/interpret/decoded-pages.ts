import type { PackedCode } from "../cpu/saved-code.ts";
import { GUEST_RAM, PAGE_BYTES, RECORDS_END } from "../layout/memory-map.ts";
import { recentPages } from "../memory/recent-pages.ts";
import { type Block, CodePage } from "./code-page.ts";
import type { TemplateMemory } from "./code-template.ts";
import { FIRST_RECORD } from "./record-space.ts";
import { SavedBlocks, type SavedRecords, saveBlocks } from "./saved-blocks.ts";

/** Key of a block that no look-up finds. */
export const NO_KEY = -1;

/** The guest physical pages with decoded code, some of which may still be as a snapshot has them. */
export class DecodedPages {
  readonly #memory: TemplateMemory;
  readonly #protectCodePage: (page: number) => void;
  #pages = new Map<number, CodePage>();
  /** Blocks of pages that are not among `#pages` yet. */
  #saved: SavedBlocks | undefined;

  /** @param protectCodePage A page holds decoded code for the first time: its write-TLB entries must go. */
  constructor(memory: TemplateMemory, protectCodePage: (page: number) => void) {
    this.#memory = memory;
    this.#protectCodePage = protectCodePage;
  }

  /** The page with a number; made if it is not known. */
  at(number: number): CodePage {
    return this.known(number) ?? this.#add(number);
  }

  known(number: number): CodePage | undefined {
    const known = this.#pages.get(number);
    if (known !== undefined || this.#saved?.has(number) !== true) return known;
    const page = this.#add(number);
    this.#saved.moveTo(page);
    return page;
  }

  /** The records of a block say what its bytes do. */
  enliven(block: Block): void {
    if (!block.page.hasCode) this.#protectCodePage(block.page.number);
    block.page.enliven(block);
  }

  clear(): void {
    this.#saved?.clear();
    this.#saved = undefined;
    for (const page of this.#pages.values()) page.clear();
    this.#pages = new Map();
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

  /**
   * Goes on with what `save` gave, over memory that is as it was then but for some pages. Nothing may be decoded yet, and
   * nothing is done where it is not what `save` gives.
   *
   * @returns Behind the last record, if that is known.
   */
  restore(
    saved: { readonly pages: Int32Array; readonly groups: readonly PackedCode[] },
    isChanged: (page: number) => boolean,
  ): number | undefined {
    const { buffer } = this.#memory.u8;
    const room = { first: FIRST_RECORD, end: RECORDS_END, pageCount: this.#pageCount };
    this.#saved = SavedBlocks.enter(buffer, saved, room, isChanged);
    return this.#saved?.end;
  }

  /** From now on all pages with code are among `#pages`. */
  #takeSaved(): void {
    for (const number of this.#saved?.pages ?? []) this.known(number);
    this.#saved = undefined;
  }

  #add(number: number): CodePage {
    const page = new CodePage(number, this.#memory.i32);
    this.#pages.set(number, page);
    return page;
  }

  get #pageCount(): number {
    return (this.#memory.u8.length - GUEST_RAM) / PAGE_BYTES;
  }
}
