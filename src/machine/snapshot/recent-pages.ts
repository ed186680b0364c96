import {
  GUEST_RAM,
  PAGE_BYTES,
  PAGE_SHIFT,
  TLB,
  TLB_ADDEND,
  TLB_BANK_BYTES,
  TLB_BANKS,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
  TLB_FLAG_TRACED,
  TLB_FLAGS,
  TLB_TABLE_BYTES,
  TLB_TAG,
  TLB_TRACED_TAG,
} from "../../layout/memory-map.ts";

/**
 * Guest pages that the processor has used lately, and so will again: those of which the TLBs know.
 *
 * @param buffer That of the one WebAssembly memory.
 */
export function recentPages(buffer: ArrayBufferLike, pageCount: number): Set<number> {
  const view = new DataView(buffer);
  const pages = new Set<number>();
  for (let table = TLB; table < TLB + TLB_BANKS * TLB_BANK_BYTES; table += TLB_TABLE_BYTES) {
    for (let index = 0; index < TLB_ENTRIES; index++) {
      const entry = table + index * TLB_ENTRY_BYTES;
      const isTraced = (view.getInt32(entry + TLB_FLAGS, true) & TLB_FLAG_TRACED) !== 0;
      const tag = view.getUint32(entry + TLB_TAG, true) ^ (isTraced ? TLB_TRACED_TAG : 0);
      // The tag of an empty entry belongs to another index.
      if (((tag >>> PAGE_SHIFT) & (TLB_ENTRIES - 1)) !== index) continue;
      const host = (tag + view.getUint32(entry + TLB_ADDEND, true)) >>> 0;
      const page = (host - GUEST_RAM) / PAGE_BYTES;
      if (Number.isInteger(page) && page >= 0 && page < pageCount) pages.add(page);
    }
  }
  return pages;
}
