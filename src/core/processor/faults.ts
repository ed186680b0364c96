// A fault is a value: the FAULT_* words of the state say what waits for delivery.
import { CPU_STATE } from "../../layout/memory-map";
import {
  FAULT_ADDRESS,
  FAULT_ERROR_CODE,
  FAULT_NON_CANONICAL,
  FAULT_VECTOR,
  STATUS_FAULT,
} from "../../layout/cpu-state";

// Vectors. SDM 3A "Exception and Interrupt Vectors".
export const VECTOR_DE: i32 = 0;
export const VECTOR_DB: i32 = 1;
export const VECTOR_NMI: i32 = 2;
export const VECTOR_BP: i32 = 3;
export const VECTOR_OF: i32 = 4;
export const VECTOR_BR: i32 = 5;
export const VECTOR_UD: i32 = 6;
export const VECTOR_NM: i32 = 7;
export const VECTOR_DF: i32 = 8;
export const VECTOR_TS: i32 = 10;
export const VECTOR_NP: i32 = 11;
export const VECTOR_SS: i32 = 12;
export const VECTOR_GP: i32 = 13;
export const VECTOR_PF: i32 = 14;
export const VECTOR_MF: i32 = 16;
export const VECTOR_AC: i32 = 17;
export const VECTOR_MC: i32 = 18;
export const VECTOR_XM: i32 = 19;
export const VECTOR_CP: i32 = 21;

/** Sets a fault without an error code. Returns STATUS_FAULT. */
export function raise(vector: i32): i32 {
  return raiseWithCode(vector, -1);
}

/** Sets a fault with an error code. Returns STATUS_FAULT. */
export function raiseWithCode(vector: i32, code: i32): i32 {
  store<i32>(CPU_STATE + FAULT_VECTOR, vector);
  store<i32>(CPU_STATE + FAULT_ERROR_CODE, code);
  store<i32>(CPU_STATE + FAULT_NON_CANONICAL, 0);
  return STATUS_FAULT;
}

/** Sets #GP. Returns STATUS_FAULT. */
export function raiseGP(code: i32): i32 {
  return raiseWithCode(VECTOR_GP, code);
}

/** Sets #UD. Returns STATUS_FAULT. */
export function raiseUD(): i32 {
  return raise(VECTOR_UD);
}

/** Sets #PF at a linear address. CR2 is written when it is delivered. */
export function raisePageFault(va: u64, code: i32): i32 {
  raiseWithCode(VECTOR_PF, code);
  store<u64>(CPU_STATE + FAULT_ADDRESS, va);
  return STATUS_FAULT;
}

/** What the waiting #DB will add to DR6. */
let debugConditions: u64 = 0;

/** Sets #DB; `conditions` are the bits that delivery adds to DR6. */
export function raiseDebug(conditions: u64): i32 {
  debugConditions = conditions;
  return raise(VECTOR_DB);
}

/** For delivery: the bits to add to DR6, once. */
export function takeDebugConditions(): u64 {
  const conditions = debugConditions;
  debugConditions = 0;
  return conditions;
}

/** Sets #GP(0) for a non-canonical address; the caller makes it #SS(0) for a stack reference (`asStackFault`). */
export function raiseNonCanonical(): i32 {
  raiseGP(0);
  store<i32>(CPU_STATE + FAULT_NON_CANONICAL, 1);
  return STATUS_FAULT;
}

/** Turns the #GP of a non-canonical address into the #SS that a stack reference gets. */
export function asStackFault(): void {
  if (!load<i32>(CPU_STATE + FAULT_NON_CANONICAL)) return;
  store<i32>(CPU_STATE + FAULT_VECTOR, VECTOR_SS);
  store<i32>(CPU_STATE + FAULT_NON_CANONICAL, 0);
}

/** Forgets the waiting fault. */
export function clearFault(): void {
  store<i32>(CPU_STATE + FAULT_VECTOR, -1);
  store<i32>(CPU_STATE + FAULT_NON_CANONICAL, 0);
}

/** Whether a fault waits. */
export function faulted(): bool {
  return load<i32>(CPU_STATE + FAULT_VECTOR) >= 0;
}
