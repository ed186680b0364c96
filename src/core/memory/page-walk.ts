// From linear to guest physical addresses: no paging, 32-bit, PAE and 4-level paging.
// SDM 3A "Paging": "32-Bit Paging", "PAE Paging", "4-Level Paging and 5-Level Paging", "Access Rights",
// "Page-Fault Exceptions", "Accessed and Dirty Flags".
//
// PAE's four page-directory pointers are read at every walk, as AMD processors do, not kept from the last MOV CR3
// (APM 2 "PAE Paging Mode": "CR3 ... PDPE").
import { CPU_STATE, GUEST_RAM, TLB_FLAG_GLOBAL } from "../../layout/memory-map";
import { COUNT_PAGE_WALK, CR0, CR3, CR4, MASKED_ADDRESS_LINES, MSR_EFER, PKRU, RAM_BYTES } from "../../layout/cpu-state";
import { raisePageFault } from "../processor/faults";
import { TLB_FLAG_EXECUTABLE } from "../../layout/memory-map";
import { bringIn } from "./absent-pages";
import { TLB_FLAG_HUGE, TLB_FLAG_LARGE } from "./tlb";
import { noteRamWrite } from "./code-map";

/** MAXPHYADDR. CPUID leaf 0x80000008 must say the same. */
export const PHYSICAL_ADDRESS_BITS: i32 = 40;

// What an access is: the bits of a page fault's error code, and one of our own.
export const ACCESS_READ: i32 = 0;
export const ACCESS_WRITE: i32 = 2;
export const ACCESS_USER: i32 = 4;
export const ACCESS_FETCH: i32 = 16;
/** A supervisor access to data that SMAP keeps off user pages. */
export const ACCESS_SMAP: i32 = 256;

const ERROR_PRESENT: i32 = 1;
const ERROR_RESERVED: i32 = 8;
const ERROR_KEY: i32 = 32;

const KEY_ACCESS_DISABLED: i32 = 1;

const CR0_WP: u64 = 1 << 16;
const CR0_PG: u64 = 1 << 31;
const CR4_PSE: u64 = 1 << 4;
const CR4_PAE: u64 = 1 << 5;
const CR4_PGE: u64 = 1 << 7;
const CR4_SMEP: u64 = 1 << 20;
const CR4_PKE: u64 = 1 << 22;
const EFER_LMA: u64 = 1 << 10;
const EFER_NXE: u64 = 1 << 11;

// Bits of an entry.
const P: u64 = 1;
const RW: u64 = 2;
const US: u64 = 4;
const A: u64 = 32;
const D: u64 = 64;
const PS: u64 = 128;
const G: u64 = 256;
const NX: u64 = 1 << 63;
const FRAME: u64 = 0x000ffffffffff000;

/** Address bits 51..40, beyond MAXPHYADDR. */
const RESERVED_ADDRESS: u64 = 0x000fff0000000000;
/** 4-level paging: a PML4E maps no page. */
const RESERVED_PML4E: u64 = PS;
const RESERVED_1G: u64 = 0x3fffe000;
const RESERVED_2M: u64 = 0x1fe000;
/** PAE: a PDPTE has neither rights nor an accessed flag. */
const RESERVED_PDPTE: u64 = 0xffffff00000001e6;
/** PAE: bits 62..52 are not free for software. */
const RESERVED_PAE: u64 = 0x7ff0000000000000;
/** 32-bit paging: bit 21 of an entry for a 4 MiB page; bits 20..13 are address bits 39..32. */
const RESERVED_4M: u64 = 1 << 21;

/** Result of a walk: guest physical address. */
export let walkPhysical: u64 = 0;
/** Result of a walk: TLB_FLAG_*. */
export let walkFlags: i32 = 0;
/** Result of a walk: whether the page is a user page. */
export let walkUser: bool = false;
/** Result of a walk: whether the page's protection key lets it be read. */
export let walkReadable: bool = true;

/**
 * Translates an address; sets accessed and dirty flags. Returns false with #PF set. The address lines that are masked
 * count for the result only, not for where the tables lie.
 */
