// Pages of guest RAM whose contents are still packed in the snapshot that the machine was made from: ABSENT_PAGES
// (layout/memory-map.ts) has a bit for each. None is in a TLB, so they are asked for on the slow paths only.
import { COUNT_TLB_MISS } from "../../layout/cpu-state";
import { ABSENT_PAGES, CPU_STATE, PAGE_USE, PAGE_USE_NOTED, PAGE_USE_SHIFT } from "../../layout/memory-map";
import { pageNeeded } from "../host";

/** Has the page of a physical address in RAM put into memory, unless it is there, and notes its use. */
// @ts-ignore: decorator
@inline
export function bringIn(physical: u32): void {
  const page = physical >> 12;
  if ((load<u8>(ABSENT_PAGES + (page >> 3)) >> <u8>(page & 7)) & 1) pageNeeded(page);
  store<u8>(PAGE_USE + page, <u8>(load<u32>(CPU_STATE + COUNT_TLB_MISS) >> PAGE_USE_SHIFT) | <u8>PAGE_USE_NOTED);
}
