// The segment registers' hidden parts. SDM 3A "Segment Registers".
import { CPU_STATE } from "../../layout/memory-map";
import {
  SEGMENTS,
  SEGMENT_ATTRIBUTES,
  SEGMENT_BASE,
  SEGMENT_BYTES,
  SEGMENT_EFFECTIVE_BASE,
  SEGMENT_LIMIT,
  SEGMENT_SELECTOR,
} from "../../layout/cpu-state";
import {
  ATTRIBUTE_NULL,
  descriptorAttributes,
  descriptorBase,
  descriptorLimit,
} from "./descriptors";
import { is64Bit, isVirtual8086 } from "./mode";

// Indexes in encoding order.
export const ES: i32 = 0;
export const CS: i32 = 1;
export const SS: i32 = 2;
export const DS: i32 = 3;
export const FS: i32 = 4;
export const GS: i32 = 5;

/** Present, writable, accessed data of privilege 0: what a load in real mode makes of the access rights. */
const REAL_MODE_ATTRIBUTES: i32 = 0x93;
/** The bits of the attributes that a load in real mode leaves alone: G, D/B, L, AVL. */
const KEPT_IN_REAL_MODE: i32 = 0xf000;
const VIRTUAL_8086_ATTRIBUTES: i32 = 0xf3;

/** Address of a segment register in the state. */
// @ts-ignore: decorator
@inline
export function segmentAt(index: i32): usize {
  return <usize>index * SEGMENT_BYTES + (CPU_STATE + SEGMENTS);
}

// @ts-ignore: decorator
@inline
export function selectorOf(index: i32): i32 {
  return load<u16>(segmentAt(index), SEGMENT_SELECTOR);
}

/** Fills a segment register. The caller brings effective bases and modes up to date. */
export function setSegment(at: usize, selector: i32, base: u64, limit: u32, attributes: i32): void {
  store<u64>(at, base, SEGMENT_BASE);
  store<u32>(at, limit, SEGMENT_LIMIT);
  store<i32>(at, attributes, SEGMENT_ATTRIBUTES);
  store<u16>(at, <u16>selector, SEGMENT_SELECTOR);
}

/** Fills a segment register from a descriptor. */
export function setSegmentFrom(at: usize, selector: i32, descriptor: u64): void {
  setSegment(at, selector, descriptorBase(descriptor), descriptorLimit(descriptor), descriptorAttributes(descriptor));
}

/** A null selector; `privilege` is the DPL that the stack segment then counts as. */
export function setNullSegment(at: usize, selector: i32, privilege: i32): void {
  setSegment(at, selector, 0, 0, ATTRIBUTE_NULL | (privilege << 5));
}

/** Real mode and virtual-8086 mode: the base follows from the selector. In real mode the limit stays. */
export function setRealSegment(at: usize, selector: i32): void {
  const base = <u64>selector << 4;
  if (isVirtual8086()) {
    setSegment(at, selector, base, 0xffff, VIRTUAL_8086_ATTRIBUTES);
  } else {
    const kept = load<i32>(at, SEGMENT_ATTRIBUTES) & KEPT_IN_REAL_MODE;
    setSegment(at, selector, base, load<u32>(at, SEGMENT_LIMIT), kept | REAL_MODE_ATTRIBUTES);
  }
}

/** After a load of a data segment register. */
export function refreshEffectiveBase(index: i32): void {
  const at = segmentAt(index);
  const base = is64Bit() && index < FS ? 0 : load<u64>(at, SEGMENT_BASE);
  store<u64>(at, base, SEGMENT_EFFECTIVE_BASE);
}