export function walk(va: u64, access: i32): bool {
  if (!translate(va, access)) return false;
  walkPhysical &= ~load<u64>(CPU_STATE + MASKED_ADDRESS_LINES);
  return true;
}

function translate(va: u64, access: i32): bool {
  const cr0 = load<u64>(CPU_STATE + CR0);
  if (!(cr0 & CR0_PG)) {
    walkPhysical = va & 0xffffffff;
    walkFlags = TLB_FLAG_EXECUTABLE;
    walkUser = false;
    walkReadable = true;
    return true;
  }
  store<i64>(CPU_STATE + COUNT_PAGE_WALK, load<i64>(CPU_STATE + COUNT_PAGE_WALK) + 1);
  if (load<u64>(CPU_STATE + MSR_EFER) & EFER_LMA) return walkLong(va, access);
  if (load<u64>(CPU_STATE + CR4) & CR4_PAE) return walkPAE(va, access);
  return walk32(va, access);
}

function walkLong(va: u64, access: i32): bool {
  const reserved = RESERVED_ADDRESS | (load<u64>(CPU_STATE + MSR_EFER) & EFER_NXE ? 0 : NX);

  const at4 = (load<u64>(CPU_STATE + CR3) & FRAME) | (((va >> 39) & 511) << 3);
  const pml4e = tableEntry(at4);
  if (!(pml4e & P)) return notPresent(va, access);
  if (pml4e & (reserved | RESERVED_PML4E)) return reservedBit(va, access);

  const at3 = (pml4e & FRAME) | (((va >> 30) & 511) << 3);
  const pdpte = tableEntry(at3);
  if (!(pdpte & P)) return notPresent(va, access);
  if (pdpte & reserved) return reservedBit(va, access);

  const rights = (pml4e ^ NX) & (pdpte ^ NX);
  if (pdpte & PS) {
    if (pdpte & RESERVED_1G) return reservedBit(va, access);
    if (!finish(va, access, at3, pdpte, rights, 0x3fffffff, TLB_FLAG_HUGE)) return false;
  } else {
    if (!walkLower(va, access, pdpte & FRAME, rights, reserved)) return false;
    mark(at3, pdpte, A);
  }
  mark(at4, pml4e, A);
  return true;
}

/**
 * Translates the address of an instruction under 4-level paging without touching the tables or the fault: only if every entry
 * on the way is accessed already. Leaves the same results as `walk`.
 */
export function peekCode(va: u64, user: bool): bool {
  const reserved = RESERVED_ADDRESS | (load<u64>(CPU_STATE + MSR_EFER) & EFER_NXE ? 0 : NX);
  const access = ACCESS_FETCH | (user ? ACCESS_USER : ACCESS_READ);
  let table = load<u64>(CPU_STATE + CR3) & FRAME;
  let rights: u64 = NX | US | RW;
  for (let shift: u64 = 39; shift >= 12; shift -= 9) {
    const entry = tableEntry(table | (((va >> shift) & 511) << 3));
    if ((entry & (P | A)) != (P | A) || entry & reserved) return false;
    rights &= entry ^ NX;
    const isPage = shift == 12 || (entry & PS) != 0;
    if (!isPage) {
      table = entry & FRAME;
      continue;
    }
    const offsetMask = (<u64>1 << shift) - 1;
    if (shift == 39 || (shift != 12 && entry & offsetMask & RESERVED_1G)) return false;
    if (!isPermitted(rights, access) || !isExecutable(rights, access)) return false;
    noteResult(va, entry, rights, offsetMask, TLB_FLAG_EXECUTABLE | (shift == 12 ? 0 : shift == 21 ? TLB_FLAG_LARGE : TLB_FLAG_HUGE));
    walkPhysical &= ~load<u64>(CPU_STATE + MASKED_ADDRESS_LINES);
    walkReadable = !(rights & US && keyOf(entry) & KEY_ACCESS_DISABLED);
    return true;
  }
  return false;
}

