// Hardware task switches: by JMP and CALL to a TSS or task gate, by events through a task gate, by IRET with NT set.
// SDM 3A "Task Switching", "Task Linking", table "Exception Conditions Checked During a Task Switch".
//
// Until the switch is committed a fault leaves everything as it was. Behind that point a fault belongs to the new
// task: `isInNewTask` then tells the caller not to go back to the old instruction.
import { CPU_STATE } from "../../layout/memory-map";
import {
  CPL,
  CR0,
  CR3,
  CR4,
  DR7,
  RAX,
  RIP,
  SEGMENT_ATTRIBUTES,
  SEGMENT_BASE,
  SEGMENT_LIMIT,
  SEGMENT_SELECTOR,
  SEG_CS,
  SEG_LDTR,
  SEG_TR,
  STATUS_FAULT,
  STATUS_JUMP,
  STATUS_OK,
} from "../../layout/cpu-state";
import {
  faulted,
  prepareWriteIn,
  readSystem16,
  readSystem32,
  readSystem8,
  writeSystem16,
  writeSystem32,
  writeSystem8,
} from "../memory/linear-memory";
import { flushTlb } from "../memory/tlb";
import { systemBank } from "../memory/translate";
import { fetchDescriptor, fetched, fetchedAt, markDescriptorAccessed, raiseSelector, setTypeBits } from "./descriptor-tables";
import {
  ATTRIBUTE_ACCESSED,
  ATTRIBUTE_NULL,
  ATTRIBUTE_P,
  ATTRIBUTE_S,
  TYPE_LDT,
  descriptorAttributes,
  descriptorBase,
  descriptorLimit,
  isCodeSegment,
  isConformingCode,
  isNullSelector,
  isWritableData,
  privilegeOf,
  systemTypeOf,
} from "./descriptors";
import { VECTOR_GP, VECTOR_NP, VECTOR_SS, VECTOR_TS, raiseDebug, raiseGP } from "./faults";
import { NT, VM, readFlags, writeFlags } from "./flags";
import { isLongMode, updateMode } from "./mode";
import { CS, DS, ES, FS, GS, SS, segmentAt, selectorOf, setNullSegment, setRealSegment, setSegment, setSegmentFrom } from "./segment-cache";
import { isReachable, isReadable } from "./segments";
import { push } from "./stack";

/** How a task came to be left. CALL and events nest the new task. */
export const BY_JUMP: i32 = 0;
export const BY_CALL: i32 = 1;
export const BY_RETURN: i32 = 2;

// Type bits of a TSS descriptor: 32-bit, and busy; the others are 0001.
const TSS_32: i32 = 8;
const TSS_BUSY: i32 = 2;
/** Least limits of a new TSS, and what of an old one must be there to be written. */
const LIMIT_32: u32 = 0x67;
const LIMIT_16: u32 = 0x2b;
const SAVED_END_32: u32 = 0x5f;
const SAVED_END_16: u32 = 0x29;

// Offsets in a TSS of 32 bits, and of 16 bits. General registers and segment registers follow in encoding order.
const CR3_32: u64 = 0x1c;
const EIP_32: u64 = 0x20;
const EIP_16: u64 = 0x0e;
const REGISTERS_32: u64 = 0x28;
const REGISTERS_16: u64 = 0x12;
const SELECTORS_32: u64 = 0x48;
const SELECTORS_16: u64 = 0x22;
const LDT_32: u64 = 0x60;
const LDT_16: u64 = 0x2a;
const TRAP_32: u64 = 0x64;

const CR0_TS: u64 = 8;
const CR0_PG: u64 = 1 << 31;
const CR4_PGE: u64 = 1 << 7;
const DR6_BT: u64 = 1 << 15;
/** L0 to L3 and LE, which belong to a task. */
const DR7_LOCAL: u64 = 0x155;
const ALL_FLAGS: u64 = 0x3f7fd5;

/** Set when a switch was committed and then faulted. */
let inNewTask: bool = false;

/** Whether the waiting fault is the new task's, and RIP that of its first instruction; once. */
export function isInNewTask(): bool {
  const result = inNewTask;
  inNewTask = false;
  return result;
}

