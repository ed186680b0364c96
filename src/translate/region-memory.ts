import type { RegionStore } from "../cpu/region-translator.ts";
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
import type { ControlFlow } from "./control-flow.ts";
import type { Position, RegionPage } from "./region-code.ts";
import type { RegionPlaces } from "./region-plan.ts";

/** The tag of an empty link slot, as of an empty entry of the jump cache: all bits set. */
const EMPTY = 0xff;

/** What a look-up in the TLB has found; as many as fit share a slot. */
const CELL_BYTES = 4;

/** In a dispatch table: beyond the number of any dispatched block. */
const NOT_DISPATCHED = 255;

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
    return this.#nextSlot + 1024 * LINK_SLOT_BYTES > LINK_SLOTS_END;
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

  /** Places for a region that is executed by `handler`; undefined when there is no room for them. */
  placesFor(handler: number, flow: ControlFlow, pages: readonly RegionPage[]): RegionPlaces | undefined {
    const others = this.#describePages(pages.slice(1));
    if (others === undefined) return undefined;
    let dispatchTable = 0;
    if (flow.hasIndirectTargets) {
      dispatchTable = this.#regions.allocateRecords(PAGE_BYTES / RECORD_BYTES);
      if (dispatchTable === 0) return undefined;
      this.#bytes.fill(NOT_DISPATCHED, dispatchTable, dispatchTable + PAGE_BYTES);
      for (const [number, start] of flow.dispatched.entries())
        if (number < NOT_DISPATCHED && start >= 0 && start < PAGE_BYTES)
          this.#bytes[dispatchTable + start] = number;
    }
    const slots = new Map<Position, number>();
    let cells = 0;
    let cell = 0;
    return {
      addendCell: () => {
        if (cells++ % (LINK_SLOT_BYTES / CELL_BYTES) === 0) cell = this.#takeSlot();
        else cell += CELL_BYTES;
        return cell;
      },
      handler,
      pages: others,
      dispatchTable,
      validation: this.#takeSlot(),
      slot: (target) => {
        const known = slots.get(target);
        if (known !== undefined) return known;
        const slot = this.#takeSlot();
        slots.set(target, slot);
        return slot;
      },
    };
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

  #takeSlot(): number {
    const slot = this.#nextSlot;
    this.#nextSlot += LINK_SLOT_BYTES;
    return slot;
  }
}
