// Descriptors in the GDT and LDT. SDM 3A "Segment Descriptor Tables".
import { CPU_STATE } from "../../layout/memory-map";
import {
  GDTR_BASE,
  GDTR_LIMIT,
  SEGMENT_ATTRIBUTES,
  SEGMENT_BASE,
  SEGMENT_LIMIT,
  SEG_LDTR,
} from "../../layout/cpu-state";
import { faulted, readSystem64, readSystem8, writeSystem8 } from "../memory/linear-memory";
import { ATTRIBUTE_ACCESSED, ATTRIBUTE_NULL } from "./descriptors";
import { raiseWithCode } from "./faults";

/** What an outside descriptor raises in `fetchDescriptor`: nothing. */
export const QUIETLY: i32 = -1;

/** The last descriptor fetched, its linear address, and the upper half of a 16-byte one. */
export let fetched: u64 = 0;
export let fetchedAt: u64 = 0;
export let fetchedHigh: u64 = 0;

/** EXT of error codes: 1 while an event from outside of the program is delivered. SDM 3A "Error Code". */
export let externalBit: i32 = 0;

export function setExternalBit(bit: i32): void {
  externalBit = bit;
}

/** Error code that names a selector. */
export function selectorError(selector: i32): i32 {
  return (selector & 0xfffc) | externalBit;
}

/** Raises a fault whose error code names a selector. */
export function raiseSelector(vector: i32, selector: i32): i32 {
  return raiseWithCode(vector, selectorError(selector));
}

/**
 * Fetches the descriptor of a selector that is not null into `fetched`. Returns false with a fault set:
 * `vector` for a selector outside of its table (unless QUIETLY), or the page fault of the fetch.
 */
export function fetchDescriptor(selector: i32, vector: i32): bool {
  const at = locate(selector, 7);
  if (at == OUTSIDE) {
    if (vector != QUIETLY) raiseSelector(vector, selector);
    return false;
  }
  fetchedAt = at;
  fetched = readSystem64(at);
  return !faulted();
}

/** Fetches the upper half of a 16-byte system descriptor whose lower half was fetched. */
export function fetchUpperHalf(selector: i32, vector: i32): bool {
  if (locate(selector, 15) == OUTSIDE) {
    if (vector != QUIETLY) raiseSelector(vector, selector);
    return false;
  }
  fetchedHigh = readSystem64(fetchedAt + 8);
  return !faulted();
}

const OUTSIDE: u64 = ~0;

/** Linear address of a descriptor whose last byte is `last` bytes behind its first. */
function locate(selector: i32, last: u32): u64 {
  let base: u64;
  let limit: u32;
  if (selector & 4) {
    if (load<i32>(CPU_STATE + SEG_LDTR + SEGMENT_ATTRIBUTES) & ATTRIBUTE_NULL) return OUTSIDE;
    base = load<u64>(CPU_STATE + SEG_LDTR + SEGMENT_BASE);
    limit = load<u32>(CPU_STATE + SEG_LDTR + SEGMENT_LIMIT);
  } else {
    base = load<u64>(CPU_STATE + GDTR_BASE);
    limit = load<u32>(CPU_STATE + GDTR_LIMIT);
  }
  const offset = <u32>selector & 0xfff8;
  return offset + last > limit ? OUTSIDE : base + offset;
}

/** Sets the accessed bit of a descriptor that was fetched. Returns false with the fault set. */
export function markDescriptorAccessed(descriptor: u64, at: u64): bool {
  return descriptor & (<u64>ATTRIBUTE_ACCESSED << 40) ? true : setTypeBits(at, ATTRIBUTE_ACCESSED);
}

/** Sets bits of a descriptor's type in its table. Returns false with the fault set. */
export function setTypeBits(at: u64, bits: i32): bool {
  const typeByte = readSystem8(at + 5);
  if (faulted()) return false;
  writeSystem8(at + 5, typeByte | bits);
  return !faulted();
}