// The new task's state, read before anything is written.
let newIs32: bool = false;
let newCR3: u64 = 0;
let newIP: u64 = 0;
let newFlags: u64 = 0;
let newLDT: i32 = 0;
let newTraps: bool = false;
const newRegisters: usize = memory.data(32, 4);
const newSelectors: usize = memory.data(24, 4);

/**
 * Switches to the task of a TSS selector. `code` is the error code that an event brings along, or -1; `resume` is RF or 0.
 * STATUS_JUMP when it is done; STATUS_FAULT otherwise, see `isInNewTask`.
 */
export function switchTask(selector: i32, by: i32, code: i32, resume: u64): i32 {
  // A wrong selector is the gate's fault, or that of the link in the present TSS.
  const vector = by == BY_RETURN ? VECTOR_TS : VECTOR_GP;
  if (isNullSelector(selector) || selector & 4) return raiseSelector(vector, selector);
  if (!fetchDescriptor(selector, vector)) return STATUS_FAULT;
  const descriptor = fetched;
  const at = fetchedAt;
  const attributes = descriptorAttributes(descriptor);
  const wanted = by == BY_RETURN ? TSS_BUSY | 1 : 1;
  if (attributes & ATTRIBUTE_S || (systemTypeOf(attributes) & ~TSS_32) != wanted) return raiseSelector(vector, selector);
  if (!(attributes & ATTRIBUTE_P)) return raiseSelector(VECTOR_NP, selector);
  newIs32 = (attributes & TSS_32) != 0;
  const base = descriptorBase(descriptor);
  const limit = descriptorLimit(descriptor);
  const least: u32 = newIs32 ? LIMIT_32 : LIMIT_16;
  if (limit < least) return raiseSelector(VECTOR_TS, selector);

  const oldSelector = load<u16>(CPU_STATE + SEG_TR, SEGMENT_SELECTOR);
  if (!mayLeave() || !readTask(base)) return STATUS_FAULT;
  if (by == BY_CALL && !prepareWriteIn(systemBank(), base, 2)) return STATUS_FAULT;
  if (!setTypeBits(at, TSS_BUSY)) return STATUS_FAULT;
  if (by != BY_CALL && !clearBusy(oldSelector)) return STATUS_FAULT;

  saveTask((by == BY_RETURN ? readFlags() & ~NT : readFlags()) | resume);
  if (by == BY_CALL) writeSystem16(base, oldSelector);
  setSegment(CPU_STATE + SEG_TR, selector, base, limit, attributes | TSS_BUSY);
  if (by == BY_CALL) newFlags |= NT;
  inNewTask = true;
  enterTask();
  if (!loadSegments()) return STATUS_FAULT;
  if (code >= 0 && push(code, newIs32 ? 32 : 16) != STATUS_OK) return STATUS_FAULT;
  if (newTraps) return raiseDebug(DR6_BT);
  inNewTask = false;
  return STATUS_JUMP;
}

/** Whether the present TSS takes the registers: long enough, and writable. */
function mayLeave(): bool {
  const is32 = (load<i32>(CPU_STATE + SEG_TR, SEGMENT_ATTRIBUTES) & TSS_32) != 0;
  const last: u32 = is32 ? SAVED_END_32 : SAVED_END_16;
  if (load<u32>(CPU_STATE + SEG_TR, SEGMENT_LIMIT) < last) {
    raiseSelector(VECTOR_TS, load<u16>(CPU_STATE + SEG_TR, SEGMENT_SELECTOR));
    return false;
  }
  return prepareWriteIn(systemBank(), load<u64>(CPU_STATE + SEG_TR, SEGMENT_BASE), <i32>last + 1);
}

