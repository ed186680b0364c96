// Where a far transfer goes: the code segment it names, and what RIP may be there.
import { CPU_STATE } from "../../layout/memory-map";
import { CPL, RIP, SEGMENT_LIMIT, SEG_CS, STATUS_FAULT, STATUS_JUMP, STATUS_OK } from "../../layout/cpu-state";
import { isCanonical } from "../memory/translate";
import { fetchDescriptor, fetched, fetchedAt, markDescriptorAccessed, raiseSelector } from "./descriptor-tables";
import {
  ATTRIBUTE_ACCESSED,
  ATTRIBUTE_DB,
  ATTRIBUTE_L,
  ATTRIBUTE_P,
  descriptorAttributes,
  descriptorLimit,
  isCodeSegment,
  isConformingCode,
  isNullSelector,
  privilegeOf,
} from "./descriptors";
import { VECTOR_GP, VECTOR_NP, raiseGP } from "./faults";
import { isLongMode, updateMode, updatePrivilege } from "./mode";
import { setRealSegment, setSegmentFrom } from "./segment-cache";

/** The code segment of a transfer under way. */
export let targetDescriptor: u64 = 0;
export let targetAttributes: i32 = 0;
let targetAt: u64 = 0;

/** What of an offset an operand size keeps. */
// @ts-ignore: decorator
@inline
export function operandMask(bits: i32): u64 {
  return bits == 64 ? ~0 : bits == 32 ? 0xffffffff : 0xffff;
}

/** Fetches the descriptor of a code segment: not null, and code. Its privilege is the caller's to check. */
export function fetchTarget(selector: i32): i32 {
  if (isNullSelector(selector)) return raiseGP(0);
  if (!fetchDescriptor(selector, VECTOR_GP)) return STATUS_FAULT;
  return takeTarget(selector);
}

/** As `fetchTarget`, with a descriptor that was fetched. */
export function takeTarget(selector: i32): i32 {
  targetDescriptor = fetched;
  targetAt = fetchedAt;
  targetAttributes = descriptorAttributes(fetched);
  return isCodeSegment(targetAttributes) ? STATUS_OK : raiseSelector(VECTOR_GP, selector);
}

/** A transfer that stays at privilege `cpl`: conforming code of the same or an inner level, other code of the same level. */
export function isDirectTarget(selector: i32, cpl: i32): bool {
  if (isConformingCode(targetAttributes)) return privilegeOf(targetAttributes) <= cpl;
  return (selector & 3) <= cpl && privilegeOf(targetAttributes) == cpl;
}

/** Present, of a possible size, and the offset inside of it. Marks the descriptor accessed. */
export function checkTarget(selector: i32, offset: u64): i32 {
  if (!(targetAttributes & ATTRIBUTE_P)) return raiseSelector(VECTOR_NP, selector);
  if (isLongMode() && targetAttributes & ATTRIBUTE_L) {
    if (targetAttributes & ATTRIBUTE_DB) return raiseSelector(VECTOR_GP, selector);
    if (!isCanonical(offset)) return raiseGP(0);
  } else if (offset > <u64>descriptorLimit(targetDescriptor)) return raiseGP(0);
  return markDescriptorAccessed(targetDescriptor, targetAt) ? STATUS_OK : STATUS_FAULT;
}

/** Continues in the target at a privilege level. */
export function enterTarget(selector: i32, cpl: i32, offset: u64): i32 {
  const descriptor = targetDescriptor | (<u64>ATTRIBUTE_ACCESSED << 40);
  setSegmentFrom(CPU_STATE + SEG_CS, (selector & 0xfffc) | cpl, descriptor);
  store<i32>(CPU_STATE + CPL, cpl);
  store<u64>(CPU_STATE + RIP, offset);
  updatePrivilege();
  return STATUS_JUMP;
}

/** Real mode and virtual-8086 mode: whether RIP may be there. */
export function checkRealTarget(offset: u64): i32 {
  return offset > <u64>load<u32>(CPU_STATE + SEG_CS + SEGMENT_LIMIT) ? raiseGP(0) : STATUS_OK;
}

export function enterRealTarget(selector: i32, offset: u64): i32 {
  setRealSegment(CPU_STATE + SEG_CS, selector);
  store<u64>(CPU_STATE + RIP, offset);
  updateMode();
  return STATUS_JUMP;
}
