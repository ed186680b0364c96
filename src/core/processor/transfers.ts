// Far JMP and CALL. SDM 2 "JMP—Jump", "CALL—Call Procedure". RIP is the next instruction's.
import { CPU_STATE } from "../../layout/memory-map";
import {
  RIP,
  RSP,
  SEGMENT_ATTRIBUTES,
  SEGMENT_BASE,
  SEGMENT_LIMIT,
  SEG_SS,
  STACK_BITS,
  STATUS_FAULT,
  STATUS_OK,
} from "../../layout/cpu-state";
import { faulted } from "../memory/linear-memory";
import { gateBits, gateOffset, gateParameters, gateSelector, isCallGate, openCallGate } from "./call-gates";
import {
  checkRealTarget,
  checkTarget,
  enterRealTarget,
  enterTarget,
  isDirectTarget,
  operandMask,
  takeTarget,
  targetAttributes,
} from "./code-target";
import { commitInnerStack, enterInnerStack } from "./delivery-legacy";
import { fetchDescriptor, fetched, raiseSelector } from "./descriptor-tables";
import {
  ATTRIBUTE_S,
  TYPE_TASK_GATE,
  TYPE_TSS16_AVAILABLE,
  descriptorAttributes,
  isConformingCode,
  isInsideLimit,
  isNullSelector,
  privilegeOf,
  systemTypeOf,
} from "./descriptors";
import { VECTOR_GP, VECTOR_SS, raiseGP, raiseWithCode } from "./faults";
import { bankOf, currentPrivilege, isRealMode, isVirtual8086 } from "./mode";
import { CS, SS, selectorOf, setNullSegment } from "./segment-cache";
import { peek, setStackPointer, stackMask, stackPointer } from "./stack";
import { framePush, framePush64, openFrame } from "./stack-frame";
import { transferToTask } from "./task-gates";
import { TSS64_RSP0, readTss64 } from "./task-state";

export function farJump(selector: i32, offset: u64, operandBits: i32): i32 {
  selector &= 0xffff;
  offset &= operandMask(operandBits);
  if (isRealMode() || isVirtual8086()) {
    const status = checkRealTarget(offset);
    return status == STATUS_OK ? enterRealTarget(selector, offset) : status;
  }
  let status = resolve(selector, false);
  if (status != STATUS_OK) return status;
  if (throughGate) {
    selector = gateSelector;
    offset = gateOffset;
    // A jump changes no privilege: the gate leads to conforming code or code of the same level.
    if (!isConformingCode(targetAttributes) && privilegeOf(targetAttributes) != currentPrivilege()) {
      return raiseSelector(VECTOR_GP, selector);
    }
  }
  status = checkTarget(selector, offset);
  return status == STATUS_OK ? enterTarget(selector, currentPrivilege(), offset) : status;
}

export function farCall(selector: i32, offset: u64, operandBits: i32): i32 {
  selector &= 0xffff;
  offset &= operandMask(operandBits);
  if (isRealMode() || isVirtual8086()) {
    let status = checkRealTarget(offset);
    if (status == STATUS_OK) status = pushReturnAddress(operandBits);
    return status == STATUS_OK ? enterRealTarget(selector, offset) : status;
  }
  let status = resolve(selector, true);
  if (status != STATUS_OK) return status;
  if (throughGate) return callThroughGate();
  status = checkTarget(selector, offset);
  if (status == STATUS_OK) status = pushReturnAddress(operandBits);
  return status == STATUS_OK ? enterTarget(selector, currentPrivilege(), offset) : status;
}

let throughGate: bool = false;

/** Finds the code segment that a selector leads to: at once, or through a call gate. A selector that leads to a task switches to it. */
function resolve(selector: i32, isCall: bool): i32 {
  throughGate = false;
  if (isNullSelector(selector)) return raiseGP(0);
  if (!fetchDescriptor(selector, VECTOR_GP)) return STATUS_FAULT;
  if (descriptorAttributes(fetched) & ATTRIBUTE_S) {
    const status = takeTarget(selector);
    if (status != STATUS_OK) return status;
    return isDirectTarget(selector, currentPrivilege()) ? STATUS_OK : raiseSelector(VECTOR_GP, selector);
  }
  if (isTask()) return transferToTask(selector, isCall);
  if (!isCallGate()) return raiseSelector(VECTOR_GP, selector);
  throughGate = true;
  return openCallGate(selector);
}

