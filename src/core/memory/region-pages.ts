// Regions of the translator that lie on several pages: whether those are where they were when the region was made.
import { CPU_STATE, LINK_TAG, PAGE_BYTES, REGION_PAGE_BYTES, REGION_PAGE_DELTA, REGION_PAGE_NUMBER } from "../../layout/memory-map";
import { MODE_KEY, RAM_BYTES, RIP_BASE } from "../../layout/cpu-state";
import { mustStep } from "../processor/code-limit";
import { peekExecute } from "./translate";

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
