// Regions of the translator that lie on several pages: whether those are where they were when the region was made.
import { CPU_STATE, LINK_TAG, PAGE_BYTES, REGION_PAGE_BYTES, REGION_PAGE_DELTA, REGION_PAGE_NUMBER } from "../../layout/memory-map";
import { COUNT_CODE_WRITE, MODE_KEY, RAM_BYTES, RIP_BASE } from "../../layout/cpu-state";
import { areBreakpointsEnabled } from "../processor/breakpoints";
import { mustStep } from "../processor/code-limit";
import { clearFault } from "../processor/faults";
import { checksAlignment } from "./alignment";
import { isCodePage } from "./code-map";
import { DEVICE, NOWHERE, currentBank, peekExecute, translateRead, translateWrite } from "./translate";

/** Guest physical page of a linear address whose code a region may execute, or -1. Nothing is asked that the guest could notice. */
export function regionPageAt(linear: u64): i32 {
  if (mustStep(linear)) return -1;
  const physical = peekExecute(linear);
  // -1 is beyond RAM, too.
  return <u64>physical < <u64>load<u32>(CPU_STATE + RAM_BYTES) ? <i32>(physical >> 12) : -1;
}

/**
 * Whether the pages of a region that is entered at RIP_BASE are in place: `count` entries at `pages` (layout/memory-map.ts).
 * If so, its slot says so for this page and address space.
 */
export function validateRegion(pages: usize, count: i32, slot: usize): i32 {
  const base = load<u64>(CPU_STATE + RIP_BASE);
  const end = pages + <usize>count * REGION_PAGE_BYTES;
  for (let at = pages; at < end; at += REGION_PAGE_BYTES) {
    const linear = base + <u64>(<i64>load<i32>(at, REGION_PAGE_DELTA) * PAGE_BYTES);
    if (regionPageAt(linear) != load<i32>(at, REGION_PAGE_NUMBER)) return 0;
  }
  store<u64>(slot, base ^ load<u64>(CPU_STATE + MODE_KEY), LINK_TAG);
  return 1;
}

/**
 * A miss of the TLB in a region: host address of an access that lies on one page of RAM, which then is in the TLB. 0 where
 * there is more to it - a fault, a device, a page with decoded code, alignment checks, breakpoints -, with nothing set but
 * accessed and dirty flags: the interpreter executes the instruction again and meets that itself.
 */
export function fillForRegion(linear: u64, write: i32): usize {
  if (checksAlignment() || areBreakpointsEnabled()) return 0;
  const codeWrites = load<i64>(CPU_STATE + COUNT_CODE_WRITE);
  const host = write ? translateWrite(currentBank(), linear) : translateRead(currentBank(), linear);
  if (host == NOWHERE) {
    clearFault();
    return 0;
  }
  // An accessed flag may lie in decoded code.
  if (codeWrites != load<i64>(CPU_STATE + COUNT_CODE_WRITE)) return 0;
  if (host == DEVICE || (write && isCodePage(host))) return 0;
  return host;
}