/** Whether the fetched system descriptor is a TSS or a task gate. */
function isTask(): bool {
  const type = systemTypeOf(descriptorAttributes(fetched));
  return type == TYPE_TASK_GATE || (type & 5) == TYPE_TSS16_AVAILABLE;
}

function callThroughGate(): i32 {
  let status = checkTarget(gateSelector, gateOffset);
  if (status != STATUS_OK) return status;
  const cpl = currentPrivilege();
  const newCpl = isConformingCode(targetAttributes) ? cpl : privilegeOf(targetAttributes);
  if (newCpl == cpl) status = pushReturnAddress(gateBits);
  else status = gateBits == 64 ? pushInner64(newCpl) : pushInner(newCpl);
  return status == STATUS_OK ? enterTarget(gateSelector, newCpl, gateOffset) : status;
}

/** CS and RIP on the present stack. */
function pushReturnAddress(bits: i32): i32 {
  const bytes = bits >> 2;
  const stackBits = load<i32>(CPU_STATE + STACK_BITS);
  const pointer = (load<u64>(CPU_STATE + RSP) - <u64>bytes) & stackMask(stackBits);
  let lowest = pointer;
  if (stackBits != 64) {
    const attributes = load<i32>(CPU_STATE + SEG_SS + SEGMENT_ATTRIBUTES);
    if (!isInsideLimit(attributes, load<u32>(CPU_STATE + SEG_SS + SEGMENT_LIMIT), pointer, bytes)) {
      return raiseWithCode(VECTOR_SS, 0);
    }
    lowest = (load<u64>(CPU_STATE + SEG_SS + SEGMENT_BASE) + pointer) & 0xffffffff;
  }
  if (!openFrame(bankOf(currentPrivilege()), lowest, bytes, bits >> 3)) return STATUS_FAULT;
  framePush(selectorOf(CS), bits);
  framePush(load<u64>(CPU_STATE + RIP), bits);
  setStackPointer(pointer);
  return STATUS_OK;
}

/** Long mode: the inner stack gets SS, RSP, CS and RIP; SS becomes null. */
function pushInner64(newCpl: i32): i32 {
  const top = readTss64(TSS64_RSP0 + newCpl * 8);
  if (faulted()) return STATUS_FAULT;
  if (!openFrame(bankOf(newCpl), top - 32, 32, 8)) return STATUS_FAULT;
  framePush64(selectorOf(SS));
  framePush64(load<u64>(CPU_STATE + RSP));
  framePush64(selectorOf(CS));
  framePush64(load<u64>(CPU_STATE + RIP));
  store<u64>(CPU_STATE + RSP, top - 32);
  setNullSegment(CPU_STATE + SEG_SS, newCpl, newCpl);
  return STATUS_OK;
}

/** Parameters on their way from the outer to the inner stack; a gate copies 31 at most. */
const parameters: usize = memory.data(128);

/** Protected mode: the inner stack gets SS, ESP, the parameters, CS and EIP. */
function pushInner(newCpl: i32): i32 {
  const bytes = gateBits >> 3;
  for (let index: i32 = 0; index < gateParameters; index++) {
    store<u32>(parameters + <usize>index * 4, <u32>peek(index * bytes, gateBits));
    if (faulted()) return STATUS_FAULT;
  }
  const oldSelector = selectorOf(SS);
  const oldPointer = stackPointer();
  const status = enterInnerStack(newCpl, (4 + gateParameters) * bytes, bytes);
  if (status != STATUS_OK) return status;
  framePush(oldSelector, gateBits);
  framePush(oldPointer, gateBits);
  for (let index = gateParameters - 1; index >= 0; index--) {
    framePush(load<u32>(parameters + <usize>index * 4), gateBits);
  }
  framePush(selectorOf(CS), gateBits);
  framePush(load<u64>(CPU_STATE + RIP), gateBits);
  commitInnerStack(newCpl);
  return STATUS_OK;
}
