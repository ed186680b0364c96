// The software TLBs (layout/memory-map.ts): three banks by access right, each a read table and a write table.
//
// Entries are 4 KiB granules whatever the guest's page size. Two lists name the filled entries, so that
// a flush costs what was filled: entries of global pages stand in a list of their own, and a CR3 write
// touches none of them. An entry stands in a list at most once (TLB_LISTED_*), so a list cannot overflow.
import {
  GUEST_RAM,
  TLB,
  TLB_ADDEND,
  TLB_BANKS,
  TLB_BANK_BYTES,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
  TLB_FILL_LIST,
  TLB_FLAGS,
  TLB_FLAG_EXECUTABLE,
  TLB_FLAG_GLOBAL,
  TLB_FLAG_TRACED,
  TLB_TABLE_BYTES,
  TLB_TAG,
  TLB_TRACED_TAG,
  TLB_WRITE,
  WRITE_ENTRIES,
  WRITE_ENTRIES_SEVERAL,
} from "../../layout/memory-map";
import { isCodePage } from "./code-map";
import { flushJumpCache, invalidateJumps, invalidateJumpsOfPage } from "./jump-cache";

/** The page is part of a 2 MiB page. */
export const TLB_FLAG_LARGE: i32 = 2;
/** The page is part of a larger page: 1 GiB, or 4 MiB of 32-bit paging. */
export const TLB_FLAG_HUGE: i32 = 4;
const TLB_LISTED_LOCAL: i32 = 16;
const TLB_LISTED_GLOBAL: i32 = 32;
const TLB_LISTED: i32 = 48;

const TLB_END: usize = TLB + TLB_BANKS * TLB_BANK_BYTES;
const LOCAL_LIST: usize = TLB_FILL_LIST;
/** The upper half of the fill list's area. */
const GLOBAL_LIST: usize = TLB_FILL_LIST + 0x40000;

// Which regions may hold entries of large pages: a bit for each region number modulo 4096.
const FILTER_BITS: u64 = 4096;
const FILTER_BYTES: i32 = 512;
const largeRegions: usize = memory.data(512);
const hugeRegions: usize = memory.data(512);
const LARGE_SHIFT: u64 = 21;
const HUGE_SHIFT: u64 = 30;

/** Offset of an address's entry from the start of a table. */
// @ts-ignore: decorator
@inline
export function tlbSlot(va: u64): usize {
  return <usize>(<u32>(va >> 12) & (TLB_ENTRIES - 1)) * TLB_ENTRY_BYTES;
}

/** Empties all tables and lists, whatever they hold. To be called before the first access. */
export function initialiseTlb(): void {
  for (let table: usize = TLB; table < TLB_END; table += TLB_TABLE_BYTES) {
    for (let index: i32 = 0; index < TLB_ENTRIES; index++) {
      const entry: usize = table + <usize>index * TLB_ENTRY_BYTES;
      store<i64>(entry, <i64>(index ^ 1) << 12, TLB_TAG);
      store<i64>(entry, 0, TLB_ADDEND);
    }
  }
  store<i32>(LOCAL_LIST, 0);
  store<i32>(GLOBAL_LIST, 0);
  memory.fill(largeRegions, 0, FILTER_BYTES);
  memory.fill(hugeRegions, 0, FILTER_BYTES);
  flushJumpCache();
}

/** Enters a page of guest RAM in a write table; `traced` when it holds decoded code. */
export function fillWriteTlb(table: usize, va: u64, host: usize, flags: i32, traced: bool): void {
  fillTlb(table, va, host, flags);
  const entry = table + tlbSlot(va);
  if (traced) trace(entry);
  else noteWriteEntry(entry, <u32>host & ~0xfff);
}

/** Host address of a byte by a traced entry, or 0. An entry whose page holds no decoded code any more becomes an ordinary one. */
export function tracedHost(entry: usize, va: u64): usize {
  if (!(load<i32>(entry, TLB_FLAGS) & TLB_FLAG_TRACED)) return 0;
  if (load<u64>(entry, TLB_TAG) != ((va & ~0xfff) ^ TLB_TRACED_TAG)) return 0;
  const host = <usize>(<u32>va + load<u32>(entry, TLB_ADDEND));
  if (!isCodePage(host)) {
    store<u64>(entry, va & ~0xfff, TLB_TAG);
    store<i32>(entry, load<i32>(entry, TLB_FLAGS) & ~TLB_FLAG_TRACED, TLB_FLAGS);
    noteWriteEntry(entry, <u32>host & ~0xfff);
  }
  return host;
}

