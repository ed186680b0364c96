// Memory as the core's own code sees it. A fault is left in the state: a read that faults
// returns 0, a write that faults has written nothing, and `faulted()` tells.
import { PAGE_BYTES, TLB_ADDEND, TLB_TAG, TLB_WRITE } from "../../layout/memory-map";
import { areBreakpointsEnabled, endsAccess, isWatchedPage } from "../processor/breakpoints";
import { gather, locateRange, scatter } from "./split-access";
import { DEVICE, currentBank, systemBank, translateRead, translateWrite } from "./translate";
import { tlbSlot } from "./tlb";

export { faulted } from "../processor/faults";
export { readPhysical8, readPhysical16, readPhysical32, readPhysical64 } from "./physical-memory";
export { writePhysical8, writePhysical16, writePhysical32, writePhysical64 } from "./physical-memory";

/** A value on its way. SCRATCH is the engines'. */
const BUFFER: usize = memory.data(8, 8);

/** Reads with the rights of a TLB bank. */
// @ts-ignore: decorator
@inline
export function readIn<T>(bank: usize, va: u64): T {
  const entry = bank + tlbSlot(va);
  if (va - load<u64>(entry, TLB_TAG) <= <u64>(PAGE_BYTES - sizeof<T>())) {
    return load<T>(<usize>(<u32>va + load<u32>(entry, TLB_ADDEND)));
  }
  return <T>readMiss(bank, va, <i32>sizeof<T>());
}

/** Writes with the rights of a TLB bank. */
// @ts-ignore: decorator
@inline
export function writeIn<T>(bank: usize, va: u64, value: T): void {
  const entry = bank + TLB_WRITE + tlbSlot(va);
  if (va - load<u64>(entry, TLB_TAG) <= <u64>(PAGE_BYTES - sizeof<T>())) {
    store<T>(<usize>(<u32>va + load<u32>(entry, TLB_ADDEND)), value);
    return;
  }
  writeMiss(bank, va, <i32>sizeof<T>(), <u64>value);
}

function readMiss(bank: usize, va: u64, bytes: i32): u64 {
  if (areBreakpointsEnabled() && endsAccess(va, bytes, false)) return 0;
  if (!locateRange(bank, va, bytes, false)) return 0;
  store<u64>(BUFFER, 0);
  gather(BUFFER);
  return load<u64>(BUFFER);
}

function writeMiss(bank: usize, va: u64, bytes: i32, value: u64): void {
  if (areBreakpointsEnabled() && endsAccess(va, bytes, true)) return;
  if (!locateRange(bank, va, bytes, true)) return;
  store<u64>(BUFFER, value);
  scatter(BUFFER);
}

/** Whether a write of up to a page's worth of bytes with the rights of a bank would not fault; sets the fault if it would. */
export function prepareWriteIn(bank: usize, va: u64, bytes: i32): bool {
  return locateRange(bank, va, bytes, true);
}

// Explicit accesses at the current privilege level.

export function readLinear8(va: u64): u64 {
  return <u64>readIn<u8>(currentBank(), va);
}

export function readLinear16(va: u64): u64 {
  return <u64>readIn<u16>(currentBank(), va);
}

export function readLinear32(va: u64): u64 {
  return <u64>readIn<u32>(currentBank(), va);
}

export function readLinear64(va: u64): u64 {
  return readIn<u64>(currentBank(), va);
}

export function writeLinear8(va: u64, value: u64): void {
  writeIn<u8>(currentBank(), va, <u8>value);
}

export function writeLinear16(va: u64, value: u64): void {
  writeIn<u16>(currentBank(), va, <u16>value);
}

export function writeLinear32(va: u64, value: u64): void {
  writeIn<u32>(currentBank(), va, <u32>value);
}

export function writeLinear64(va: u64, value: u64): void {
  writeIn<u64>(currentBank(), va, value);
}

// Implicit supervisor accesses: descriptor tables and the TSS.

export function readSystem8(va: u64): u64 {
  return <u64>readIn<u8>(systemBank(), va);
}

export function readSystem16(va: u64): u64 {
  return <u64>readIn<u16>(systemBank(), va);
}

export function readSystem32(va: u64): u64 {
  return <u64>readIn<u32>(systemBank(), va);
}

export function readSystem64(va: u64): u64 {
  return readIn<u64>(systemBank(), va);
}

export function writeSystem8(va: u64, value: u64): void {
  writeIn<u8>(systemBank(), va, <u8>value);
}

export function writeSystem16(va: u64, value: u64): void {
  writeIn<u16>(systemBank(), va, <u16>value);
}

export function writeSystem32(va: u64, value: u64): void {
  writeIn<u32>(systemBank(), va, <u32>value);
}

export function writeSystem64(va: u64, value: u64): void {
  writeIn<u64>(systemBank(), va, value);
}

// A page at a time.

/** Host address of a byte, good for reads to the end of its page; 0 for a device or a watched page, or with the fault set. */
export function hostForRead(va: u64): usize {
  if (areBreakpointsEnabled() && isWatchedPage(va)) return 0;
  const host = translateRead(currentBank(), va);
  return host == DEVICE ? 0 : host;
}

/** Host address of a byte, good for writes to the end of its page, which go through `noteRamWrite`; 0 for a device or a watched page, or with the fault set. */
export function hostForWrite(va: u64): usize {
  if (areBreakpointsEnabled() && isWatchedPage(va)) return 0;
  const host = translateWrite(currentBank(), va);
  return host == DEVICE ? 0 : host;
}

/** Host address of bytes that lie on one page which a table of the TLB lets engines access without more ado; otherwise 0, with nothing set. */
// @ts-ignore: decorator
@inline
export function knownHost(table: usize, va: u64, bytes: i32): usize {
  const entry = table + tlbSlot(va);
  const isKnown = va - load<u64>(entry, TLB_TAG) <= <u64>(PAGE_BYTES - bytes);
  return isKnown ? <usize>(<u32>va + load<u32>(entry, TLB_ADDEND)) : 0;
}
