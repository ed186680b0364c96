// REP MOVS and REP STOS of a few bytes upward in 64-bit code, between pages that the TLB lets engines access without more ado: what
// kernels and C libraries do most. Everything else - other modes, faults, pages of code, breakpoints, long runs - is the general way's.
import { CPU_STATE, TLB_WRITE } from "../../layout/memory-map";
import { CODE_BITS, RCX, RDI, RFLAGS_SYSTEM, RSI, SEGMENTS, SEGMENT_BYTES, SEGMENT_EFFECTIVE_BASE } from "../../layout/cpu-state";
import { checksAlignment } from "../memory/alignment";
import { knownHost } from "../memory/linear-memory";
import { currentBank } from "../memory/translate";
import { areBreakpointsEnabled } from "../processor/breakpoints";
import { RFLAGS_DF, RFLAGS_TF } from "../system/control-bits";
import { REPEAT_NONE } from "./registers";

/** Beyond, `memory.copy` and `memory.fill` are faster, for which V8 calls functions of its own. */
const MOST_BYTES: u64 = 256;

/** Does a whole REP MOVS. False, with nothing done, where there is more to it. */
export function movePlainRun(bytes: i32, repeat: i32, addressBits: i32, segment: i32): bool {
  const size = plainSize(bytes, repeat, addressBits);
  if (!size) return false;
  const bank = currentBank();
  const from = load<u64>(CPU_STATE + RSI);
  const to = load<u64>(CPU_STATE + RDI);
  const base = load<u64>(CPU_STATE + SEGMENTS + segment * SEGMENT_BYTES, SEGMENT_EFFECTIVE_BASE);
  const source = knownHost(bank, from + base, <i32>size);
  const target = knownHost(bank + TLB_WRITE, to, <i32>size);
  // Where the target begins inside of the source, what was written is read again.
  if (!source || !target || target - source < <usize>size) return false;
  copyUpward(target, source, <usize>size);
  store<u64>(CPU_STATE + RSI, from + size);
  finish(to + size);
  return true;
}

/** Does a whole REP STOS. False, with nothing done, where there is more to it. */
export function fillPlainRun(bytes: i32, repeat: i32, addressBits: i32, value: u64): bool {
  const size = plainSize(bytes, repeat, addressBits);
  if (!size) return false;
  const to = load<u64>(CPU_STATE + RDI);
  const target = knownHost(currentBank() + TLB_WRITE, to, <i32>size);
  if (!target) return false;
  fillUpward(target, <usize>size, repeated(value, bytes));
  finish(to + size);
  return true;
}

/** Bytes of a run that may be done here, or 0. */
// @ts-ignore: decorator
@inline
function plainSize(bytes: i32, repeat: i32, addressBits: i32): u64 {
  const count = load<u64>(CPU_STATE + RCX);
  if (repeat == REPEAT_NONE || addressBits != 64 || count > MOST_BYTES) return 0;
  if (load<i32>(CPU_STATE + CODE_BITS) != 64 || load<u64>(CPU_STATE + RFLAGS_SYSTEM) & (RFLAGS_DF | RFLAGS_TF)) return 0;
  if (checksAlignment() || areBreakpointsEnabled()) return 0;
  const size = count * bytes;
  return size <= MOST_BYTES ? size : 0;
}

// @ts-ignore: decorator
@inline
function finish(to: u64): void {
  store<u64>(CPU_STATE + RDI, to);
  store<u64>(CPU_STATE + RCX, 0);
}

/** A value of 1, 2, 4 or 8 bytes, as often as 8 bytes hold it. */
// @ts-ignore: decorator
@inline
function repeated(value: u64, bytes: i32): u64 {
  if (bytes == 8) return value;
  if (bytes == 4) return (value & 0xffffffff) * 0x100000001;
  return bytes == 2 ? (value & 0xffff) * 0x1000100010001 : (value & 0xff) * 0x101010101010101;
}

// @ts-ignore: decorator
@inline
function copyUpward(target: usize, source: usize, size: usize): void {
  let at: usize = 0;
  for (; at + 8 <= size; at += 8) store<u64>(target + at, load<u64>(source + at));
  for (; at < size; at++) store<u8>(target + at, load<u8>(source + at));
}

// @ts-ignore: decorator
@inline
function fillUpward(target: usize, size: usize, pattern: u64): void {
  let at: usize = 0;
  for (; at + 8 <= size; at += 8) store<u64>(target + at, pattern);
  for (; at < size; at++) {
    store<u8>(target + at, <u8>pattern);
    pattern >>= 8;
  }
}
