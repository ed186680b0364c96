// Linear addresses of string elements, and how many of them lie together on a page.
import { CPU_STATE, PAGE_BYTES } from "../../layout/memory-map";
import {
  CODE_BITS,
  SEGMENTS,
  SEGMENT_ATTRIBUTES,
  SEGMENT_BYTES,
  SEGMENT_EFFECTIVE_BASE,
  SEGMENT_LIMIT,
} from "../../layout/cpu-state";
import { ATTRIBUTE_CODE, ATTRIBUTE_EXPAND_DOWN } from "../processor/descriptors";
import { checksAlignment, isAligned } from "../memory/alignment";
import { faulted } from "../processor/faults";
import { segmentAddress } from "../processor/segments";

export const SEGMENT_ES: i32 = 0;

/** The linear address of an element; a violated limit, right or alignment is a fault, which `faulted` tells. */
// @ts-ignore: decorator
@inline
export function elementAddress(segment: i32, offset: u64, bytes: i32, write: bool): u64 {
  if (load<i32>(CPU_STATE + CODE_BITS) == 64) {
    const va = offset + load<u64>(segmentSlot(segment), SEGMENT_EFFECTIVE_BASE);
    if (checksAlignment()) isAligned(va, bytes);
    return va;
  }
  const va = segmentAddress(segment, offset, bytes, write);
  if (checksAlignment() && !faulted()) isAligned(va, bytes);
  return va;
}

/**
 * How many of `wanted` elements from this one on lie on its page, within its
 * segment and without a wrap of the offset; 0 when the first lies on two pages.
 * The first element has passed `elementAddress`.
 */
export function runLength(segment: i32, offset: u64, va: u64, bytes: i32, backward: bool, mask: u64, wanted: u64): u64 {
  const inPage = <u64>(va & (PAGE_BYTES - 1));
  if (inPage + bytes > <u64>PAGE_BYTES) return 0;
  let room: u64;
  if (backward) {
    // Down to the page's start; the offset must not wrap below 0.
    room = min(inPage, offset) + bytes;
  } else {
    room = PAGE_BYTES - inPage;
    if (mask != ~0) room = min(room, mask - offset + 1);
  }
  if (load<i32>(CPU_STATE + CODE_BITS) != 64) room = min(room, roomInSegment(segment, offset, bytes, backward));
  return min(wanted, room / bytes);
}

/** Bytes from the offset on to the segment's limit, or at least one element. */
function roomInSegment(segment: i32, offset: u64, bytes: i32, backward: bool): u64 {
  const slot = segmentSlot(segment);
  const type = load<i32>(slot, SEGMENT_ATTRIBUTES) & (ATTRIBUTE_CODE | ATTRIBUTE_EXPAND_DOWN);
  // Offsets of an expand-down segment lie above its limit: rare enough to go one by one.
  if (type == ATTRIBUTE_EXPAND_DOWN) return bytes;
  if (backward) return ~0;
  const limit: u64 = load<u32>(slot, SEGMENT_LIMIT);
  return limit - offset + 1;
}

// @ts-ignore: decorator
@inline
function segmentSlot(segment: i32): usize {
  return CPU_STATE + SEGMENTS + segment * SEGMENT_BYTES;
}
