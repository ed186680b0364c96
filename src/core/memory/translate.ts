// From linear to host addresses, through the TLB bank whose access rights apply.
import {
  CPU_STATE,
  GUEST_RAM,
  TLB_ADDEND,
  TLB_BANK_SUPERVISOR,
  TLB_BANK_SUPERVISOR_AC,
  TLB_BANK_USER,
  TLB_BANK_USER_ALIGNED,
  TLB_FLAGS,
  TLB_FLAG_EXECUTABLE,
  TLB_TAG,
  TLB_WRITE,
} from "../../layout/memory-map";
import { APIC_BASE, COUNT_TLB_MISS, CPL, CR4, RAM_BYTES, TLB_BASE } from "../../layout/cpu-state";
import { areBreakpointsEnabled, isWatchedPage } from "../processor/breakpoints";
import { raiseNonCanonical } from "../processor/faults";
import { bringIn } from "./absent-pages";
import { isCodePage } from "./code-map";
import { noteDirty } from "./dirty-pages";
import { noteExecute } from "./jump-cache";
import {
  ACCESS_FETCH,
  ACCESS_READ,
  ACCESS_SMAP,
  ACCESS_USER,
  ACCESS_WRITE,
  peekCode,
  walk,
  walkFlags,
  walkPhysical,
  walkReadable,
  walkUser,
} from "./page-walk";
import { fillTlb, fillWriteTlb, tlbSlot, tracedHost } from "./tlb";

const CR4_SMAP: u64 = 1 << 21;

/** What a translation returns instead of a host address: the fault is set. */
export const NOWHERE: usize = 0;
/** What a translation returns instead of a host address: `devicePhysical` is not RAM. */
export const DEVICE: usize = 1;

/** Guest physical address of the last translation that returned DEVICE. */
export let devicePhysical: u64 = 0;

/** 48-bit addresses. SDM 1 "Canonical Addressing". Every 32-bit address is canonical. */
// @ts-ignore: decorator
@inline
export function isCanonical(va: u64): bool {
  return <u64>(<i64>(va << 16) >> 16) == va;
}

/** The bank of explicit accesses at the current privilege level. Alignment is the caller's to check (alignment.ts). */
// @ts-ignore: decorator
@inline
export function currentBank(): usize {
  const bank = load<usize>(CPU_STATE + TLB_BASE);
  return bank == TLB_BANK_USER_ALIGNED ? <usize>TLB_BANK_USER : bank;
}

/**
 * The bank of implicit supervisor accesses, to descriptor tables and the TSS: at every privilege level,
 * and with SMAP whatever EFLAGS.AC says. SDM 3A "Access Rights".
 */
// @ts-ignore: decorator
@inline
export function systemBank(): usize {
  return load<u64>(CPU_STATE + CR4) & CR4_SMAP ? TLB_BANK_SUPERVISOR : TLB_BANK_SUPERVISOR_AC;
}

/** Whether the local APIC's page answers at a physical address, even where RAM lies. APIC_BASE 0: no such page. */
// @ts-ignore: decorator
@inline
function isApicPage(physical: u64): bool {
  const base = load<u64>(CPU_STATE + APIC_BASE);
  return base != 0 && (physical & ~0xfff) == base;
}

/** Host address of a physical byte, or DEVICE with `devicePhysical`. */
// @ts-ignore: decorator
@inline
export function locatePhysical(physical: u64): usize {
  if (physical < <u64>load<u32>(CPU_STATE + RAM_BYTES) && !isApicPage(physical)) {
    bringIn(<u32>physical);
    return <usize>physical + GUEST_RAM;
  }
  devicePhysical = physical;
  return DEVICE;
}

// @ts-ignore: decorator
@inline
function accessOf(bank: usize): i32 {
  if (bank == TLB_BANK_USER) return ACCESS_USER;
  return bank == TLB_BANK_SUPERVISOR ? ACCESS_SMAP : ACCESS_READ;
}

/** Where a byte is read: a host address good to the end of its page, DEVICE, or NOWHERE. */
export function translateRead(bank: usize, va: u64): usize {
  const entry = bank + tlbSlot(va);
  if (load<u64>(entry, TLB_TAG) == (va & ~0xfff)) return <usize>(<u32>va + load<u32>(entry, TLB_ADDEND));
  return missRead(bank, va);
}

