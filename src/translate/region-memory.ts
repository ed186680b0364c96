import type { RegionStore } from "../cpu/region-translator.ts";
import { invariant } from "../layout/invariant.ts";
import {
  LINK_SLOT_BYTES,
  LINK_SLOTS,
  LINK_SLOTS_END,
  PAGE_BYTES,
  REGION_PAGE_BYTES,
  REGION_PAGE_DELTA,
  REGION_PAGE_NUMBER,
} from "../layout/memory-map.ts";
import { RECORD_BYTES } from "../layout/record.ts";
import type { Position, RegionPage } from "./region-code.ts";

/** The tag of an empty link slot, as of an empty entry of the jump cache: all bits set. */
const EMPTY = 0xff;

/** In a dispatch table: beyond the number of any dispatched block. */
const NOT_DISPATCHED = 255;

/** Link slots that regions may take which have been scanned and wait to be compiled: two for each of their instructions. */
const RESERVED_SLOTS = 10_000;

/** Where what belongs to a region lies in the one memory; its slots are taken last. */
export interface RegionPlaces {
  /** Its pages but the one of the entry, for the validation. */
  readonly pages: number;
  /** For each byte of the entry's page: the number of the dispatched block that begins there, or NOT_DISPATCHED. 0 where there is none. */
  readonly dispatchTable: number;
}

/** Places in the one memory that regions use besides their records. */
export class RegionMemory {
  readonly #bytes: Uint8Array;
  readonly #regions: RegionStore;
  #nextSlot = LINK_SLOTS;

  constructor(buffer: ArrayBufferLike, regions: RegionStore) {
    this.#bytes = new Uint8Array(buffer);
    this.#regions = regions;
    this.forgetAll();
  }

  /** Whether there is room for another region's slots. */
  get isFull(): boolean {
    return this.#nextSlot + RESERVED_SLOTS * LINK_SLOT_BYTES > LINK_SLOTS_END;
  }

  /** All slots are free. */
  forgetAll(): void {
    this.#bytes.fill(EMPTY, LINK_SLOTS, LINK_SLOTS_END);
    this.#nextSlot = LINK_SLOTS;
  }

  /** No slot leads anywhere any more. */
  unlinkAll(): void {
    this.#bytes.fill(EMPTY, LINK_SLOTS, this.#nextSlot);
  }

  /**
   * Places for a region; undefined when there is no room for them. `dispatched` are the blocks that its indirect jumps go to by
   * number, if it has any such jump.
   */
  placesFor(
    dispatched: readonly Position[] | undefined,
    pages: readonly RegionPage[],
  ): RegionPlaces | undefined {
    const others = this.#describePages(pages.slice(1));
    if (others === undefined) return undefined;
    if (dispatched === undefined) return { pages: others, dispatchTable: 0 };
    const dispatchTable = this.#regions.allocateRecords(PAGE_BYTES / RECORD_BYTES);
    if (dispatchTable === 0) return undefined;
    this.#bytes.fill(NOT_DISPATCHED, dispatchTable, dispatchTable + PAGE_BYTES);
    for (const [number, start] of dispatched.entries())
      if (number < NOT_DISPATCHED && start >= 0 && start < PAGE_BYTES)
        this.#bytes[dispatchTable + start] = number;
    return { pages: others, dispatchTable };
  }

  /** Link slots beside each other. */
  takeSlots(count: number): number {
    const first = this.#nextSlot;
    this.#nextSlot += count * LINK_SLOT_BYTES;
    invariant(this.#nextSlot <= LINK_SLOTS_END, "regions are forgotten before their slots run out");
    return first;
  }

  /** Leaves in memory where a region's pages are; undefined when there is no room. */
  #describePages(pages: readonly RegionPage[]): number | undefined {
    if (pages.length === 0) return 0;
    const at = this.#regions.allocateRecords(Math.ceil((pages.length * REGION_PAGE_BYTES) / RECORD_BYTES));
    if (at === 0) return undefined;
    const view = new DataView(this.#bytes.buffer, at);
    for (const [i, { delta, page }] of pages.entries()) {
      view.setInt32(i * REGION_PAGE_BYTES + REGION_PAGE_DELTA, delta, true);
      view.setInt32(i * REGION_PAGE_BYTES + REGION_PAGE_NUMBER, page, true);
    }
    return at;
  }
}
