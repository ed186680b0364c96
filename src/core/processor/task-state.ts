// Stack pointers in the task-state segment. SDM 3A "Task-State Segment (TSS)", "TSS in 64-bit Mode".
import { CPU_STATE } from "../../layout/memory-map";
import { SEGMENT_ATTRIBUTES, SEGMENT_BASE, SEGMENT_LIMIT, SEGMENT_SELECTOR, SEG_TR } from "../../layout/cpu-state";
import { faulted, readSystem16, readSystem32, readSystem64 } from "../memory/linear-memory";
import { isCanonical } from "../memory/translate";
import { externalBit, raiseSelector } from "./descriptor-tables";
import { VECTOR_SS, VECTOR_TS, raiseWithCode } from "./faults";

/** Bit 3 of the type: a 32-bit TSS. */
const TSS_32: i32 = 8;

/** Result of `readTssStack`. */
export let tssStackSelector: i32 = 0;
export let tssStackPointer: u64 = 0;

/** Offset of RSP0 in a 64-bit TSS; RSP1 and RSP2 follow. */
export const TSS64_RSP0: i32 = 4;
/** Offset of IST1 in a 64-bit TSS; IST2 to IST7 follow. */
export const TSS64_IST1: i32 = 36;

/** A stack pointer of a 64-bit TSS. `faulted()` tells of #TS, #SS for a non-canonical one, or a page fault. */
export function readTss64(offset: i32): u64 {
  if (<u32>offset + 7 > load<u32>(CPU_STATE + SEG_TR + SEGMENT_LIMIT)) return outsideTss();
  const value = readSystem64(load<u64>(CPU_STATE + SEG_TR + SEGMENT_BASE) + offset);
  if (!isCanonical(value)) raiseWithCode(VECTOR_SS, externalBit);
  return value;
}

/** SS and ESP for a privilege level from a 32-bit or 16-bit TSS. Returns false with the fault set. */
export function readTssStack(privilege: i32): bool {
  const base = load<u64>(CPU_STATE + SEG_TR + SEGMENT_BASE);
  const limit = load<u32>(CPU_STATE + SEG_TR + SEGMENT_LIMIT);
  if (load<i32>(CPU_STATE + SEG_TR + SEGMENT_ATTRIBUTES) & TSS_32) {
    const offset: u32 = 4 + 8 * privilege;
    if (offset + 5 > limit) return outsideTss() != 0;
    tssStackPointer = readSystem32(base + offset);
    tssStackSelector = <i32>readSystem16(base + offset + 4);
  } else {
    const offset: u32 = 2 + 4 * privilege;
    if (offset + 3 > limit) return outsideTss() != 0;
    tssStackPointer = readSystem16(base + offset);
    tssStackSelector = <i32>readSystem16(base + offset + 2);
  }
  return !faulted();
}

function outsideTss(): u64 {
  raiseSelector(VECTOR_TS, load<u16>(CPU_STATE + SEG_TR + SEGMENT_SELECTOR));
  return 0;
}
