// Which pages of guest RAM may have been written: DIRTY_PAGES (layout/memory-map.ts) has a byte for each. Only marks are
// set here; who wants to know clears them, and calls `noteWritablePages` behind that.
import {
  DIRTY_PAGES,
  GUEST_RAM,
  TLB,
  TLB_ADDEND,
  TLB_BANKS,
  TLB_BANK_BYTES,
  TLB_ENTRY_BYTES,
  TLB_TABLE_BYTES,
  TLB_TAG,
  TLB_WRITE,
} from "../../layout/memory-map";
import { tlbSlot } from "./tlb";

const TLB_END: usize = TLB + TLB_BANKS * TLB_BANK_BYTES;

/** The page of a host address in guest RAM is about to be written, or may be from now on. */
// @ts-ignore: decorator
@inline
export function noteDirty(host: usize): void {
  store<u8>(((host - GUEST_RAM) >> 12) + DIRTY_PAGES, 1);
}

/** Notes the pages that stores reach through a TLB entry, without being noted. */
export function noteWritablePages(): void {
  for (let table: usize = TLB + TLB_WRITE; table < TLB_END; table += TLB_BANK_BYTES) {
    for (let slot: usize = 0; slot < <usize>TLB_TABLE_BYTES; slot += TLB_ENTRY_BYTES) {
      const page = load<u64>(table + slot, TLB_TAG);
      // The tag of an empty entry belongs to another slot.
      if (tlbSlot(page) == slot) noteDirty(<usize>(<u32>page + load<u32>(table + slot, TLB_ADDEND)));
    }
  }
}
