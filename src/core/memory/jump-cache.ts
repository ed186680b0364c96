// Keeps the jump cache (layout/memory-map.ts) coherent with the guest's page tables without touching it:
// MODE_KEY, which every tag contains, carries a generation, and a new generation makes all older entries miss.
//
// MODE_KEY's top 16 bits: 0 | paging 1 | code size 2 | CPL 2 | generation 10. The first bit is 0, so that no two keys
// are complements: a linear address has 16 equal bits there. The code size is never 0, so no key is 0 and
// no tag equals that of an empty entry.
import { CPU_STATE, JUMP_CACHE, JUMP_CACHE_ENTRIES, JUMP_CACHE_ENTRY_BYTES, JUMP_EMPTY_TAG_BYTE, JUMP_TAG, LINK_SLOTS, LINK_SLOTS_END, LINK_SLOT_BYTES, LINK_TAG, TLB_FLAG_GLOBAL } from "../../layout/memory-map";
import { CODE_BITS, CPL, CR0, MODE_KEY, STALE_CALLERS } from "../../layout/cpu-state";
import { TLB_FLAG_HUGE, TLB_FLAG_LARGE } from "./tlb";

const JUMP_CACHE_END: usize = JUMP_CACHE + JUMP_CACHE_ENTRIES * JUMP_CACHE_ENTRY_BYTES;
/** All bits of a mode key, which none has. */
const NO_MODE_KEY: u64 = 0xffff << 48;
const GENERATIONS: i32 = 1024;
const PAGING_BIT: u64 = 31;

/** Generation of entries made at CPL 3. */
let userGeneration: i32 = 0;
/** Generation of entries made at CPL 0..2. */
let supervisorGeneration: i32 = 0;
/** Whether the supervisor's present generation has an entry that a CR3 write must remove. */
let supervisorHasLocal: bool = false;

// Where code was translated in the present generation: for each kind of page a bit for each page number
// modulo 4096; the user's three filters, then the supervisor's.
const FILTER_MASK: u64 = 4095;
const LARGE_FILTER: usize = 512;
const HUGE_FILTER: usize = 1024;
const FILTERS_BYTES: usize = 1536;
const userFilters: usize = memory.data(1536);
const supervisorFilters: usize = memory.data(1536);

/** Recomputes MODE_KEY from CPL, CODE_BITS, CR0 and the generations. */
export function updateModeKey(): void {
  const cpl = load<i32>(CPU_STATE + CPL);
  const paging = <i32>((load<u64>(CPU_STATE + CR0) >> PAGING_BIT) & 1);
  // 16, 32, 64 -> 1, 2, 3.
  const codeSize = ctz<i32>(load<i32>(CPU_STATE + CODE_BITS)) - 3;
  const generation = cpl == 3 ? userGeneration : supervisorGeneration;
  const key = (((paging << 4) | (codeSize << 2) | cpl) << 10) | generation;
  store<u64>(CPU_STATE + MODE_KEY, <u64>key << 48);
}

/** Empties the jump cache itself, and what leads from region to region under the same keys. */
export function flushJumpCache(): void {
  memory.fill(LINK_SLOTS, <u8>JUMP_EMPTY_TAG_BYTE, LINK_SLOTS_END - LINK_SLOTS);
  memory.fill(JUMP_CACHE, <u8>JUMP_EMPTY_TAG_BYTE, JUMP_CACHE_ENTRIES * JUMP_CACHE_ENTRY_BYTES);
}

/**
 * Voids everything under the keys of programs, or under those of the supervisor, when their generations begin anew. It keeps which
 * places were led to and how often: a guest that switches between processes does this every thousand switches, and little of its kernel
 * would become hot in between.
 */
function beginGenerationsAnew(ofPrograms: bool): void {
  for (let slot: usize = LINK_SLOTS; slot < <usize>LINK_SLOTS_END; slot += LINK_SLOT_BYTES) {
    const tag = load<u64>(slot, LINK_TAG);
    if (isOfProgram(tag) == ofPrograms) store<u64>(slot, tag | NO_MODE_KEY, LINK_TAG);
  }
  for (let entry: usize = JUMP_CACHE; entry < JUMP_CACHE_END; entry += JUMP_CACHE_ENTRY_BYTES) {
    const tag = load<u64>(entry, JUMP_TAG);
    if (isOfProgram(tag) == ofPrograms) store<u64>(entry, tag | NO_MODE_KEY, JUMP_TAG);
  }
}

/** Whether a tag was made at CPL 3: the linear address in it has 16 equal bits at its top. */
// @ts-ignore: decorator
@inline
function isOfProgram(tag: u64): bool {
  const linear = <u64>(<i64>(tag << 16) >> 16);
  return (((tag ^ linear) >> 58) & 3) == 3;
}

/** Notes that code on a page was translated, and may enter the jump cache. `flags` are those of a TLB entry. */
export function noteExecute(va: u64, flags: i32): void {
  let filter = userFilters;
  if (load<i32>(CPU_STATE + CPL) != 3) {
    filter = supervisorFilters;
    if (!(flags & TLB_FLAG_GLOBAL)) supervisorHasLocal = true;
  }
  let region = va >> 12;
  if (flags & TLB_FLAG_LARGE) {
    filter += LARGE_FILTER;
    region = va >> 21;
  } else if (flags & TLB_FLAG_HUGE) {
    filter += HUGE_FILTER;
    region = va >> 30;
  }
  const at = filter + <usize>((region & FILTER_MASK) >> 3);
  store<u8>(at, load<u8>(at) | (<u8>1 << <u8>(region & 7)));
}

/** After a flush of the TLB: all entries, or with `keepGlobal` those that may be of pages that are not global. */
export function invalidateJumps(keepGlobal: i32): void {
  bumpUser();
  if (!keepGlobal || supervisorHasLocal) bumpSupervisor();
  updateModeKey();
}

/** After an INVLPG. */
export function invalidateJumpsOfPage(va: u64): void {
  const user = mayHold(userFilters, va);
  const supervisor = mayHold(supervisorFilters, va);
  if (user) bumpUser();
  if (supervisor) bumpSupervisor();
  if (user || supervisor) updateModeKey();
}

function mayHold(filters: usize, va: u64): bool {
  return (
    isNoted(filters, va >> 12) || isNoted(filters + LARGE_FILTER, va >> 21) || isNoted(filters + HUGE_FILTER, va >> 30)
  );
}

// @ts-ignore: decorator
@inline
function isNoted(filter: usize, region: u64): bool {
  return ((load<u8>(filter + <usize>((region & FILTER_MASK) >> 3)) >> <u8>(region & 7)) & 1) != 0;
}

function bumpUser(): void {
  store<i32>(CPU_STATE + STALE_CALLERS, 1);
  memory.fill(userFilters, 0, FILTERS_BYTES);
  if (++userGeneration < GENERATIONS) return;
  userGeneration = 0;
  beginGenerationsAnew(true);
}

function bumpSupervisor(): void {
  store<i32>(CPU_STATE + STALE_CALLERS, 1);
  memory.fill(supervisorFilters, 0, FILTERS_BYTES);
  supervisorHasLocal = false;
  if (++supervisorGeneration < GENERATIONS) return;
  supervisorGeneration = 0;
  beginGenerationsAnew(false);
}