/** Where a byte is written: a host address good to the end of its page, DEVICE, or NOWHERE. The write must go through `noteRamWrite`. */
export function translateWrite(bank: usize, va: u64): usize {
  const entry = bank + TLB_WRITE + tlbSlot(va);
  if (load<u64>(entry, TLB_TAG) == (va & ~0xfff)) return <usize>(<u32>va + load<u32>(entry, TLB_ADDEND));
  const traced = tracedHost(entry, va);
  return traced ? traced : missWrite(bank, va);
}

function missRead(bank: usize, va: u64): usize {
  if (!isCanonical(va)) return refuse();
  countMiss();
  if (!walk(va, accessOf(bank))) return NOWHERE;
  const host = locatePhysical(walkPhysical);
  if (host != DEVICE && mayFill(va)) fillTlb(bank, va, host, walkFlags);
  return host;
}

/** Accesses to a page with a data breakpoint must all be misses. */
// @ts-ignore: decorator
@inline
function mayFill(va: u64): bool {
  return !areBreakpointsEnabled() || !isWatchedPage(va);
}

function missWrite(bank: usize, va: u64): usize {
  if (!isCanonical(va)) return refuse();
  countMiss();
  if (!walk(va, accessOf(bank) | ACCESS_WRITE)) return NOWHERE;
  const host = locatePhysical(walkPhysical);
  if (host == DEVICE) return host;
  noteDirty(host);
  if (mayFill(va)) fillWriteTlb(bank + TLB_WRITE, va, host, walkFlags, isCodePage(host));
  return host;
}

function refuse(): usize {
  raiseNonCanonical();
  return NOWHERE;
}

// @ts-ignore: decorator
@inline
function countMiss(): void {
  store<i64>(CPU_STATE + COUNT_TLB_MISS, load<i64>(CPU_STATE + COUNT_TLB_MISS) + 1);
}

/**
 * Guest physical address of an instruction byte at the current privilege level, or -1 with the fault set.
 * Whoever enters code in the jump cache asks here first: the answer is what makes the entry's end known.
 */
export function translateExecute(va: u64): i64 {
  const bank = currentBank();
  const entry = bank + tlbSlot(va);
  if (load<u64>(entry, TLB_TAG) == (va & ~0xfff)) {
    const flags = load<i32>(entry, TLB_FLAGS);
    if (flags & TLB_FLAG_EXECUTABLE) {
      noteExecute(va, flags);
      return <i64>(<u64>(<u32>va + load<u32>(entry, TLB_ADDEND) - GUEST_RAM));
    }
  }
  if (!isCanonical(va)) {
    raiseNonCanonical();
    return -1;
  }
  const user = load<i32>(CPU_STATE + CPL) == 3;
  if (!walk(va, ACCESS_FETCH | (user ? ACCESS_USER : ACCESS_READ))) return -1;
  fillForCode(bank, va);
  return <i64>walkPhysical;
}

/** The same for 64-bit code that nobody executes yet: -1 without a fault, and when the page tables would have to be changed. */
export function peekExecute(va: u64): i64 {
  const bank = currentBank();
  const entry = bank + tlbSlot(va);
  if (load<u64>(entry, TLB_TAG) == (va & ~0xfff) && load<i32>(entry, TLB_FLAGS) & TLB_FLAG_EXECUTABLE) {
    noteExecute(va, load<i32>(entry, TLB_FLAGS));
    return <i64>(<u64>(<u32>va + load<u32>(entry, TLB_ADDEND) - GUEST_RAM));
  }
  if (!isCanonical(va) || !peekCode(va, load<i32>(CPU_STATE + CPL) == 3)) return -1;
  fillForCode(bank, va);
  return <i64>walkPhysical;
}

/** After a walk for an instruction. */
function fillForCode(bank: usize, va: u64): void {
  noteExecute(va, walkFlags);
  const host = locatePhysical(walkPhysical);
  // A page that may be executed may not always be read: SMAP, protection keys.
  const readable = walkReadable && !(walkUser && bank == TLB_BANK_SUPERVISOR);
  if (host != DEVICE && readable && mayFill(va)) fillTlb(bank, va, host, walkFlags);
}
