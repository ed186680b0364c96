// Far RET, and what it shares with IRET: the check of the place returned to.
// SDM 2 "RET—Return From Procedure".
import { CPU_STATE } from "../../layout/memory-map";
import {
  SEGMENT_ATTRIBUTES,
  SEGMENT_SELECTOR,
  SEG_SS,
  STATUS_FAULT,
  STATUS_OK,
} from "../../layout/cpu-state";
import { faulted } from "../memory/linear-memory";
import {
  checkRealTarget,
  checkTarget,
  enterRealTarget,
  enterTarget,
  fetchTarget,
  targetAttributes,
} from "./code-target";
import { fetched, raiseSelector } from "./descriptor-tables";
import {
  ATTRIBUTE_ACCESSED,
  ATTRIBUTE_L,
  ATTRIBUTE_NULL,
  isConformingCode,
  isNullSelector,
  privilegeOf,
} from "./descriptors";
import { VECTOR_GP, raiseGP } from "./faults";
import { currentPrivilege, isLongMode, isRealMode, isVirtual8086 } from "./mode";
import { DS, ES, FS, GS, segmentAt, setNullSegment, setSegmentFrom } from "./segment-cache";
import { fetchStackSegment } from "./segments";
import { peek, setStackPointer, stackPointer } from "./stack";

/**
 * RETF: `popBytes` parameters are released, on both stacks when the privilege changes.
 *
 * Each selector is read before the offset below it, and those of another privilege level's stack before anything is
 * checked: so AMD's processors do, which shows where a page of the frame is absent.
 */
export function farReturn(operandBits: i32, popBytes: i32): i32 {
  const bytes = operandBits >> 3;
  const selector = <i32>peek(bytes, operandBits) & 0xffff;
  if (faulted()) return STATUS_FAULT;
  const offset = peek(0, operandBits);
  if (faulted()) return STATUS_FAULT;
  if (isRealMode() || isVirtual8086()) {
    const status = checkRealTarget(offset);
    if (status != STATUS_OK) return status;
    setStackPointer(stackPointer() + <u64>(2 * bytes + popBytes));
    return enterRealTarget(selector, offset);
  }

  const newCpl = selector & 3;
  if (newCpl == currentPrivilege()) {
    const refusal = checkReturnTarget(selector, offset);
    if (refusal != STATUS_OK) return refusal;
    setStackPointer(stackPointer() + <u64>(2 * bytes + popBytes));
    return enterTarget(selector, newCpl, offset);
  }
  const stackSelector = <i32>peek(3 * bytes + popBytes, operandBits) & 0xffff;
  if (faulted()) return STATUS_FAULT;
  const newPointer = peek(2 * bytes + popBytes, operandBits);
  if (faulted()) return STATUS_FAULT;
  let status = checkReturnTarget(selector, offset);
  if (status != STATUS_OK) return status;
  status = checkReturnStack(stackSelector, newCpl);
  if (status != STATUS_OK) return status;
  enterReturnStack(stackSelector, newCpl);
  const result = enterTarget(selector, newCpl, offset);
  setStackPointer(newPointer + <u64>popBytes);
  dropInnerSegments(newCpl);
  return result;
}

/** The code segment of a return: of RPL's privilege, which is not an inner one. */
export function checkReturnTarget(selector: i32, offset: u64): i32 {
  const status = fetchTarget(selector);
  if (status != STATUS_OK) return status;
  const rpl = selector & 3;
  const dpl = privilegeOf(targetAttributes);
  const allowed = isConformingCode(targetAttributes) ? dpl <= rpl : dpl == rpl;
  if (rpl < currentPrivilege() || !allowed) return raiseSelector(VECTOR_GP, selector);
  return checkTarget(selector, offset);
}

let returnStackDescriptor: u64 = 0;

/** The stack segment of a return. It may be null in 64-bit code of the inner levels. Needs `checkReturnTarget` before. */
export function checkReturnStack(selector: i32, newCpl: i32): i32 {
  if (isNullSelector(selector)) {
    const to64Bit = isLongMode() && (targetAttributes & ATTRIBUTE_L) != 0;
    return to64Bit && newCpl != 3 && (selector & 3) == newCpl ? STATUS_OK : raiseGP(0);
  }
  if (!fetchStackSegment(selector, newCpl, VECTOR_GP)) return STATUS_FAULT;
  returnStackDescriptor = fetched | (<u64>ATTRIBUTE_ACCESSED << 40);
  return STATUS_OK;
}

/** Loads the stack segment that `checkReturnStack` accepted. */
export function enterReturnStack(selector: i32, newCpl: i32): void {
  if (isNullSelector(selector)) setNullSegment(CPU_STATE + SEG_SS, selector, newCpl);
  else setSegmentFrom(CPU_STATE + SEG_SS, selector, returnStackDescriptor);
}

/** After a return to an outer level: data segment registers that it could not have loaded become null. */
export function dropInnerSegments(newCpl: i32): void {
  dropInnerSegment(segmentAt(ES), newCpl);
  dropInnerSegment(segmentAt(DS), newCpl);
  dropInnerSegment(segmentAt(FS), newCpl);
  dropInnerSegment(segmentAt(GS), newCpl);
}

/** The base stays: in 64-bit mode FS and GS have theirs whatever the selector. */
function dropInnerSegment(at: usize, newCpl: i32): void {
  const attributes = load<i32>(at, SEGMENT_ATTRIBUTES);
  if (attributes & ATTRIBUTE_NULL || isConformingCode(attributes) || privilegeOf(attributes) >= newCpl) return;
  store<i32>(at, ATTRIBUTE_NULL, SEGMENT_ATTRIBUTES);
  store<u16>(at, 0, SEGMENT_SELECTOR);
}
