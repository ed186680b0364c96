// The limit of CS where instructions are fetched. SDM 3A "Limit Checking".
//
// A segment whose limit ends before IP or EIP can is a limited one. Code on the page where its limit lies, and behind
// it, is executed one by one (`mustStep`) and so checked; all other code of the segment needs no check.
import { CPU_STATE } from "../../layout/memory-map";
import {
  CODE_BITS,
  RCX,
  RIP,
  RIP_MASK,
  RSP,
  SEGMENT_BASE,
  SEGMENT_LIMIT,
  SEG_CS,
  STATUS_OK,
} from "../../layout/cpu-state";
import { invalidateJumps } from "../memory/jump-cache";
import { beginAlone, endAlone, hasBreakpointOnPage } from "./breakpoints";
import { raiseGP } from "./faults";

/** Registers before the instruction that is executed alone. */
let startRip: u64 = 0;
let startRsp: u64 = 0;
let startRcx: u64 = 0;

const MAX_INSTRUCTION_BYTES: u64 = 15;

/** Base and size of the running code's segment if it is a limited one, else size 0. */
const WINDOW: usize = memory.data(16, 8);

// @ts-ignore: decorator
@inline
function isLimited(): bool {
  return load<i32>(CPU_STATE + CODE_BITS) != 64 && load<u32>(CPU_STATE + SEG_CS + SEGMENT_LIMIT) < load<u32>(CPU_STATE + RIP_MASK);
}

/** The same, or IP can run over the end of a segment of 64 KiB. */
// @ts-ignore: decorator
@inline
function isBounded(): bool {
  return isLimited() || load<i32>(CPU_STATE + CODE_BITS) == 16;
}

/** After a load of CS: what other segments have in the jump cache must not be reached through a limited one. */
export function noteCodeWindow(): void {
  if (!isLimited()) {
    store<u64>(WINDOW, 0, 8);
    return;
  }
  const base = load<u64>(CPU_STATE + SEG_CS + SEGMENT_BASE);
  const limit: u64 = load<u32>(CPU_STATE + SEG_CS + SEGMENT_LIMIT);
  if (load<u64>(WINDOW) == base && load<u64>(WINDOW, 8) == limit + 1) return;
  store<u64>(WINDOW, base);
  store<u64>(WINDOW, limit + 1, 8);
  invalidateJumps(0);
}

/** Whether code at RIP, which is at a linear address, must be executed one by one. */
export function mustStep(linear: u64): i32 {
  if (hasBreakpointOnPage(linear)) return 1;
  if (!isBounded()) return 0;
  const pageEnd = load<u64>(CPU_STATE + RIP) + (~linear & 0xfff);
  return pageEnd + MAX_INSTRUCTION_BYTES > <u64>load<u32>(CPU_STATE + SEG_CS + SEGMENT_LIMIT) ? 1 : 0;
}

/** Before an instruction is executed alone: STATUS_FAULT with #DB of a breakpoint, or #GP(0) outside of the segment. */
export function beginStep(inhibited: i32): i32 {
  const status = beginAlone(inhibited != 0);
  if (status != STATUS_OK) return status;
  startRip = load<u64>(CPU_STATE + RIP);
  startRsp = load<u64>(CPU_STATE + RSP);
  startRcx = load<u64>(CPU_STATE + RCX);
  return fetchableBytes() ? STATUS_OK : raiseGP(0);
}

/**
 * Behind it: the bits of DR6 that it has earned, or -1 with #GP(0) of a relative jump beyond the limit. Such a jump, CALL or
 * LOOP has changed no register but these. Other transfers check their targets themselves; and who runs on over the
 * limit, byte for byte, faults at the next instruction.
 */
export function endStep(completed: i32): i32 {
  const conditions = endAlone();
  if (!completed || !isLimited()) return conditions;
  const limit: u64 = load<u32>(CPU_STATE + SEG_CS + SEGMENT_LIMIT);
  if (load<u64>(CPU_STATE + RIP) <= limit + 1) return conditions;
  store<u64>(CPU_STATE + RIP, startRip);
  store<u64>(CPU_STATE + RSP, startRsp);
  store<u64>(CPU_STATE + RCX, startRcx);
  raiseGP(0);
  return -1;
}

/** Bytes of code from RIP to the end of its segment, 15 at most. */
export function fetchableBytes(): i32 {
  if (!isBounded()) return <i32>MAX_INSTRUCTION_BYTES;
  const limit: u64 = load<u32>(CPU_STATE + SEG_CS + SEGMENT_LIMIT);
  const rip = load<u64>(CPU_STATE + RIP);
  return rip > limit ? 0 : <i32>min(limit - rip + 1, MAX_INSTRUCTION_BYTES);
}
