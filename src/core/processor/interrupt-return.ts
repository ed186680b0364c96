// IRET, IRETD, IRETQ in every mode. SDM 2 "IRET/IRETD/IRETQ—Interrupt Return".
import { CPU_STATE } from "../../layout/memory-map";
import { CPL, RIP, RSP, SEG_CS, STATUS_FAULT, STATUS_JUMP, STATUS_OK } from "../../layout/cpu-state";
import { faulted, readIn } from "../memory/linear-memory";
import { currentBank } from "../memory/translate";
import { checkRealTarget, enterRealTarget, enterTarget } from "./code-target";
import { deliverFault, unblockNmi } from "./delivery";
import { checkReturnStack, checkReturnTarget, dropInnerSegments, enterReturnStack } from "./far-return";
import { asStackFault, raiseGP } from "./faults";
import {
  AC,
  ID,
  IF,
  IOPL,
  NT,
  RF,
  STATUS_FLAGS,
  TF,
  DF,
  VIF,
  VIP,
  VM,
  ioPrivilege,
  systemFlags,
  writeFlags,
} from "./flags";
import { minedCode } from "./breakpoints";
import { poppableFlags, returnForEvents } from "./interrupts";
import { currentPrivilege, is64Bit, isLongMode, isRealMode, isVirtual8086, updateMode } from "./mode";
import { DS, ES, FS, GS, SS, segmentAt, setRealSegment } from "./segment-cache";
import { peek, setStackPointer, stackPointer } from "./stack";
import { returnFromTask } from "./task-gates";
import { hasVirtualFlag, loadVirtualFlag, refusesVirtualFlags } from "./virtual-interrupts";

/** Even one that faults ends the blocking of NMIs. SDM 3A "Handling Multiple NMIs". */
export function interruptReturn(operandBits: i32): i32 {
  unblockNmi();
  const status = isRealMode()
    ? returnReal(operandBits)
    : isVirtual8086()
      ? returnVirtual8086(operandBits)
      : returnProtected(operandBits);
  if (status == STATUS_JUMP) returnForEvents();
  return status;
}

// The frame.
let frameOffset: u64 = 0;
let frameSelector: i32 = 0;
let frameFlags: u64 = 0;

/**
 * Reads RIP, CS and the flags. Returns false with the fault set.
 *
 * The order, from the flags down, is that of AMD's processors; so is that the outer stack pointer is read before anything
 * is checked. It shows where a page of the frame is absent.
 */
function readFrame(bits: i32): bool {
  const bytes = bits >> 3;
  frameFlags = peek(2 * bytes, bits);
  if (faulted()) return false;
  frameSelector = <i32>peek(bytes, bits) & 0xffff;
  if (faulted()) return false;
  frameOffset = peek(0, bits);
  return !faulted();
}

function returnReal(bits: i32): i32 {
  if (!readFrame(bits)) return STATUS_FAULT;
  const status = checkRealTarget(frameOffset);
  if (status != STATUS_OK) return status;
  setStackPointer(stackPointer() + <u64>(3 * (bits >> 3)));
  writeFlags(frameFlags, returnedFlags(bits));
  return enterRealTarget(frameSelector, frameOffset);
}

function returnVirtual8086(bits: i32): i32 {
  if (ioPrivilege() == 3) return returnReal(bits);
  if (bits != 16 || !hasVirtualFlag()) return raiseGP(0);
  if (!readFrame(bits)) return STATUS_FAULT;
  if (refusesVirtualFlags(frameFlags)) return raiseGP(0);
  const status = returnReal(bits);
  if (status == STATUS_JUMP) loadVirtualFlag(frameFlags);
  return status;
}

