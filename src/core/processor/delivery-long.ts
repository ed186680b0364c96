// Events through the 64-bit IDT. SDM 3A "Interrupt and Exception Handling in 64-bit Mode".
import { CPU_STATE } from "../../layout/memory-map";
import {
  CPL,
  IDTR_BASE,
  IDTR_LIMIT,
  RFLAGS_SYSTEM,
  RIP,
  RSP,
  SEG_CS,
  SEG_SS,
  STATUS_FAULT,
  STATUS_JUMP,
} from "../../layout/cpu-state";
import { faulted, readSystem64 } from "../memory/linear-memory";
import { isCanonical } from "../memory/translate";
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
  ATTRIBUTE_L,
  ATTRIBUTE_P,
  ATTRIBUTE_S,
  TYPE_INTERRUPT_GATE,
  TYPE_TRAP_GATE,
  descriptorAttributes,
  isCodeSegment,
  isConformingCode,
  isNullSelector,
  privilegeOf,
  systemTypeOf,
} from "./descriptors";
import { VECTOR_GP, VECTOR_NP, raiseGP, raiseWithCode } from "./faults";
import { IF, NT, RF, TF, VM, readFlags } from "./flags";
import { bankOf, currentPrivilege, updatePrivilege } from "./mode";
import { CS, SS, selectorOf, setNullSegment, setSegmentFrom } from "./segment-cache";
import { framePush64, openFrame } from "./stack-frame";
import { TSS64_IST1, TSS64_RSP0, readTss64 } from "./task-state";

/** The error code that names a gate: IDT set. */
export function gateError(vector: i32, width: i32): i32 {
  return vector * width + 2 + externalBit;
}

/** Enters a handler. `code` is -1 for none; `software` asks for the check of the gate's privilege; `resume` is RF or 0. */
export function deliverLong(vector: i32, code: i32, software: bool, resume: u64): i32 {
  if (<u32>vector * 16 + 15 > load<u32>(CPU_STATE + IDTR_LIMIT)) return raiseGP(gateError(vector, 8));
  const at = load<u64>(CPU_STATE + IDTR_BASE) + <u64>vector * 16;
  const gate = readSystem64(at);
  const gateHigh = readSystem64(at + 8);
  if (faulted()) return STATUS_FAULT;

  const gateAttributes = <i32>(gate >> 40);
  const type = systemTypeOf(gateAttributes);
  if (gateAttributes & ATTRIBUTE_S || (type != TYPE_INTERRUPT_GATE && type != TYPE_TRAP_GATE)) {
    return raiseGP(gateError(vector, 8));
  }
  const cpl = currentPrivilege();
  if (software && privilegeOf(gateAttributes) < cpl) return raiseGP(gateError(vector, 8));
  if (!(gateAttributes & ATTRIBUTE_P)) return raiseWithCode(VECTOR_NP, gateError(vector, 8));

  const selector = <i32>(gate >> 16) & 0xffff;
  if (isNullSelector(selector)) return raiseGP(externalBit);
  if (!fetchDescriptor(selector, VECTOR_GP)) return STATUS_FAULT;
  const descriptor = fetched;
  const attributes = descriptorAttributes(descriptor);
  if (!isCodeSegment(attributes) || privilegeOf(attributes) > cpl) return raiseSelector(VECTOR_GP, selector);
  if (!(attributes & ATTRIBUTE_P)) return raiseSelector(VECTOR_NP, selector);
  if ((attributes & (ATTRIBUTE_L | ATTRIBUTE_DB)) != ATTRIBUTE_L) return raiseSelector(VECTOR_GP, selector);
  if (!markDescriptorAccessed(descriptor, fetchedAt)) return STATUS_FAULT;
  const target = (gate & 0xffff) | ((gate >> 32) & 0xffff0000) | (gateHigh << 32);
  if (!isCanonical(target)) return raiseGP(externalBit);

  const newCpl = isConformingCode(attributes) ? cpl : privilegeOf(attributes);
  const oldRsp = load<u64>(CPU_STATE + RSP);
  const stackTable = <i32>(gate >> 32) & 7;
  let top = oldRsp;
  if (stackTable) top = readTss64(TSS64_IST1 + (stackTable - 1) * 8);
  else if (newCpl != cpl) top = readTss64(TSS64_RSP0 + newCpl * 8);
  if (faulted()) return STATUS_FAULT;
  top &= ~15;

  const bytes = code >= 0 ? 48 : 40;
  if (!openFrame(bankOf(newCpl), top - <u64>bytes, bytes, 8)) return STATUS_FAULT;
  framePush64(selectorOf(SS));
  framePush64(oldRsp);
  framePush64(readFlags() | resume);
  framePush64(selectorOf(CS));
  framePush64(load<u64>(CPU_STATE + RIP));
  if (code >= 0) framePush64(code);

  const cleared = type == TYPE_INTERRUPT_GATE ? TF | NT | RF | VM | IF : TF | NT | RF | VM;
  store<u64>(CPU_STATE + RFLAGS_SYSTEM, load<u64>(CPU_STATE + RFLAGS_SYSTEM) & ~cleared);
  setSegmentFrom(CPU_STATE + SEG_CS, (selector & ~3) | newCpl, descriptor | (<u64>ATTRIBUTE_ACCESSED << 40));
  if (newCpl != cpl) {
    setNullSegment(CPU_STATE + SEG_SS, newCpl, newCpl);
    store<i32>(CPU_STATE + CPL, newCpl);
  }
  store<u64>(CPU_STATE + RSP, top - <u64>bytes);
  store<u64>(CPU_STATE + RIP, target);
  updatePrivilege();
  return STATUS_JUMP;
}