function walkPAE(va: u64, access: i32): bool {
  const reserved = RESERVED_ADDRESS | RESERVED_PAE | (load<u64>(CPU_STATE + MSR_EFER) & EFER_NXE ? 0 : NX);
  const pdpte = tableEntry((load<u64>(CPU_STATE + CR3) & 0xffffffe0) | (((va >> 30) & 3) << 3));
  if (!(pdpte & P)) return notPresent(va, access);
  if (pdpte & RESERVED_PDPTE) return reservedBit(va, access);
  return walkLower(va, access, pdpte & FRAME, NX | US | RW, reserved);
}

/** The page directory and the page table, which PAE and 4-level paging have in common. */
function walkLower(va: u64, access: i32, directory: u64, upperRights: u64, reserved: u64): bool {
  const at2 = directory | (((va >> 21) & 511) << 3);
  const pde = tableEntry(at2);
  if (!(pde & P)) return notPresent(va, access);
  if (pde & reserved) return reservedBit(va, access);
  const rights = upperRights & (pde ^ NX);
  if (pde & PS) {
    if (pde & RESERVED_2M) return reservedBit(va, access);
    return finish(va, access, at2, pde, rights, 0x1fffff, TLB_FLAG_LARGE);
  }

  const at1 = (pde & FRAME) | (((va >> 12) & 511) << 3);
  const pte = tableEntry(at1);
  if (!(pte & P)) return notPresent(va, access);
  if (pte & reserved) return reservedBit(va, access);
  if (!finish(va, access, at1, pte, rights & (pte ^ NX), 0xfff, 0)) return false;
  mark(at2, pde, A);
  return true;
}

function walk32(va: u64, access: i32): bool {
  const at2 = (load<u64>(CPU_STATE + CR3) & 0xfffff000) | (((va >> 22) & 1023) << 2);
  const pde = tableEntry32(at2);
  if (!(pde & P)) return notPresent(va, access);
  // Every page of 32-bit paging is executable.
  const rights = pde | NX;
  if (pde & PS && load<u64>(CPU_STATE + CR4) & CR4_PSE) {
    if (pde & RESERVED_4M) return reservedBit(va, access);
    if (!finish(va, access, at2, pde, rights, 0x3fffff, TLB_FLAG_HUGE)) return false;
    walkPhysical = (pde & 0xffc00000) | ((pde & 0x1fe000) << 19) | (va & 0x3fffff);
    return true;
  }

  const at1 = (pde & 0xfffff000) | (((va >> 12) & 1023) << 2);
  const pte = tableEntry32(at1);
  if (!(pte & P)) return notPresent(va, access);
  if (!finish(va, access, at1, pte, rights & (pte | NX), 0xfff, 0)) return false;
  mark(at2, pde, A);
  return true;
}

/**
 * Checks the access rights and leaves the result.
 * `rights` are the entries of all levels ANDed, with NX inverted; `offsetMask` covers the offset in the page.
 */
function finish(va: u64, access: i32, at: u64, entry: u64, rights: u64, offsetMask: u64, sizeFlag: i32): bool {
  const executable = isExecutable(rights, access);
  const keyDenies = rights & US ? keyOf(entry) : 0;
  const keyError = keyDenies ? keyErrorOf(keyDenies, access) : 0;
  if (!isPermitted(rights, access) || keyError || (access & ACCESS_FETCH && !executable)) {
    return fault(va, access, ERROR_PRESENT | keyError);
  }
  walkReadable = !(keyDenies & KEY_ACCESS_DISABLED);
  mark(at, entry, access & ACCESS_WRITE ? A | D : A);
  noteResult(va, entry, rights, offsetMask, executable ? sizeFlag | TLB_FLAG_EXECUTABLE : sizeFlag);
  return true;
}