function returnProtected(bits: i32): i32 {
  if (systemFlags() & NT) return isLongMode() ? raiseGP(0) : returnFromTask();
  if (is64Bit() && bits == 64) return return64();
  if (!readFrame(bits)) return STATUS_FAULT;
  const bytes = bits >> 3;
  const cpl = currentPrivilege();
  if (frameFlags & VM && bits == 32 && cpl == 0 && !isLongMode()) return returnToVirtual8086();

  const newCpl = frameSelector & 3;
  // 64-bit code always pops the stack pointer.
  if (newCpl == cpl && !is64Bit()) {
    const refusal = checkReturnTarget(frameSelector, frameOffset);
    if (refusal != STATUS_OK) return refusal;
    setStackPointer(stackPointer() + <u64>(3 * bytes));
    writeFlags(frameFlags, returnedFlags(bits));
    return enterTarget(frameSelector, newCpl, frameOffset);
  }
  const stackSelector = <i32>peek(4 * bytes, bits) & 0xffff;
  if (faulted()) return STATUS_FAULT;
  const newPointer = peek(3 * bytes, bits);
  if (faulted()) return STATUS_FAULT;
  const status = checkReturnTarget(frameSelector, frameOffset);
  return status == STATUS_OK ? leave(newPointer, stackSelector, bits) : status;
}

/** IRETQ, which is worth a path of its own. */
function return64(): i32 {
  const bank = currentBank();
  const at = load<u64>(CPU_STATE + RSP);
  frameFlags = readIn<u64>(bank, at + 16);
  if (faulted()) return stackFault();
  frameSelector = <i32>readIn<u64>(bank, at + 8) & 0xffff;
  if (faulted()) return stackFault();
  frameOffset = readIn<u64>(bank, at);
  if (faulted()) return stackFault();
  const stackSelector = <i32>readIn<u64>(bank, at + 32) & 0xffff;
  if (faulted()) return stackFault();
  const newPointer = readIn<u64>(bank, at + 24);
  if (faulted()) return stackFault();
  const status = checkReturnTarget(frameSelector, frameOffset);
  return status == STATUS_OK ? leave(newPointer, stackSelector, 64) : status;
}

function stackFault(): i32 {
  asStackFault();
  return STATUS_FAULT;
}

/** The return proper, once the code segment is checked and the new stack is read. */
function leave(newPointer: u64, stackSelector: i32, bits: i32): i32 {
  const newCpl = frameSelector & 3;
  const status = checkReturnStack(stackSelector, newCpl);
  if (status != STATUS_OK) return status;
  const outward = newCpl != currentPrivilege();
  enterReturnStack(stackSelector, newCpl);
  writeFlags(frameFlags, returnedFlags(bits));
  enterTarget(frameSelector, newCpl, frameOffset);
  setStackPointer(newPointer);
  if (outward) dropInnerSegments(newCpl);
  return STATUS_JUMP;
}

/**
 * IRET may change what POPF may, and RF, which is of use only where code has breakpoints; the processor clears it behind the
 * next instruction. At CPL 0 it loads VIF and VIP.
 */
function returnedFlags(bits: i32): u64 {
  let mask = poppableFlags(bits);
  if (bits > 16 && currentPrivilege() == 0) mask |= VIF | VIP;
  return bits > 16 && minedCode() ? mask | RF : mask;
}

/** From CPL 0 with VM in the popped flags: ESP, SS, ES, DS, FS and GS follow in the frame. */
function returnToVirtual8086(): i32 {
  const newPointer = peek(12, 32);
  const stack = <i32>peek(16, 32) & 0xffff;
  const es = <i32>peek(20, 32) & 0xffff;
  const ds = <i32>peek(24, 32) & 0xffff;
  const fs = <i32>peek(28, 32) & 0xffff;
  const gs = <i32>peek(32, 32) & 0xffff;
  if (faulted()) return STATUS_FAULT;
  if ((frameOffset & 0xffffffff) > 0xffff) return raiseGP(0);
  writeFlags(frameFlags, STATUS_FLAGS | TF | IF | DF | IOPL | NT | VM | AC | VIF | VIP | ID);
  setRealSegment(CPU_STATE + SEG_CS, frameSelector);
  setRealSegment(segmentAt(SS), stack);
  setRealSegment(segmentAt(ES), es);
  setRealSegment(segmentAt(DS), ds);
  setRealSegment(segmentAt(FS), fs);
  setRealSegment(segmentAt(GS), gs);
  store<u64>(CPU_STATE + RSP, newPointer);
  store<u64>(CPU_STATE + RIP, frameOffset);
  store<i32>(CPU_STATE + CPL, 3);
  updateMode();
  // A virtual interrupt that waits, and is let in: the monitor's first business.
  if (hasVirtualFlag() && (frameFlags & (VIF | VIP)) == (VIF | VIP)) {
    raiseGP(0);
    return deliverFault();
  }
  return STATUS_JUMP;
}