function readTask(base: u64): bool {
  newCR3 = newIs32 ? readSystem32(base + CR3_32) : 0;
  newIP = newIs32 ? readSystem32(base + EIP_32) : readSystem16(base + EIP_16);
  newFlags = newIs32 ? readSystem32(base + EIP_32 + 4) : readSystem16(base + EIP_16 + 2);
  newLDT = <i32>readSystem16(base + (newIs32 ? LDT_32 : LDT_16));
  newTraps = newIs32 && (readSystem16(base + TRAP_32) & 1) != 0;
  for (let n: u64 = 0; n < 8; n++) {
    // What a TSS of 16 bits has no room for becomes ones in general registers, and null in FS and GS.
    const value = newIs32 ? readSystem32(base + REGISTERS_32 + n * 4) : readSystem16(base + REGISTERS_16 + n * 2) | 0xffff0000;
    store<u32>(newRegisters + <usize>n * 4, <u32>value);
  }
  for (let n: u64 = 0; n < 6; n++) {
    const value = newIs32 ? readSystem16(base + SELECTORS_32 + n * 4) : n < 4 ? readSystem16(base + SELECTORS_16 + n * 2) : 0;
    store<u32>(newSelectors + <usize>n * 4, <u32>value);
  }
  return !faulted();
}

/** Returns false with the fault set. */
function clearBusy(selector: i32): bool {
  if (isNullSelector(selector)) return true;
  if (!fetchDescriptor(selector, VECTOR_TS)) return false;
  const typeByte = readSystem8(fetchedAt + 5);
  if (!faulted()) writeSystem8(fetchedAt + 5, typeByte & ~(<u64>TSS_BUSY));
  return !faulted();
}

/** Writes the registers to the present TSS, which is known to be writable. */
function saveTask(flags: u64): void {
  const base = load<u64>(CPU_STATE + SEG_TR, SEGMENT_BASE);
  const ip = load<u64>(CPU_STATE + RIP);
  if (load<i32>(CPU_STATE + SEG_TR, SEGMENT_ATTRIBUTES) & TSS_32) {
    writeSystem32(base + EIP_32, ip);
    writeSystem32(base + EIP_32 + 4, flags);
    for (let n: u64 = 0; n < 8; n++) writeSystem32(base + REGISTERS_32 + n * 4, load<u64>(CPU_STATE + RAX + <usize>n * 8));
    for (let n: u64 = 0; n < 6; n++) writeSystem16(base + SELECTORS_32 + n * 4, selectorOf(<i32>n));
  } else {
    writeSystem16(base + EIP_16, ip);
    writeSystem16(base + EIP_16 + 2, flags);
    for (let n: u64 = 0; n < 8; n++) writeSystem16(base + REGISTERS_16 + n * 2, load<u64>(CPU_STATE + RAX + <usize>n * 8));
    for (let n: u64 = 0; n < 4; n++) writeSystem16(base + SELECTORS_16 + n * 2, selectorOf(<i32>n));
  }
}

/** Everything of the new task that needs no check. Segment registers hold their selectors and nothing usable. */
function enterTask(): void {
  for (let n: usize = 0; n < 8; n++) store<u64>(CPU_STATE + RAX + n * 8, load<u32>(newRegisters + n * 4));
  writeFlags(newFlags, ALL_FLAGS);
  store<u64>(CPU_STATE + RIP, newIP);
  store<u64>(CPU_STATE + DR7, load<u64>(CPU_STATE + DR7) & ~DR7_LOCAL);
  const cr0 = load<u64>(CPU_STATE + CR0) | CR0_TS;
  store<u64>(CPU_STATE + CR0, cr0);
  if (newIs32 && cr0 & CR0_PG) {
    store<u64>(CPU_STATE + CR3, newCR3);
    flushTlb(load<u64>(CPU_STATE + CR4) & CR4_PGE ? 1 : 0);
  }
  const cpl = newFlags & VM ? 3 : selectorAt(CS) & 3;
  for (let n: i32 = 0; n < 6; n++) {
    if (newFlags & VM) setRealSegment(segmentAt(n), selectorAt(n));
    else if (n == CS) store<u16>(segmentAt(n), <u16>selectorAt(n), SEGMENT_SELECTOR);
    else setNullSegment(segmentAt(n), selectorAt(n), cpl);
  }
  setNullSegment(CPU_STATE + SEG_LDTR, newLDT, 0);
  store<i32>(CPU_STATE + CPL, cpl);
  updateMode();
}

// @ts-ignore: decorator
@inline
function selectorAt(index: i32): i32 {
  return load<i32>(newSelectors + <usize>index * 4);
}

