// The state after RESET. SDM 3A "Processor State After Reset".
import { CPU_STATE } from "../../layout/memory-map";
import {
  BUDGET,
  CR0,
  DR6,
  DR7,
  GDTR_LIMIT,
  GPR,
  HALTED,
  IDTR_LIMIT,
  INTERRUPT_SHADOW,
  MSR_PAT,
  MXCSR,
  RAX,
  RBX,
  RCX,
  RDX,
  RFLAGS_SYSTEM,
  RIP,
  SEGMENTS,
  SEG_CS,
  SEG_LDTR,
  SEG_TR,
  SPLIT_WRITE_BYTES,
  X87_FCW,
  XCR0,
  XMM,
} from "../../layout/cpu-state";
import { cpuid } from "../host";
import { initialiseTlb } from "../memory/tlb";
import { unblockNmi } from "./delivery";
import { clearFault } from "./faults";
import { writeStatusFlags } from "./flags";
import { updateMode } from "./mode";
import { ES, GS, segmentAt, setSegment } from "./segment-cache";

/** Behind the XMM registers and the upper halves of the YMM registers. */
const VECTOR_REGISTER_BYTES: i32 = 0x200;

/**
 * Puts the processor in its RESET state. What belongs to the machine stays: size of RAM, the
 * local APIC's address, a waiting interrupt, budget, counters.
 */
export function reset(): void {
  memory.fill(CPU_STATE + GPR, 0, BUDGET);
  memory.fill(CPU_STATE + SEGMENTS, 0, MXCSR - SEGMENTS);
  memory.fill(CPU_STATE + XMM, 0, VECTOR_REGISTER_BYTES);
  resetSegments();

  store<u64>(CPU_STATE + RIP, 0xfff0);
  store<u64>(CPU_STATE + RFLAGS_SYSTEM, 2);
  writeStatusFlags(0, 0, 0, 0, 0, 0);
  store<u64>(CPU_STATE + CR0, 0x60000010);
  store<u64>(CPU_STATE + XCR0, 1);
  store<u64>(CPU_STATE + DR6, 0xffff0ff0);
  store<u64>(CPU_STATE + DR7, 0x400);
  store<u64>(CPU_STATE + MSR_PAT, 0x0007040600070406);
  store<i32>(CPU_STATE + X87_FCW, 0x40);
  store<i32>(CPU_STATE + MXCSR, 0x1f80);
  resetSignature();

  store<i32>(CPU_STATE + INTERRUPT_SHADOW, 0);
  store<i32>(CPU_STATE + HALTED, 0);
  store<i32>(CPU_STATE + SPLIT_WRITE_BYTES, 0);
  clearFault();
  unblockNmi();
  updateMode();
  initialiseTlb();
}

function resetSegments(): void {
  for (let index = ES; index <= GS; index++) {
    setSegment(segmentAt(index), 0, 0, 0xffff, 0x93);
  }
  setSegment(CPU_STATE + SEG_CS, 0xf000, 0xffff0000, 0xffff, 0x9b);
  setSegment(CPU_STATE + SEG_LDTR, 0, 0, 0xffff, 0x82);
  setSegment(CPU_STATE + SEG_TR, 0, 0, 0xffff, 0x8b);
  store<i32>(CPU_STATE + GDTR_LIMIT, 0xffff);
  store<i32>(CPU_STATE + IDTR_LIMIT, 0xffff);
}

/** EDX holds family, model and stepping. */
function resetSignature(): void {
  store<u64>(CPU_STATE + RAX, 1);
  cpuid();
  store<u64>(CPU_STATE + RDX, load<u32>(CPU_STATE + RAX));
  store<u64>(CPU_STATE + RAX, 0);
  store<u64>(CPU_STATE + RBX, 0);
  store<u64>(CPU_STATE + RCX, 0);
}
