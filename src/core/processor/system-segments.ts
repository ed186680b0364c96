// LLDT, LTR and the instructions that ask about descriptors: LAR, LSL, VERR, VERW.
// SDM 2 and APM 3, under the instructions' names.
import { CPU_STATE } from "../../layout/memory-map";
import { SEG_LDTR, SEG_TR, STATUS_FAULT, STATUS_OK } from "../../layout/cpu-state";
import { faulted } from "../memory/linear-memory";
import { isCanonical } from "../memory/translate";
import {
  QUIETLY,
  fetchDescriptor,
  fetchUpperHalf,
  fetched,
  fetchedAt,
  fetchedHigh,
  raiseSelector,
  setTypeBits,
} from "./descriptor-tables";
import {
  ATTRIBUTE_P,
  ATTRIBUTE_S,
  TYPE_CALL_GATE,
  TYPE_CALL_GATE16,
  TYPE_LDT,
  TYPE_TASK_GATE,
  TYPE_TSS16_AVAILABLE,
  TYPE_TSS16_BUSY,
  TYPE_TSS_AVAILABLE,
  TYPE_TSS_BUSY,
  descriptorAttributes,
  descriptorBase,
  descriptorLimit,
  isNullSelector,
  isWritableData,
  systemTypeOf,
} from "./descriptors";
import { VECTOR_GP, VECTOR_NP, raiseGP, raiseUD } from "./faults";
import { currentPrivilege, isLongMode, isRealMode, isVirtual8086, updateEffectiveBases } from "./mode";
import { isReachable, isReadable } from "./segments";
import { setNullSegment, setSegment } from "./segment-cache";
import { LAR_MASK } from "./vendor";

/** What LAR, LSL, VERR and VERW return instead of an answer when a fault is set. */
const ANSWER_FAULT: i64 = -2;
const ANSWER_NO: i64 = -1;

/** Types of a system descriptor's upper half that must be 0: bits 12..8 of its second doubleword. */
const UPPER_TYPE: u64 = 0x1f0000000000;

export function lldt(selector: i32): i32 {
  selector &= 0xffff;
  const refusal = refuseSystemLoad();
  if (refusal != STATUS_OK) return refusal;
  if (isNullSelector(selector)) {
    setNullSegment(CPU_STATE + SEG_LDTR, selector, 0);
    return STATUS_OK;
  }
  if (selector & 4) return raiseSelector(VECTOR_GP, selector);
  if (!fetchDescriptor(selector, VECTOR_GP)) return STATUS_FAULT;
  const attributes = descriptorAttributes(fetched);
  if (attributes & ATTRIBUTE_S || systemTypeOf(attributes) != TYPE_LDT) return raiseSelector(VECTOR_GP, selector);
  return loadSystemSegment(CPU_STATE + SEG_LDTR, selector, attributes);
}

export function ltr(selector: i32): i32 {
  selector &= 0xffff;
  const refusal = refuseSystemLoad();
  if (refusal != STATUS_OK) return refusal;
  if (isNullSelector(selector)) return raiseGP(0);
  if (selector & 4) return raiseSelector(VECTOR_GP, selector);
  if (!fetchDescriptor(selector, VECTOR_GP)) return STATUS_FAULT;
  const attributes = descriptorAttributes(fetched);
  const type = systemTypeOf(attributes);
  const available = type == TYPE_TSS_AVAILABLE || (type == TYPE_TSS16_AVAILABLE && !isLongMode());
  if (attributes & ATTRIBUTE_S || !available) return raiseSelector(VECTOR_GP, selector);
  return loadSystemSegment(CPU_STATE + SEG_TR, selector, attributes);
}

function refuseSystemLoad(): i32 {
  if (isRealMode() || isVirtual8086()) return raiseUD();
  return currentPrivilege() == 0 ? STATUS_OK : raiseGP(0);
}

