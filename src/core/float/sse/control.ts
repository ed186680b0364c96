// MXCSR, and the status flags that scalar comparisons set.

import {
  CR4,
  FAULT_ERROR_CODE,
  FAULT_VECTOR,
  FLAG_C,
  FLAG_R,
  FLAG_X,
  FLAG_Y,
  MXCSR,
  SSE_RAISED,
  STATUS_FAULT,
  STATUS_OK,
} from "../../../layout/cpu-state";
import { CPU_STATE } from "../../../layout/memory-map";
import { ALL_EXCEPTIONS, BEFORE_COMPUTATION } from "../kernel/exception-flags";

export const MXCSR_DAZ: i32 = 0x0040;
/** The control bits: masks, RC, FTZ, DAZ. */
export const MXCSR_CONTROL: i32 = 0xffc0;
/** Their values after reset: everything masked, round to nearest. */
export const MXCSR_DEFAULT: i32 = 0x1f80;
const MXCSR_FTZ: i32 = 0x8000;
const MXCSR_MASK_SHIFT: i32 = 7;
const CR4_OSXMMEXCPT: i64 = 1 << 10;
const VECTOR_UD: i32 = 6;
const VECTOR_XM: i32 = 19;

// @ts-ignore: decorator
@inline
export function mxcsr(): i32 {
  return load<i32>(CPU_STATE + MXCSR);
}

// @ts-ignore: decorator
@inline
export function raise(flags: i32): void {
  store<i32>(CPU_STATE + SSE_RAISED, load<i32>(CPU_STATE + SSE_RAISED) | flags);
}

export function roundingMode(control: i32): i32 {
  return (control >> 13) & 3;
}

export function unmaskedExceptions(control: i32): i32 {
  return ~(control >> MXCSR_MASK_SHIFT) & ALL_EXCEPTIONS;
}

/** FTZ counts only while underflow is masked. */
export function flushesToZero(control: i32): bool {
  return (control & MXCSR_FTZ) != 0;
}

/** What the running instruction has raised so far makes it fault. */
export function willFault(control: i32): bool {
  return (load<i32>(CPU_STATE + SSE_RAISED) & unmaskedExceptions(control)) != 0;
}

/** Merges what the instruction raised into MXCSR; a fault when any of it is unmasked. */
export function commitSse(): i32 {
  let raised = load<i32>(CPU_STATE + SSE_RAISED);
  if (raised == 0) return STATUS_OK;
  store<i32>(CPU_STATE + SSE_RAISED, 0);
  const control = load<i32>(CPU_STATE + MXCSR);
  const unmasked = raised & unmaskedExceptions(control);
  // An unmasked exception found before the computation keeps it from being made.
  if (unmasked & BEFORE_COMPUTATION) raised &= BEFORE_COMPUTATION;
  store<i32>(CPU_STATE + MXCSR, control | raised);
  if (unmasked == 0) return STATUS_OK;
  store<i32>(CPU_STATE + FAULT_VECTOR, load<i64>(CPU_STATE + CR4) & CR4_OSXMMEXCPT ? VECTOR_XM : VECTOR_UD);
  store<i32>(CPU_STATE + FAULT_ERROR_CODE, -1);
  return STATUS_FAULT;
}

/** ZF, PF and CF as given; OF, SF and AF clear. */
export function setCompareFlags(zf: i32, pf: i32, cf: i32): void {
  // FLAG_R is 0 for ZF and else 1. PF of 0 is 1 and PF of 1 is 0; bit 2 of FLAG_C inverts it.
  const result = <i64>(zf ^ 1);
  store<i32>(CPU_STATE + FLAG_C, cf | ((pf ^ zf) << 2));
  store<i64>(CPU_STATE + FLAG_R, result);
  store<i64>(CPU_STATE + FLAG_X, result);
  store<i64>(CPU_STATE + FLAG_Y, 0);
}
