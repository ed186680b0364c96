// Events in real mode, and through the IDT of protected mode without long mode.
// SDM 3A "Interrupt and Exception Handling in Real-Address Mode", "Exception- or Interrupt-Handler Procedures",
// "Interrupt and Exception Handling in Virtual-8086 Mode".
//
// A frame of protected mode must not wrap around the end of its stack segment: one that would faults as a whole.
import { CPU_STATE } from "../../layout/memory-map";
import {
  CPL,
  IDTR_BASE,
  IDTR_LIMIT,
  RFLAGS_SYSTEM,
  RIP,
  RSP,
  SEGMENT_ATTRIBUTES,
  SEGMENT_BASE,
  SEGMENT_LIMIT,
  SEG_CS,
  SEG_SS,
  STACK_BITS,
  STATUS_FAULT,
  STATUS_JUMP,
  STATUS_OK,
} from "../../layout/cpu-state";
import { faulted, readLinear16, readSystem64 } from "../memory/linear-memory";
import { gateError } from "./delivery-long";
import {
  externalBit,
  fetchDescriptor,
  fetched,
  fetchedAt,
  markDescriptorAccessed,
  raiseSelector,
} from "./descriptor-tables";
import {
  ATTRIBUTE_ACCESSED,
  ATTRIBUTE_DB,
  ATTRIBUTE_P,
  ATTRIBUTE_S,
  TYPE_INTERRUPT_GATE,
  TYPE_INTERRUPT_GATE16,
  TYPE_TASK_GATE,
  TYPE_TRAP_GATE,
  TYPE_TRAP_GATE16,
  descriptorAttributes,
  descriptorBase,
  descriptorLimit,
  isCodeSegment,
  isConformingCode,
  isInsideLimit,
  isNullSelector,
  privilegeOf,
  systemTypeOf,
} from "./descriptors";
import { VECTOR_GP, VECTOR_NP, VECTOR_SS, VECTOR_TS, raiseGP, raiseWithCode } from "./faults";
import { AC, IF, NT, RF, TF, VM, readFlags } from "./flags";
import { bankOf, currentPrivilege, isVirtual8086, updateMode } from "./mode";
import { CS, DS, ES, FS, GS, SS, segmentAt, selectorOf, setNullSegment, setRealSegment, setSegmentFrom } from "./segment-cache";
import { fetchStackSegment } from "./segments";
import { push, stackMask } from "./stack";
import { framePush, openFrame } from "./stack-frame";
import { BY_CALL, switchTask } from "./task-switch";
import { readTssStack, tssStackPointer, tssStackSelector } from "./task-state";

/** Real mode: through the vector table. There are no error codes. */
export function deliverReal(vector: i32): i32 {
  if (<u32>vector * 4 + 3 > load<u32>(CPU_STATE + IDTR_LIMIT)) return raiseGP(gateError(vector, 8));
  const at = load<u64>(CPU_STATE + IDTR_BASE) + <u64>vector * 4;
  const offset = readLinear16(at);
  const selector = <i32>readLinear16(at + 2);
  if (faulted()) return STATUS_FAULT;
  const oldRsp = load<u64>(CPU_STATE + RSP);
  if (
    push(readFlags(), 16) != STATUS_OK ||
    push(selectorOf(CS), 16) != STATUS_OK ||
    push(load<u64>(CPU_STATE + RIP), 16) != STATUS_OK
  ) {
    store<u64>(CPU_STATE + RSP, oldRsp);
    return STATUS_FAULT;
  }
  store<u64>(CPU_STATE + RFLAGS_SYSTEM, load<u64>(CPU_STATE + RFLAGS_SYSTEM) & ~(IF | TF | RF | AC));
  setRealSegment(CPU_STATE + SEG_CS, selector);
  store<u64>(CPU_STATE + RIP, offset);
  updateMode();
  return STATUS_JUMP;
}

