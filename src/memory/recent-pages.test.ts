import { expect, test } from "vitest";
import { COUNT_TLB_MISS } from "../layout/cpu-state.ts";
import { CPU_STATE, GUEST_RAM, PAGE_USE } from "../layout/memory-map.ts";
import { recentPages } from "./recent-pages.ts";

const PAGES = 16;

/** @param used For pages from the first on the count of misses at their last use; undefined for one never used. */
function recentAfter(misses: number, used: readonly (number | undefined)[]): number[] {
  const buffer = new ArrayBuffer(GUEST_RAM + PAGES * 4096);
  new DataView(buffer).setUint32(CPU_STATE + COUNT_TLB_MISS, misses, true);
  const bytes = new Uint8Array(buffer, PAGE_USE, PAGES);
  for (const [page, at] of used.entries()) if (at !== undefined) bytes[page] = 0x80 | ((at >> 12) & 0x7f);
  return [...recentPages(buffer, PAGES)].sort((a, b) => a - b);
}

test("pages used within the last misses are recent, others and those never used are not", () => {
  expect(recentAfter(100_000, [99_000, undefined, 95_000, 60_000, 0])).toEqual([0, 2]);
});

test("at the start no page is recent that was not used", () => {
  expect(recentAfter(10, [undefined, 5, undefined])).toEqual([1]);
});

test("the count may come round between use and now", () => {
  expect(recentAfter(0x80 * 4096 + 100, [0x80 * 4096 - 1])).toEqual([0]);
});