// @ts-ignore: decorator
@inline
function noteResult(va: u64, entry: u64, rights: u64, offsetMask: u64, flags: i32): void {
  walkPhysical = (entry & FRAME & ~offsetMask) | (va & offsetMask);
  const global = (entry & G) != 0 && (load<u64>(CPU_STATE + CR4) & CR4_PGE) != 0;
  walkFlags = global ? flags | TLB_FLAG_GLOBAL : flags;
  walkUser = (rights & US) != 0;
}

// @ts-ignore: decorator
@inline
function isPermitted(rights: u64, access: i32): bool {
  if (access & ACCESS_USER) {
    if (!(rights & US)) return false;
    return !(access & ACCESS_WRITE) || (rights & RW) != 0;
  }
  if (rights & US && access & ACCESS_SMAP && !(access & ACCESS_FETCH)) return false;
  return !(access & ACCESS_WRITE) || (rights & RW) != 0 || !(load<u64>(CPU_STATE + CR0) & CR0_WP);
}

/** What PKRU denies a user page's key: KEY_*. */
function keyOf(entry: u64): i32 {
  if (!(load<u64>(CPU_STATE + CR4) & CR4_PKE) || !(load<u64>(CPU_STATE + MSR_EFER) & EFER_LMA)) return 0;
  return (load<i32>(CPU_STATE + PKRU) >> (<i32>(entry >> 59) & 15) * 2) & 3;
}

/** The error code's bit for an access to data that a key denies, or 0. SDM 3A "Protection Keys". */
function keyErrorOf(denied: i32, access: i32): i32 {
  if (access & ACCESS_FETCH) return 0;
  if (denied & KEY_ACCESS_DISABLED) return ERROR_KEY;
  const binds = (access & ACCESS_USER) != 0 || (load<u64>(CPU_STATE + CR0) & CR0_WP) != 0;
  return access & ACCESS_WRITE && binds ? ERROR_KEY : 0;
}

/** Whether instructions may be fetched there at the access's privilege: NX and SMEP. The right to read is not looked at. */
// @ts-ignore: decorator
@inline
function isExecutable(rights: u64, access: i32): bool {
  if (!(rights & NX)) return false;
  return !(rights & US) || (access & ACCESS_USER) != 0 || !(load<u64>(CPU_STATE + CR4) & CR4_SMEP);
}

function notPresent(va: u64, access: i32): bool {
  return fault(va, access, 0);
}

function reservedBit(va: u64, access: i32): bool {
  return fault(va, access, ERROR_PRESENT | ERROR_RESERVED);
}

function fault(va: u64, access: i32, error: i32): bool {
  let code = error | (access & (ACCESS_WRITE | ACCESS_USER));
  if (access & ACCESS_FETCH) {
    const cr4 = load<u64>(CPU_STATE + CR4);
    const nx = (cr4 & CR4_PAE) != 0 && (load<u64>(CPU_STATE + MSR_EFER) & EFER_NXE) != 0;
    if (nx || cr4 & CR4_SMEP) code |= ACCESS_FETCH;
  }
  raisePageFault(va, code);
  return false;
}

/** An entry of a table. Outside of RAM nothing answers, and the bus reads as ones. */
// @ts-ignore: decorator
@inline
function tableEntry(at: u64): u64 {
  if (at >= <u64>load<u32>(CPU_STATE + RAM_BYTES)) return ~0;
  bringIn(<u32>at);
  return load<u64>(<usize>at + GUEST_RAM);
}

// @ts-ignore: decorator
@inline
function tableEntry32(at: u64): u64 {
  if (at >= <u64>load<u32>(CPU_STATE + RAM_BYTES)) return 0xffffffff;
  bringIn(<u32>at);
  return <u64>load<u32>(<usize>at + GUEST_RAM);
}

/** Sets accessed or dirty flags in an entry that was read from RAM (one from outside has them all). */
// @ts-ignore: decorator
@inline
function mark(at: u64, entry: u64, bits: u64): void {
  if ((entry & bits) != bits) setFlags(<usize>at + GUEST_RAM, <u32>bits);
}

function setFlags(host: usize, bits: u32): void {
  atomic.or<u32>(host, bits);
  noteRamWrite(host, 4);
}
