// The register stack and the status word.
import {
  CR0,
  FAULT_ERROR_CODE,
  FAULT_VECTOR,
  STATUS_FAULT,
  STATUS_OK,
  X87,
  X87_EMPTY,
  X87_FCW,
  X87_FSW,
  X87_TOP,
} from "../../../layout/cpu-state";
import { CPU_STATE } from "../../../layout/memory-map";
import { ALL_EXCEPTIONS, INVALID } from "../kernel/exception-flags";
import { Result } from "../kernel/number";
import {
  EXTENDED_INDEFINITE,
  EXTENDED_INDEFINITE_EXPONENT,
  packExtendedExponent,
  packExtendedSignificand,
  roundToExtended,
} from "../kernel/pack";

// Bits of the status word.
export const STACK_FAULT: i32 = 0x0040;
export const SUMMARY: i32 = 0x0080;
export const BUSY: i32 = 0x8000;
export const C0: i32 = 0x0100;
export const C1: i32 = 0x0200;
export const C2: i32 = 0x0400;
export const C3: i32 = 0x4000;

const CR0_EM_OR_TS: i64 = 0x0c;
const VECTOR_NM: i32 = 7;
const VECTOR_MF: i32 = 16;

function fault(vector: i32): i32 {
  store<i32>(CPU_STATE + FAULT_VECTOR, vector);
  store<i32>(CPU_STATE + FAULT_ERROR_CODE, -1);
  return STATUS_FAULT;
}

/** What a waiting instruction checks first: the unit's availability, then a pending exception. */
export function x87Check(): i32 {
  if (load<i64>(CPU_STATE + CR0) & CR0_EM_OR_TS) return fault(VECTOR_NM);
  return checkPending();
}

/** #MF when an unmasked exception is pending. */
// @ts-ignore: decorator
@inline
export function checkPending(): i32 {
  return load<i32>(CPU_STATE + X87_FSW) & SUMMARY ? fault(VECTOR_MF) : STATUS_OK;
}

// @ts-ignore: decorator
@inline
export function controlWord(): i32 {
  return load<i32>(CPU_STATE + X87_FCW);
}

// @ts-ignore: decorator
@inline
export function statusWord(): i32 {
  return load<i32>(CPU_STATE + X87_FSW);
}

// @ts-ignore: decorator
@inline
export function setStatusWord(value: i32): void {
  store<i32>(CPU_STATE + X87_FSW, value);
}

export function roundingControl(): i32 {
  return (controlWord() >> 10) & 3;
}

/** Bits of significand that FCW.PC asks for; the reserved encoding 1 acts as 64. */
export function precisionControl(): i32 {
  const field = (controlWord() >> 8) & 3;
  return field == 0 ? 24 : field == 2 ? 53 : 64;
}

export function unmaskedExceptions(): i32 {
  return ~controlWord() & ALL_EXCEPTIONS;
}

// @ts-ignore: decorator
@inline
export function top(): i32 {
  return load<i32>(CPU_STATE + X87_TOP);
}

export function setTop(value: i32): void {
  store<i32>(CPU_STATE + X87_TOP, value & 7);
}

/** Host address of ST(i). */
// @ts-ignore: decorator
@inline
export function register(i: i32): usize {
  return CPU_STATE + X87 + (((top() + i) & 7) << 4);
}

// @ts-ignore: decorator
@inline
export function significandOf(i: i32): u64 {
  return load<u64>(register(i));
}

// @ts-ignore: decorator
@inline
export function signExponentOf(i: i32): u32 {
  return load<u16>(register(i), 8);
}

// @ts-ignore: decorator
@inline
export function isEmpty(i: i32): bool {
  return ((load<i32>(CPU_STATE + X87_EMPTY) >> ((top() + i) & 7)) & 1) != 0;
}

/** Writes ST(i) and tags it as not empty. */
export function setRegister(i: i32, significand: u64, signExponent: u32): void {
  const address = register(i);
  store<u64>(address, significand);
  store<u16>(address, <u16>signExponent, 8);
  store<i32>(CPU_STATE + X87_EMPTY, load<i32>(CPU_STATE + X87_EMPTY) & ~(1 << ((top() + i) & 7)));
}

export function setIndefinite(i: i32): void {
  setRegister(i, EXTENDED_INDEFINITE, EXTENDED_INDEFINITE_EXPONENT);
}

export function markEmpty(i: i32): void {
  store<i32>(CPU_STATE + X87_EMPTY, load<i32>(CPU_STATE + X87_EMPTY) | (1 << ((top() + i) & 7)));
}

// @ts-ignore: decorator
@inline
export function popOne(): void {
  const old = top();
  store<i32>(CPU_STATE + X87_EMPTY, load<i32>(CPU_STATE + X87_EMPTY) | (1 << old));
  store<i32>(CPU_STATE + X87_TOP, (old + 1) & 7);
}

export function popStack(count: i32): void {
  for (let n = 0; n < count; n++) popOne();
}

// @ts-ignore: decorator
@inline
export function clearC1(): void {
  setStatusWord(statusWord() & ~C1);
}

export function setC1(value: i32): void {
  setStatusWord((statusWord() & ~C1) | (value != 0 ? C1 : 0));
}

export function setConditionCodes(codes: i32): void {
  setStatusWord((statusWord() & ~(C0 | C1 | C2 | C3)) | codes);
}

/** Sets sticky flags, and the summary when one of them is unmasked. Returns the unmasked ones. */
export function signal(raised: i32): i32 {
  const unmasked = raised & unmaskedExceptions();
  setStatusWord(statusWord() | raised | (unmasked != 0 ? SUMMARY | BUSY : 0));
  return unmasked;
}

/** A register that should hold a value is empty. Returns whether the masked response applies. */
export function signalStackUnderflow(): bool {
  clearC1();
  return signal(INVALID | STACK_FAULT) == 0;
}

/** A register that should be empty is not. Returns whether the masked response applies. */
export function signalStackOverflow(): bool {
  setC1(1);
  return signal(INVALID | STACK_FAULT) == 0;
}

/** Makes the summary agree with flags and masks, after either was loaded. */
export function updateSummary(): void {
  const status = statusWord() & ~(SUMMARY | BUSY);
  setStatusWord(status & unmaskedExceptions() ? status | SUMMARY | BUSY : status);
}

/** Rounds `Result` as FCW asks, with `precision` bits, and returns the exceptions. */
export function roundToRegister(precision: i32): i32 {
  return roundToExtended(precision, roundingControl(), unmaskedExceptions());
}

/** Writes the rounded `Result` to ST(i) and C1. */
export function writeResult(i: i32): void {
  setC1(Result.roundedUp);
  setRegister(i, packExtendedSignificand(), packExtendedExponent());
}