/** Loads LDTR or TR from the fetched descriptor, which has 16 bytes in long mode. A TSS becomes busy. */
function loadSystemSegment(at: usize, selector: i32, attributes: i32): i32 {
  if (!(attributes & ATTRIBUTE_P)) return raiseSelector(VECTOR_NP, selector);
  let base = descriptorBase(fetched);
  if (isLongMode()) {
    if (!fetchUpperHalf(selector, VECTOR_GP)) return STATUS_FAULT;
    base |= fetchedHigh << 32;
    if (fetchedHigh & UPPER_TYPE || !isCanonical(base)) return raiseSelector(VECTOR_GP, selector);
  }
  if (at == CPU_STATE + SEG_TR) {
    if (!setTypeBits(fetchedAt, 2)) return STATUS_FAULT;
    attributes |= 2;
  }
  setSegment(at, selector, base, descriptorLimit(fetched), attributes);
  updateEffectiveBases();
  return STATUS_OK;
}

/** Access rights as LAR returns them in 32 bits; -1 for ZF = 0, -2 with a fault set. */
export function lar(selector: i32): i64 {
  const attributes = ask(selector);
  if (attributes < 0) return attributes;
  if (!(attributes & ATTRIBUTE_S)) {
    const type = systemTypeOf(<i32>attributes);
    const gate = type == TYPE_CALL_GATE || (!isLongMode() && (type == TYPE_CALL_GATE16 || type == TYPE_TASK_GATE));
    if (!gate && !hasLimit(type)) return ANSWER_NO;
    if (!hasPlainUpperHalf(selector)) return faulted() ? ANSWER_FAULT : ANSWER_NO;
  }
  return <i64>((fetched >> 32) & LAR_MASK);
}

/** Limit in bytes; -1 for ZF = 0, -2 with a fault set. */
export function lsl(selector: i32): i64 {
  const attributes = ask(selector);
  if (attributes < 0) return attributes;
  if (!(attributes & ATTRIBUTE_S)) {
    if (!hasLimit(systemTypeOf(<i32>attributes))) return ANSWER_NO;
    if (!hasPlainUpperHalf(selector)) return faulted() ? ANSWER_FAULT : ANSWER_NO;
  }
  return <i64>descriptorLimit(fetched);
}

/** 1: readable at the current privilege level; 0: not; -2 with a fault set. */
export function verr(selector: i32): i32 {
  const attributes = ask(selector);
  if (attributes < 0) return attributes == ANSWER_NO ? 0 : <i32>ANSWER_FAULT;
  return isReadable(<i32>attributes) ? 1 : 0;
}

/** 1: writable at the current privilege level; 0: not; -2 with a fault set. */
export function verw(selector: i32): i32 {
  const attributes = ask(selector);
  if (attributes < 0) return attributes == ANSWER_NO ? 0 : <i32>ANSWER_FAULT;
  return isWritableData(<i32>attributes) ? 1 : 0;
}

/** Attributes of a descriptor that the privilege level may ask about, fetched; -1 or -2. */
function ask(selector: i32): i64 {
  selector &= 0xffff;
  if (isRealMode() || isVirtual8086()) {
    raiseUD();
    return ANSWER_FAULT;
  }
  if (isNullSelector(selector)) return ANSWER_NO;
  if (!fetchDescriptor(selector, QUIETLY)) return faulted() ? ANSWER_FAULT : ANSWER_NO;
  const attributes = descriptorAttributes(fetched);
  return isReachable(attributes, selector) ? <i64>attributes : ANSWER_NO;
}

/** In long mode, whether the second half of the fetched system descriptor has type 0. */
function hasPlainUpperHalf(selector: i32): bool {
  if (!isLongMode()) return true;
  return fetchUpperHalf(selector, QUIETLY) && !(fetchedHigh & UPPER_TYPE);
}

/** Whether a system descriptor of a type has a limit: LDT and TSS. */
function hasLimit(type: i32): bool {
  if (type == TYPE_LDT || type == TYPE_TSS_AVAILABLE || type == TYPE_TSS_BUSY) return true;
  return !isLongMode() && (type == TYPE_TSS16_AVAILABLE || type == TYPE_TSS16_BUSY);
}