/** Enters a page of guest RAM in a table. `host` is the host address of `va`'s byte. */
export function fillTlb(table: usize, va: u64, host: usize, flags: i32): void {
  const entry = table + tlbSlot(va);
  let listed = load<i32>(entry, TLB_FLAGS) & TLB_LISTED;
  if (flags & TLB_FLAG_GLOBAL) {
    if (!(listed & TLB_LISTED_GLOBAL)) append(GLOBAL_LIST, entry);
    listed |= TLB_LISTED_GLOBAL;
  } else {
    if (!(listed & TLB_LISTED_LOCAL)) append(LOCAL_LIST, entry);
    listed |= TLB_LISTED_LOCAL;
  }
  if (flags & TLB_FLAG_LARGE) noteRegion(largeRegions, va >> LARGE_SHIFT);
  else if (flags & TLB_FLAG_HUGE) noteRegion(hugeRegions, va >> HUGE_SHIFT);
  store<u64>(entry, va & ~0xfff, TLB_TAG);
  store<u32>(entry, <u32>host - <u32>va, TLB_ADDEND);
  store<i32>(entry, flags | listed, TLB_FLAGS);
}

/**
 * Forgets translations: all of them, or with `keepGlobal` those of pages that are not global.
 * Callers: a CR3 write (keepGlobal = CR4.PGE); with 0 a change of CR0.PG, CR0.WP, CR4.PGE, PSE, PAE, SMEP,
 * SMAP, or EFER.NXE.
 */
export function flushTlb(keepGlobal: i32): void {
  emptyList(LOCAL_LIST, TLB_LISTED_LOCAL, 0);
  if (!keepGlobal) {
    emptyList(GLOBAL_LIST, TLB_LISTED_GLOBAL, TLB_FLAG_GLOBAL);
    memory.fill(largeRegions, 0, FILTER_BYTES);
    memory.fill(hugeRegions, 0, FILTER_BYTES);
  }
  invalidateJumps(keepGlobal);
}

/** INVLPG: forgets the page of an address in every bank, global or not; a large page as a whole. */
export function invalidatePage(va: u64): void {
  const page = va & ~0xfff;
  const slot = tlbSlot(va);
  for (let table: usize = TLB; table < TLB_END; table += TLB_TABLE_BYTES) {
    const entry = table + slot;
    if (load<u64>(entry, TLB_TAG) == page || isTracedFor(entry, page)) empty(entry);
  }
  if (isNoted(largeRegions, va >> LARGE_SHIFT)) dropRegion(va, LARGE_SHIFT, TLB_FLAG_LARGE);
  if (isNoted(hugeRegions, va >> HUGE_SHIFT)) dropRegion(va, HUGE_SHIFT, TLB_FLAG_HUGE);
  invalidateJumpsOfPage(va);
}

/** Makes every later store to a guest page take the slow path. The decoder calls it when a page gets its first CODE_MAP bit. */
export function protectCodePage(page: i32): void {
  const host: u32 = <u32>GUEST_RAM + (<u32>page << 12);
  const known: usize = WRITE_ENTRIES + (<usize>page << 2);
  const entry = load<usize>(known);
  if (entry == WRITE_ENTRIES_SEVERAL) {
    traceAll(LOCAL_LIST, host);
    traceAll(GLOBAL_LIST, host);
  } else if (entry && mapsPage(entry, host)) trace(entry);
  store<usize>(known, 0);
}

// @ts-ignore: decorator
@inline
function isTracedFor(entry: usize, page: u64): bool {
  return (load<i32>(entry, TLB_FLAGS) & TLB_FLAG_TRACED) != 0 && load<u64>(entry, TLB_TAG) == (page ^ TLB_TRACED_TAG);
}

