import type { CompiledPlaces, RegionStore } from "../cpu/region-translator.ts";
import { invariant } from "../layout/invariant.ts";
import {
  LINK_SLOT_BYTES,
  LINK_SLOTS,
  LINK_SLOTS_END,
  PAGE_BYTES,
  REGION_CELL_BYTES,
  REGION_CELLS_END,
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

/** Slots and cells that regions may take which have been scanned and wait to be compiled: two for each of their instructions. */
const RESERVED = 10_000;

/** Where a region's tables are in the one memory. */
export interface RegionTables {
  /** Its pages but the one of the entry, for the validation. */
  readonly pages: number;
  /** For each byte of the entry's page: the number of the dispatched block that begins there, or NOT_DISPATCHED. 0 where there is none. */
  readonly dispatchTable: number;
}

/** Places in the one memory that regions use besides their records. */
export class RegionMemory {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #regions: RegionStore;
  readonly #firstFree: () => CompiledPlaces;
  /** From where on slots and cells are free; undefined until some are taken. */
  #next: CompiledPlaces | undefined;

  /** @param firstFree From where on there are no places of regions that were compiled in other runs. */
  constructor(buffer: ArrayBufferLike, regions: RegionStore, firstFree: () => CompiledPlaces) {
    this.#bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
    this.#regions = regions;
    this.#firstFree = firstFree;
    this.forgetAll();
  }

  /** Whether there is room for another region's slots and cells. */
  get isFull(): boolean {
    if (this.#next === undefined) return false;
    const { slots, cells } = this.#next;
    return (
      slots + RESERVED * LINK_SLOT_BYTES > LINK_SLOTS_END ||
      cells + RESERVED * REGION_CELL_BYTES > REGION_CELLS_END
    );
  }

  /** All slots and cells are free, but for those of other runs. */
  forgetAll(): void {
    this.#bytes.fill(EMPTY, LINK_SLOTS, LINK_SLOTS_END);
    this.#next = undefined;
  }

  /** No slot leads anywhere any more. */
  unlinkAll(): void {
    this.#bytes.fill(EMPTY, LINK_SLOTS, this.#next?.slots ?? LINK_SLOTS_END);
  }

  /**
   * Tables for a region; undefined when there is no room for them. `dispatched` are the blocks that its indirect jumps go to by
   * number, if it has any such jump.
   */
  tablesFor(
    dispatched: readonly Position[] | undefined,
    pages: readonly RegionPage[],
  ): RegionTables | undefined {
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

  /** Slots beside each other, and cells. */
  takePlaces(slots: number, cells: number): CompiledPlaces {
    const places = this.#next ?? this.#firstFree();
    const next = {
      slots: places.slots + slots * LINK_SLOT_BYTES,
      cells: places.cells + cells * REGION_CELL_BYTES,
    };
    invariant(
      next.slots <= LINK_SLOTS_END && next.cells <= REGION_CELLS_END,
      "regions are forgotten before their slots and cells run out",
    );
    this.#next = next;
    return places;
  }

  /** Empties a region's slots, and puts into its cells what is to be there. */
  prepare({ slots, cells }: CompiledPlaces, slotCount: number, contents: readonly number[]): void {
    this.#bytes.fill(EMPTY, slots, slots + slotCount * LINK_SLOT_BYTES);
    for (const [i, value] of contents.entries())
      this.#view.setInt32(cells + i * REGION_CELL_BYTES, value, true);
  }

  /** Leaves in memory where a region's pages are; undefined when there is no room. */
  #describePages(pages: readonly RegionPage[]): number | undefined {
    if (pages.length === 0) return 0;
    const at = this.#regions.allocateRecords(Math.ceil((pages.length * REGION_PAGE_BYTES) / RECORD_BYTES));
    if (at === 0) return undefined;
    for (const [i, { delta, page }] of pages.entries()) {
      this.#view.setInt32(at + i * REGION_PAGE_BYTES + REGION_PAGE_DELTA, delta, true);
      this.#view.setInt32(at + i * REGION_PAGE_BYTES + REGION_PAGE_NUMBER, page, true);
    }
    return at;
  }
}
