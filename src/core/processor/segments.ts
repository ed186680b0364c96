// Loads of data segment registers and what addresses in segments are checked for.
// SDM 3A "Privilege Level Checking When Accessing Data Segments", SDM 2 "MOV—Move", "Limit Checking", "Type Checking".
import { CPU_STATE } from "../../layout/memory-map";
import {
  SEGMENT_ATTRIBUTES,
  SEGMENT_BASE,
  SEGMENT_LIMIT,
  STACK_BITS,
  STATUS_FAULT,
  STATUS_OK,
} from "../../layout/cpu-state";
import { fetchDescriptor, fetched, fetchedAt, markDescriptorAccessed, raiseSelector } from "./descriptor-tables";
import {
  ATTRIBUTE_ACCESSED,
  ATTRIBUTE_CODE,
  ATTRIBUTE_DB,
  ATTRIBUTE_NULL,
  ATTRIBUTE_P,
  ATTRIBUTE_READABLE,
  ATTRIBUTE_S,
  ATTRIBUTE_WRITABLE,
  descriptorAttributes,
  isConformingCode,
  isInsideLimit,
  isNullSelector,
  isWritableData,
  privilegeOf,
} from "./descriptors";
import { VECTOR_GP, VECTOR_NP, VECTOR_SS, raiseGP, raiseWithCode } from "./faults";
import { currentPrivilege, is64Bit, isRealMode, isVirtual8086 } from "./mode";
import { SS, refreshEffectiveBase, segmentAt, setNullSegment, setRealSegment, setSegmentFrom } from "./segment-cache";
import { NULL_SELECTOR_CLEARS_BASE } from "./vendor";

/** What `segmentAddress` returns with the fault set. */
export const NO_ADDRESS: u64 = ~0;

/** Loads ES, SS, DS, FS or GS. The interrupt shadow of a load of SS is the caller's. */
export function loadSegment(index: i32, selector: i32): i32 {
  selector &= 0xffff;
  if (isRealMode() || isVirtual8086()) {
    setRealSegment(segmentAt(index), selector);
  } else {
    const status = index == SS ? loadStackSegment(selector) : loadDataSegment(index, selector);
    if (status != STATUS_OK) return status;
  }
  refreshEffectiveBase(index);
  if (index == SS) refreshStackBits();
  return STATUS_OK;
}

function loadStackSegment(selector: i32): i32 {
  const cpl = currentPrivilege();
  const at = segmentAt(SS);
  if (isNullSelector(selector)) {
    if (!is64Bit() || cpl == 3 || (selector & 3) != cpl) return raiseGP(0);
    setNullSegment(at, selector, cpl);
    return STATUS_OK;
  }
  if (!fetchStackSegment(selector, cpl, VECTOR_GP)) return STATUS_FAULT;
  setSegmentFrom(at, selector, fetched | (<u64>ATTRIBUTE_ACCESSED << 40));
  return STATUS_OK;
}

/**
 * Fetches a descriptor that shall become the stack segment at privilege `cpl`, checks it and marks it accessed.
 * Returns false with a fault set; `vector` is what a wrong descriptor raises.
 */
export function fetchStackSegment(selector: i32, cpl: i32, vector: i32): bool {
  if (!fetchDescriptor(selector, vector)) return false;
  const attributes = descriptorAttributes(fetched);
  if ((selector & 3) != cpl || privilegeOf(attributes) != cpl || !isWritableData(attributes)) {
    raiseSelector(vector, selector);
    return false;
  }
  if (!(attributes & ATTRIBUTE_P)) {
    raiseSelector(VECTOR_SS, selector);
    return false;
  }
  return markDescriptorAccessed(fetched, fetchedAt);
}

function loadDataSegment(index: i32, selector: i32): i32 {
  const at = segmentAt(index);
  if (isNullSelector(selector)) {
    const base = load<u64>(at, SEGMENT_BASE);
    setNullSegment(at, selector, 0);
    if (!NULL_SELECTOR_CLEARS_BASE) store<u64>(at, base, SEGMENT_BASE);
    return STATUS_OK;
  }
  if (!fetchDescriptor(selector, VECTOR_GP)) return STATUS_FAULT;
  const attributes = descriptorAttributes(fetched);
  if (!isReadable(attributes) || !isReachable(attributes, selector)) return raiseSelector(VECTOR_GP, selector);
  if (!(attributes & ATTRIBUTE_P)) return raiseSelector(VECTOR_NP, selector);
  if (!markDescriptorAccessed(fetched, fetchedAt)) return STATUS_FAULT;
  setSegmentFrom(at, selector, fetched | (<u64>ATTRIBUTE_ACCESSED << 40));
  return STATUS_OK;
}

/** A data segment, or a code segment that may be read. */
export function isReadable(attributes: i32): bool {
  if (!(attributes & ATTRIBUTE_S)) return false;
  return !(attributes & ATTRIBUTE_CODE) || (attributes & ATTRIBUTE_READABLE) != 0;
}

/** Whether CPL and RPL suffice; conforming code segments are for all. */
export function isReachable(attributes: i32, selector: i32): bool {
  return isConformingCode(attributes) || max(currentPrivilege(), selector & 3) <= privilegeOf(attributes);
}

/** After a change of SS alone. */
export function refreshStackBits(): void {
  if (is64Bit()) return;
  store<i32>(CPU_STATE + STACK_BITS, load<i32>(segmentAt(SS), SEGMENT_ATTRIBUTES) & ATTRIBUTE_DB ? 32 : 16);
}

/**
 * Linear address of `bytes` bytes in a segment, outside of 64-bit code. Checks limit and type;
 * returns NO_ADDRESS with #GP(0), or #SS(0) for the stack segment.
 */
export function segmentAddress(segmentIndex: i32, offset: u64, bytes: i32, write: i32): u64 {
  const at = segmentAt(segmentIndex);
  if (is64Bit()) return load<u64>(at, SEGMENT_BASE) + offset;
  const attributes = load<i32>(at, SEGMENT_ATTRIBUTES);
  if (!isUsable(attributes, write) || !isInsideLimit(attributes, load<u32>(at, SEGMENT_LIMIT), offset, bytes)) {
    raiseWithCode(segmentIndex == SS ? VECTOR_SS : VECTOR_GP, 0);
    return NO_ADDRESS;
  }
  return (load<u64>(at, SEGMENT_BASE) + offset) & 0xffffffff;
}

/** Whether the type allows the access. In real mode even a code segment is written. */
function isUsable(attributes: i32, write: i32): bool {
  if (attributes & ATTRIBUTE_NULL) return false;
  if (isRealMode()) return true;
  if (write) return (attributes & (ATTRIBUTE_CODE | ATTRIBUTE_WRITABLE)) == ATTRIBUTE_WRITABLE;
  return (attributes & (ATTRIBUTE_CODE | ATTRIBUTE_READABLE)) != ATTRIBUTE_CODE;
}
