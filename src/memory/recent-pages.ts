import { COUNT_TLB_MISS } from "../layout/cpu-state.ts";
import { CPU_STATE, PAGE_USE, PAGE_USE_COUNT, PAGE_USE_NOTED, PAGE_USE_SHIFT } from "../layout/memory-map.ts";

/** Counts of PAGE_USE, up to now, in which a page was used lately. */
const RECENT_COUNTS = 4;
/** Of a guest that uses more at a time only those used last. */
const MOST_PAGES = 4096;

/**
 * Guest pages that the processor has used lately, and so will again: after a restore the first thing that a guest does.
 *
 * @param buffer That of the one WebAssembly memory.
 */
export function recentPages(buffer: ArrayBufferLike, pageCount: number): ReadonlySet<number> {
  const used = new Uint8Array(buffer, PAGE_USE, pageCount);
  const now = new DataView(buffer).getUint32(CPU_STATE + COUNT_TLB_MISS, true) >>> PAGE_USE_SHIFT;
  const pages = new Set<number>();
  for (let age = 0; age < RECENT_COUNTS && pages.size < MOST_PAGES; age++) {
    const noted = ((now - age) & PAGE_USE_COUNT) | PAGE_USE_NOTED;
    for (
      let page = used.indexOf(noted);
      page >= 0 && pages.size < MOST_PAGES;
      page = used.indexOf(noted, page + 1)
    )
      pages.add(page);
  }
  return pages;
}
