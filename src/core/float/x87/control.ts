// Control and status word, tags, TOP, pointers, and what MMX does to the unit.
import {
  SEG_CS,
  SEGMENT_SELECTOR,
  STATUS_OK,
  X87,
  X87_EMPTY,
  X87_FCS,
  X87_FCW,
  X87_FDP,
  X87_FDS,
  X87_FIP,
  X87_FOP,
  X87_FSW,
  X87_TOP,
} from "../../../layout/cpu-state";
import { CPU_STATE } from "../../../layout/memory-map";
import { ALL_EXCEPTIONS } from "../kernel/exception-flags";
import {
  BUSY,
  checkPending,
  clearC1,
  STACK_FAULT,
  SUMMARY,
  setStatusWord,
  setTop,
  statusWord,
  top,
  updateSummary,
} from "./unit";

const FCW_AFTER_INITIALISE: i32 = 0x037f;
/** Bits of FCW that a program can change; bit 6 always reads as 1. Bit 12 (infinity control) has no effect. */
const FCW_WRITABLE: i32 = 0x1f3f;
const FCW_FIXED: i32 = 0x0040;
const TOP_SHIFT: i32 = 11;
const ALL_EMPTY: i32 = 0xff;

// Full tags, 2 bits a register.
const TAG_VALID: i32 = 0;
const TAG_ZERO: i32 = 1;
const TAG_SPECIAL: i32 = 2;
const TAG_EMPTY: i32 = 3;

/** FNINIT */
export function x87Initialise(): i32 {
  store<i32>(CPU_STATE + X87_FCW, FCW_AFTER_INITIALISE);
  store<i32>(CPU_STATE + X87_FSW, 0);
  store<i32>(CPU_STATE + X87_TOP, 0);
  store<i32>(CPU_STATE + X87_EMPTY, ALL_EMPTY);
  x87SetPointers(0, 0, 1, 0);
  store<i32>(CPU_STATE + X87_FCS, 0);
  store<i32>(CPU_STATE + X87_FDS, 0);
  return STATUS_OK;
}

/** FNCLEX */
export function x87ClearExceptions(): i32 {
  setStatusWord(statusWord() & ~(ALL_EXCEPTIONS | STACK_FAULT | SUMMARY | BUSY));
  return STATUS_OK;
}

/** FNSTCW */
export function x87StoreControl(): i32 {
  return load<i32>(CPU_STATE + X87_FCW);
}

export function setControlWord(value: i32): void {
  store<i32>(CPU_STATE + X87_FCW, (value & FCW_WRITABLE) | FCW_FIXED);
}

/** FLDCW: unmasking an exception whose flag is set makes it pending. */
export function x87LoadControl(value: i32): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  setControlWord(value);
  updateSummary();
  return STATUS_OK;
}

/** FNSTSW */
export function x87StoreStatus(): i32 {
  return statusWord() | (top() << TOP_SHIFT);
}

/** The status word with TOP as FLDENV, FRSTOR and FXRSTOR load it. The masks must be loaded before. */
export function x87SetStatus(value: i32): void {
  setTop(value >> TOP_SHIFT);
  setStatusWord(value & 0xffff & ~(7 << TOP_SHIFT));
  updateSummary();
}

/** FINCSTP */
export function x87IncTop(): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  clearC1();
  setTop(top() + 1);
  return STATUS_OK;
}

/** FDECSTP */
export function x87DecTop(): i32 {
  const status = checkPending();
  if (status != STATUS_OK) return status;
  clearC1();
  setTop(top() - 1);
  return STATUS_OK;
}

/** The full tag word, 2 bits for each physical register: what a register holds decides between the three ways to be not empty. */
export function x87TagWord(): i32 {
  let tags = 0;
  for (let n = 0; n < 8; n++) tags |= tagOf(n) << (2 * n);
  return tags;
}

function tagOf(n: i32): i32 {
  if ((load<i32>(CPU_STATE + X87_EMPTY) >> n) & 1) return TAG_EMPTY;
  const address: usize = CPU_STATE + X87 + (n << 4);
  const significand = load<u64>(address);
  const exponent = load<u16>(address, 8) & 0x7fff;
  if (exponent == 0) return significand == 0 ? TAG_ZERO : TAG_SPECIAL;
  return exponent == 0x7fff || <i64>significand >= 0 ? TAG_SPECIAL : TAG_VALID;
}

/** Only whether a register is empty is taken from a full tag word. */
export function x87SetTagWord(full: i32): void {
  let empty = 0;
  for (let n = 0; n < 8; n++) {
    if (((full >> (2 * n)) & 3) == TAG_EMPTY) empty |= 1 << n;
  }
  store<i32>(CPU_STATE + X87_EMPTY, empty);
}

/**
 * FOP, FIP and FDP of a non-control instruction, kept as AMD processors do: always
 * here, while FXSAVE and XSAVE write them only when FSW.ES is set.
 */
export function x87SetPointers(opcode: i32, instruction: u64, hasMemory: i32, operand: u64): void {
  store<i32>(CPU_STATE + X87_FOP, opcode & 0x7ff);
  store<u64>(CPU_STATE + X87_FIP, instruction);
  store<i32>(CPU_STATE + X87_FCS, <i32>load<u16>(CPU_STATE + SEG_CS + SEGMENT_SELECTOR));
  if (hasMemory != 0) store<u64>(CPU_STATE + X87_FDP, operand);
}

/** What every MMX instruction but EMMS does to the unit. */
export function mmxEnter(): void {
  store<i32>(CPU_STATE + X87_TOP, 0);
  store<i32>(CPU_STATE + X87_EMPTY, 0);
}

/** A write to MMn sets the exponent of its register. */
export function mmxWritten(n: i32): void {
  store<u16>(CPU_STATE + X87 + ((n & 7) << 4), 0xffff, 8);
}

/** EMMS. TOP becomes 0 as well. */
export function mmxEmpty(): void {
  store<i32>(CPU_STATE + X87_TOP, 0);
  store<i32>(CPU_STATE + X87_EMPTY, ALL_EMPTY);
}
