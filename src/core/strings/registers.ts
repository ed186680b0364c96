// RSI, RDI and RCX as a string instruction of some address size uses them.
// SDM 1 "String Instructions", "Repeated String Operations"; SDM 2 "REP/REPE/REPZ/REPNE/REPNZ".
import { CPU_STATE } from "../../layout/memory-map";
import { RCX, RDI, RFLAGS_SYSTEM, RSI, STATUS_AGAIN } from "../../layout/cpu-state";
import { areBreakpointsEnabled, keepRestarting } from "../processor/breakpoints";
import { RFLAGS_DF, RFLAGS_TF } from "../system/control-bits";

export const REPEAT_NONE: i32 = 0;
/** REP, or REPE for SCAS and CMPS. */
export const REPEAT_EQUAL: i32 = 1;
export const REPEAT_NOT_EQUAL: i32 = 2;

/** Bytes moved on the fast path, or elements moved one by one, before a call returns so that interrupts get in. */
const BYTES_A_CALL: i64 = 65536;
const ELEMENTS_A_CALL: i32 = 64;

/** 0xffff, 0xffffffff or all ones. */
// @ts-ignore: decorator
@inline
export function addressMask(addressBits: i32): u64 {
  return addressBits == 64 ? ~0 : ((<u64>1) << (<u64>addressBits)) - 1;
}

// @ts-ignore: decorator
@inline
export function sourceOffset(mask: u64): u64 {
  return load<u64>(CPU_STATE + RSI) & mask;
}

// @ts-ignore: decorator
@inline
export function destinationOffset(mask: u64): u64 {
  return load<u64>(CPU_STATE + RDI) & mask;
}

// @ts-ignore: decorator
@inline
export function isBackward(): bool {
  return (load<u64>(CPU_STATE + RFLAGS_SYSTEM) & RFLAGS_DF) != 0;
}

/** Iterations to do: 1 without a repeat prefix. */
// @ts-ignore: decorator
@inline
export function iterations(repeat: i32, mask: u64): u64 {
  return repeat == REPEAT_NONE ? 1 : load<u64>(CPU_STATE + RCX) & mask;
}

export function advanceSource(by: i64, mask: u64): void {
  advance(CPU_STATE + RSI, by, mask);
}

export function advanceDestination(by: i64, mask: u64): void {
  advance(CPU_STATE + RDI, by, mask);
}

/** Counts iterations off; does nothing without a repeat prefix. */
export function countDown(repeat: i32, done: u64, mask: u64): void {
  if (repeat != REPEAT_NONE) advance(CPU_STATE + RCX, -(<i64>done), mask);
}

/** A 16-bit address size changes 16 bits of the register; 32 bits zero the upper half. */
// @ts-ignore: decorator
@inline
function advance(register: usize, by: i64, mask: u64): void {
  const value = load<u64>(register);
  const sum = (value + by) & mask;
  store<u64>(register, mask == 0xffff ? (value & ~mask) | sum : sum);
}

let bytesLeft: i64 = 0;
let elementsLeft: i32 = 0;

/** Starts a call's allowance. With TF or breakpoints it is one element, since each iteration may end in a trap. */
export function beginCall(): void {
  const stepping = (load<u64>(CPU_STATE + RFLAGS_SYSTEM) & RFLAGS_TF) != 0 || areBreakpointsEnabled();
  bytesLeft = stepping ? 0 : BYTES_A_CALL;
  elementsLeft = stepping ? 1 : ELEMENTS_A_CALL;
}

/** The status of a string instruction that has iterations left. */
export function again(): i32 {
  keepRestarting();
  return STATUS_AGAIN;
}

/** Whether the fast path may run. */
// @ts-ignore: decorator
@inline
export function mayRun(): bool {
  return bytesLeft > 0;
}

/** Takes from the allowance; returns whether any is left. */
// @ts-ignore: decorator
@inline
export function spendBytes(bytes: i64): bool {
  bytesLeft -= bytes;
  return bytesLeft > 0;
}

// @ts-ignore: decorator
@inline
export function spendElement(): bool {
  elementsLeft--;
  return elementsLeft > 0;
}
