// What the engines call when a TLB probe misses, at the current privilege level.
// Every function returns 0 when a fault is set; nothing has been written then.
import { CPU_STATE, SCRATCH } from "../../layout/memory-map";
import { SPLIT_WRITE_ADDRESS, SPLIT_WRITE_BYTES } from "../../layout/cpu-state";
import { areBreakpointsEnabled, endsAccess } from "../processor/breakpoints";
import { isAligned } from "./alignment";
import { isCodePage, noteRamWrite } from "./code-map";
import { gather, locateRange, onOnePage, scatter } from "./split-access";
import { DEVICE, NOWHERE, currentBank, translateRead, translateWrite } from "./translate";

/** A value on its way out. SCRATCH may hold the operand of a read-modify-write. */
const OUTGOING: usize = memory.data(32, 8);

/** Whether a data breakpoint ends the access. Pages with one are in no TLB, so all their accesses are misses. */
// @ts-ignore: decorator
@inline
function isWatched(va: u64, bytes: i32, write: bool): bool {
  return areBreakpointsEnabled() && endsAccess(va, bytes, write);
}

/**
 * A host address at which 1, 2, 4, 8, 10, 16 or 32 bytes can be read: in guest RAM,
 * with the read TLB filled, or SCRATCH.
 */
export function readSlow(va: u64, bytes: i32): usize {
  if (!isAligned(va, bytes) || isWatched(va, bytes, false)) return 0;
  const bank = currentBank();
  if (onOnePage(va, bytes)) {
    const host = translateRead(bank, va);
    if (host != DEVICE) return host;
  }
  if (!locateRange(bank, va, bytes, false)) return 0;
  gather(SCRATCH);
  return SCRATCH;
}

/** Writes 1, 2, 4 or 8 bytes. */
export function writeSlow(va: u64, bytes: i32, value: u64): i32 {
  if (!isAligned(va, bytes) || isWatched(va, bytes, true)) return 0;
  const bank = currentBank();
  if (onOnePage(va, bytes)) {
    const host = translateWrite(bank, va);
    if (host == NOWHERE) return 0;
    if (host != DEVICE) {
      if (bytes == 8) store<u64>(host, value);
      else if (bytes == 4) store<u32>(host, <u32>value);
      else if (bytes == 1) store<u8>(host, <u8>value);
      else store<u16>(host, <u16>value);
      noteRamWrite(host, bytes);
      return 1;
    }
  }
  store<u64>(OUTGOING, value);
  return writeOut(bank, va, bytes);
}

/** Writes 16 bytes. */
export function writeSlow128(va: u64, low: u64, high: u64): i32 {
  if (!isAligned(va, 16) || isWatched(va, 16, true)) return 0;
  store<u64>(OUTGOING, low);
  store<u64>(OUTGOING + 8, high);
  return writeOut(currentBank(), va, 16);
}

/** Writes 32 bytes. */
export function writeSlow256(va: u64, a: u64, b: u64, c: u64, d: u64): i32 {
  if (!isAligned(va, 32) || isWatched(va, 32, true)) return 0;
  store<u64>(OUTGOING, a);
  store<u64>(OUTGOING + 8, b);
  store<u64>(OUTGOING + 16, c);
  store<u64>(OUTGOING + 24, d);
  return writeOut(currentBank(), va, 32);
}

/** Writes 10 bytes: a significand, then sign and exponent in `high`. */
export function writeSlow80(va: u64, low: u64, high: u64): i32 {
  if (!isAligned(va, 10) || isWatched(va, 10, true)) return 0;
  store<u64>(OUTGOING, low);
  store<u16>(OUTGOING + 8, <u16>high);
  return writeOut(currentBank(), va, 10);
}

function writeOut(bank: usize, va: u64, bytes: i32): i32 {
  if (!locateRange(bank, va, bytes, true)) return 0;
  scatter(OUTGOING);
  return 1;
}

/**
 * A host address for a read and a later write of 1, 2, 4, 8 or 16 bytes, checked as a write.
 * If it is SCRATCH, the write happens in `commitWrite`; else the store there is all.
 */
export function modifySlow(va: u64, bytes: i32): usize {
  if (!isAligned(va, bytes) || isWatched(va, bytes, true)) return 0;
  const bank = currentBank();
  if (onOnePage(va, bytes)) {
    const host = translateWrite(bank, va);
    if (host == NOWHERE) return 0;
    if (host != DEVICE && !isCodePage(host)) return host;
  }
  if (!locateRange(bank, va, bytes, true)) return 0;
  gather(SCRATCH);
  store<u64>(CPU_STATE + SPLIT_WRITE_ADDRESS, va);
  store<i32>(CPU_STATE + SPLIT_WRITE_BYTES, bytes);
  return SCRATCH;
}

/** Performs the write that `modifySlow` left waiting, if one waits. */
export function commitWrite(): i32 {
  const bytes = load<i32>(CPU_STATE + SPLIT_WRITE_BYTES);
  if (!bytes) return 1;
  store<i32>(CPU_STATE + SPLIT_WRITE_BYTES, 0);
  if (!locateRange(currentBank(), load<u64>(CPU_STATE + SPLIT_WRITE_ADDRESS), bytes, true)) return 0;
  scatter(SCRATCH);
  return 1;
}

/** Whether a write of up to 512 bytes would not fault. */
export function prepareWrite(va: u64, bytes: i32): i32 {
  if (bytes <= 16 && !isAligned(va, bytes)) return 0;
  return !isWatched(va, bytes, true) && locateRange(currentBank(), va, bytes, true) ? 1 : 0;
}