/** Notes that an ordinary entry maps a page for writing. */
function noteWriteEntry(entry: usize, page: u32): void {
  const known: usize = WRITE_ENTRIES + (<usize>((page - <u32>GUEST_RAM) >> 12) << 2);
  const old = load<usize>(known);
  if (old == entry || old == WRITE_ENTRIES_SEVERAL) return;
  store<usize>(known, old && mapsPage(old, page) ? WRITE_ENTRIES_SEVERAL : entry);
}

/** Whether an entry of a write table lets engines store to a page of guest RAM. */
function mapsPage(entry: usize, host: u32): bool {
  const tag = load<u64>(entry, TLB_TAG);
  if (<u32>tag + load<u32>(entry, TLB_ADDEND) != host) return false;
  // The tag of an entry that is empty or traced has another index.
  return tlbSlot(tag) == (entry & (TLB_TABLE_BYTES - 1));
}

/** Makes engines miss an ordinary entry of a write table. */
function trace(entry: usize): void {
  store<i32>(entry, load<i32>(entry, TLB_FLAGS) | TLB_FLAG_TRACED, TLB_FLAGS);
  store<u64>(entry, load<u64>(entry, TLB_TAG) ^ TLB_TRACED_TAG, TLB_TAG);
}

/** Makes the next store to every guest page a miss. */
export function protectAllPages(): void {
  for (let table: usize = TLB + TLB_WRITE; table < TLB_END; table += TLB_BANK_BYTES) {
    for (let slot: usize = 0; slot < <usize>TLB_TABLE_BYTES; slot += TLB_ENTRY_BYTES) empty(table + slot);
  }
}

// @ts-ignore: decorator
@inline
function append(list: usize, entry: usize): void {
  const count = load<i32>(list) + 1;
  store<i32>(list, count);
  store<usize>(list + <usize>count * 4, entry);
}

// @ts-ignore: decorator
@inline
function empty(entry: usize): void {
  const index: i64 = <i64>((entry & (TLB_TABLE_BYTES - 1)) / TLB_ENTRY_BYTES);
  store<i64>(entry, (index ^ 1) << 12, TLB_TAG);
  store<i32>(entry, load<i32>(entry, TLB_FLAGS) & TLB_LISTED, TLB_FLAGS);
}

/** Empties a list and those of its entries whose global flag is `globalFlag`; the others stand in the other list too. */
function emptyList(list: usize, listedFlag: i32, globalFlag: i32): void {
  const end = list + 4 + <usize>load<i32>(list) * 4;
  for (let item = list + 4; item < end; item += 4) {
    const entry = load<usize>(item);
    const flags = load<i32>(entry, TLB_FLAGS) & ~listedFlag;
    store<i32>(entry, flags, TLB_FLAGS);
    if ((flags & TLB_FLAG_GLOBAL) == globalFlag) empty(entry);
  }
  store<i32>(list, 0);
}

function dropRegion(va: u64, shift: u64, sizeFlag: i32): void {
  dropRegionIn(LOCAL_LIST, va, shift, sizeFlag);
  dropRegionIn(GLOBAL_LIST, va, shift, sizeFlag);
}

function dropRegionIn(list: usize, va: u64, shift: u64, sizeFlag: i32): void {
  const end = list + 4 + <usize>load<i32>(list) * 4;
  for (let item = list + 4; item < end; item += 4) {
    const entry = load<usize>(item);
    if (!(load<i32>(entry, TLB_FLAGS) & sizeFlag)) continue;
    if ((load<u64>(entry, TLB_TAG) ^ va) >> shift == 0) empty(entry);
  }
}

function traceAll(list: usize, host: u32): void {
  const end = list + 4 + <usize>load<i32>(list) * 4;
  for (let item = list + 4; item < end; item += 4) {
    const entry = load<usize>(item);
    if (entry & TLB_WRITE && mapsPage(entry, host)) trace(entry);
  }
}

// @ts-ignore: decorator
@inline
function noteRegion(filter: usize, region: u64): void {
  const at = filter + <usize>((region & (FILTER_BITS - 1)) >> 3);
  store<u8>(at, load<u8>(at) | (<u8>1 << <u8>(region & 7)));
}

// @ts-ignore: decorator
@inline
function isNoted(filter: usize, region: u64): bool {
  return ((load<u8>(filter + <usize>((region & (FILTER_BITS - 1)) >> 3)) >> <u8>(region & 7)) & 1) != 0;
}