/** Loads LDTR and the segment registers. Returns false with the new task's fault set. */
function loadSegments(): bool {
  if (!loadLDT()) return false;
  if (newFlags & VM) return isInside(0xffff);
  // The stack first, so that faults of the others can be delivered on it.
  const done = loadStack() && loadData(ES) && loadData(DS) && loadData(FS) && loadData(GS) && loadCode();
  updateMode();
  return done && isInside(load<u32>(CPU_STATE + SEG_CS, SEGMENT_LIMIT));
}

function isInside(limit: u32): bool {
  if (newIP <= <u64>limit) return true;
  raiseGP(0);
  return false;
}

function loadLDT(): bool {
  if (isNullSelector(newLDT)) return true;
  if (newLDT & 4) return refuse(VECTOR_TS, newLDT);
  if (!fetchDescriptor(newLDT, VECTOR_TS)) return false;
  const attributes = descriptorAttributes(fetched);
  if (attributes & ATTRIBUTE_S || systemTypeOf(attributes) != TYPE_LDT || !(attributes & ATTRIBUTE_P)) {
    return refuse(VECTOR_TS, newLDT);
  }
  setSegmentFrom(CPU_STATE + SEG_LDTR, newLDT, fetched);
  return true;
}

function loadCode(): bool {
  const selector = selectorAt(CS);
  if (isNullSelector(selector)) return refuse(VECTOR_TS, selector);
  if (!fetchDescriptor(selector, VECTOR_TS)) return false;
  const attributes = descriptorAttributes(fetched);
  if (!isCodeSegment(attributes)) return refuse(VECTOR_TS, selector);
  const dpl = privilegeOf(attributes);
  const allowed = isConformingCode(attributes) ? dpl <= (selector & 3) : dpl == (selector & 3);
  if (!allowed) return refuse(VECTOR_TS, selector);
  if (!(attributes & ATTRIBUTE_P)) return refuse(VECTOR_NP, selector);
  return take(CS, selector);
}

function loadStack(): bool {
  const selector = selectorAt(SS);
  if (isNullSelector(selector)) return refuse(VECTOR_TS, selector);
  if (!fetchDescriptor(selector, VECTOR_TS)) return false;
  const attributes = descriptorAttributes(fetched);
  if (!isWritableData(attributes)) return refuse(VECTOR_TS, selector);
  // Unlike everywhere else, presence comes before privilege.
  if (!(attributes & ATTRIBUTE_P)) return refuse(VECTOR_SS, selector);
  const cpl = selectorAt(CS) & 3;
  if (privilegeOf(attributes) != cpl || (selector & 3) != cpl) return refuse(VECTOR_TS, selector);
  if (!take(SS, selector)) return false;
  updateMode();
  return true;
}

function loadData(index: i32): bool {
  const selector = selectorAt(index);
  if (isNullSelector(selector)) return true;
  if (!fetchDescriptor(selector, VECTOR_TS)) return false;
  const attributes = descriptorAttributes(fetched);
  if (!isReadable(attributes) || !isReachable(attributes, selector)) return refuse(VECTOR_TS, selector);
  if (!(attributes & ATTRIBUTE_P)) return refuse(VECTOR_NP, selector);
  return take(index, selector);
}

function take(index: i32, selector: i32): bool {
  const descriptor = fetched;
  if (!markDescriptorAccessed(descriptor, fetchedAt)) return false;
  setSegmentFrom(segmentAt(index), selector, descriptor | (<u64>ATTRIBUTE_ACCESSED << 40));
  return true;
}

function refuse(vector: i32, selector: i32): bool {
  raiseSelector(vector, selector);
  return false;
}

/** Whether there are tasks at all: a TSS is loaded, and the mode is not long mode. */
export function mayReturnToTask(): bool {
  return !isLongMode() && !(load<i32>(CPU_STATE + SEG_TR, SEGMENT_ATTRIBUTES) & ATTRIBUTE_NULL);
}

/** IRET with NT set: to the task that the present TSS links to. */
export function returnToTask(): i32 {
  const link = <i32>readSystem16(load<u64>(CPU_STATE + SEG_TR, SEGMENT_BASE));
  return faulted() ? STATUS_FAULT : switchTask(link, BY_RETURN, -1, 0);
}