/** Protected mode, 32-bit or 16-bit gates. Parameters as for `deliverLong`. */
export function deliverProtected(vector: i32, code: i32, software: bool, resume: u64): i32 {
  if (<u32>vector * 8 + 7 > load<u32>(CPU_STATE + IDTR_LIMIT)) return raiseGP(gateError(vector, 8));
  const gate = readSystem64(load<u64>(CPU_STATE + IDTR_BASE) + <u64>vector * 8);
  if (faulted()) return STATUS_FAULT;
  const gateAttributes = <i32>(gate >> 40);
  const cpl = currentPrivilege();
  if (!isEventGate(gateAttributes)) return raiseGP(gateError(vector, 8));
  if (software && privilegeOf(gateAttributes) < cpl) return raiseGP(gateError(vector, 8));
  if (!(gateAttributes & ATTRIBUTE_P)) return raiseWithCode(VECTOR_NP, gateError(vector, 8));
  const selector = <i32>(gate >> 16) & 0xffff;
  const type = systemTypeOf(gateAttributes);
  if (type == TYPE_TASK_GATE) return switchTask(selector, BY_CALL, code, resume);

  if (isNullSelector(selector)) return raiseGP(externalBit);
  if (!fetchDescriptor(selector, VECTOR_GP)) return STATUS_FAULT;
  const descriptor = fetched;
  const attributes = descriptorAttributes(descriptor);
  if (!isCodeSegment(attributes) || privilegeOf(attributes) > cpl) return raiseSelector(VECTOR_GP, selector);
  if (!(attributes & ATTRIBUTE_P)) return raiseSelector(VECTOR_NP, selector);
  const newCpl = isConformingCode(attributes) ? cpl : privilegeOf(attributes);
  const fromVirtual8086 = isVirtual8086();
  if (fromVirtual8086 && newCpl != 0) return raiseSelector(VECTOR_GP, selector);
  if (!markDescriptorAccessed(descriptor, fetchedAt)) return STATUS_FAULT;

  const bits = type & 8 ? 32 : 16;
  const target = bits == 32 ? (gate & 0xffff) | ((gate >> 32) & 0xffff0000) : gate & 0xffff;
  if (target > <u64>descriptorLimit(descriptor)) return raiseGP(externalBit);

  const values = (code >= 0 ? 4 : 3) + (newCpl != cpl ? 2 : 0) + (fromVirtual8086 ? 4 : 0);
  const width = bits >> 3;
  const stack = newCpl != cpl ? enterInnerStack(newCpl, values * width, width) : enterSameStack(values * width, width);
  if (stack != STATUS_OK) return stack;
  if (fromVirtual8086) {
    framePush(selectorOf(GS), bits);
    framePush(selectorOf(FS), bits);
    framePush(selectorOf(DS), bits);
    framePush(selectorOf(ES), bits);
  }
  if (newCpl != cpl) {
    framePush(selectorOf(SS), bits);
    framePush(load<u64>(CPU_STATE + RSP), bits);
  }
  framePush(readFlags() | resume, bits);
  framePush(selectorOf(CS), bits);
  framePush(load<u64>(CPU_STATE + RIP), bits);
  if (code >= 0) framePush(code, bits);

  const cleared = type & 1 ? TF | NT | RF | VM : TF | NT | RF | VM | IF;
  store<u64>(CPU_STATE + RFLAGS_SYSTEM, load<u64>(CPU_STATE + RFLAGS_SYSTEM) & ~cleared);
  if (fromVirtual8086) forgetDataSegments();
  if (newCpl != cpl) commitInnerStack(newCpl);
  else setStackPart(newStackBits, newPointer);
  setSegmentFrom(CPU_STATE + SEG_CS, (selector & ~3) | newCpl, descriptor | (<u64>ATTRIBUTE_ACCESSED << 40));
  store<u64>(CPU_STATE + RIP, target);
  updateMode();
  return STATUS_JUMP;
}

function isEventGate(attributes: i32): bool {
  if (attributes & ATTRIBUTE_S) return false;
  const type = systemTypeOf(attributes);
  return (
    type == TYPE_INTERRUPT_GATE ||
    type == TYPE_TRAP_GATE ||
    type == TYPE_INTERRUPT_GATE16 ||
    type == TYPE_TRAP_GATE16 ||
    type == TYPE_TASK_GATE
  );
}

// The stack on which the frame was opened.
let newPointer: u64 = 0;
let newStackBits: i32 = 0;
let newStackDescriptor: u64 = 0;

function enterSameStack(bytes: i32, width: i32): i32 {
  newStackBits = load<i32>(CPU_STATE + STACK_BITS);
  newPointer = (load<u64>(CPU_STATE + RSP) - <u64>bytes) & stackMask(newStackBits);
  const at = segmentAt(SS);
  const attributes = load<i32>(at, SEGMENT_ATTRIBUTES);
  if (!isInsideLimit(attributes, load<u32>(at, SEGMENT_LIMIT), newPointer, bytes)) {
    return raiseWithCode(VECTOR_SS, externalBit);
  }
  const lowest = (load<u64>(at, SEGMENT_BASE) + newPointer) & 0xffffffff;
  return openFrame(bankOf(currentPrivilege()), lowest, bytes, width) ? STATUS_OK : STATUS_FAULT;
}

/** Finds the stack of an inner privilege level in the TSS, checks it, and opens a frame of values of `width` bytes there. */
export function enterInnerStack(privilege: i32, bytes: i32, width: i32): i32 {
  if (!readTssStack(privilege)) return STATUS_FAULT;
  if (isNullSelector(tssStackSelector)) return raiseWithCode(VECTOR_TS, externalBit);
  if (!fetchStackSegment(tssStackSelector, privilege, VECTOR_TS)) return STATUS_FAULT;
  newStackDescriptor = fetched;
  const attributes = descriptorAttributes(fetched);
  newStackBits = attributes & ATTRIBUTE_DB ? 32 : 16;
  newPointer = (tssStackPointer - <u64>bytes) & stackMask(newStackBits);
  if (!isInsideLimit(attributes, descriptorLimit(fetched), newPointer, bytes)) {
    return raiseSelector(VECTOR_SS, tssStackSelector);
  }
  const lowest = (descriptorBase(fetched) + newPointer) & 0xffffffff;
  return openFrame(bankOf(privilege), lowest, bytes, width) ? STATUS_OK : STATUS_FAULT;
}

/** Makes the stack of `enterInnerStack` the present one. */
export function commitInnerStack(privilege: i32): void {
  setSegmentFrom(CPU_STATE + SEG_SS, tssStackSelector, newStackDescriptor | (<u64>ATTRIBUTE_ACCESSED << 40));
  setStackPart(newStackBits, newPointer);
  store<i32>(CPU_STATE + CPL, privilege);
}

/** Writes as much of RSP as a stack of a size uses. */
function setStackPart(bits: i32, pointer: u64): void {
  if (bits == 16) store<u16>(CPU_STATE + RSP, <u16>pointer);
  else store<u64>(CPU_STATE + RSP, pointer);
}

/** Virtual-8086 selectors mean nothing to the handler. */
function forgetDataSegments(): void {
  setNullSegment(segmentAt(ES), 0, 0);
  setNullSegment(segmentAt(DS), 0, 0);
  setNullSegment(segmentAt(FS), 0, 0);
  setNullSegment(segmentAt(GS), 0, 0);
}
