// Which pages of guest RAM may have been written: DIRTY_PAGES (layout/memory-map.ts) has a byte for each. Only marks are
// set here; who wants to know clears them, and calls `protectAllPages` behind that, so that the next store to each page
// is a miss of the TLB.
import { DIRTY_PAGES, GUEST_RAM } from "../../layout/memory-map";

/** The page of a host address in guest RAM is about to be written, or may be from now on. */
// @ts-ignore: decorator
@inline
export function noteDirty(host: usize): void {
  store<u8>(((host - GUEST_RAM) >> 12) + DIRTY_PAGES, 1);
}
