// Architectural performance monitoring, version 2: two counters for events and three fixed ones, of 48 bits, and RDPMC.
// SDM 3B "Architectural Performance Monitoring"; SDM 2 "RDPMC". CPUID leaf 0xa says the same (src/cpu/cpuid.ts).
//
// All events that exist are counted by instructions: the processor executes one a cycle, and a halted one executes
// none. A counter counts at every privilege level if it is to count at any. Its interrupt at an overflow comes where
// the run ends in which it overflows: the caller makes runs no longer than instructionsToPerformanceInterrupt().
import { CPU_STATE, RECORDS } from "../../layout/memory-map";
import {
  BUDGET,
  BUDGET_START,
  CPL,
  CR4,
  CURRENT_RECORD,
  INSTRUCTIONS,
  PERFORMANCE_COUNTERS,
  PERFORMANCE_INTERRUPT,
  PERFORMANCE_STATUS,
  RAX,
  RCX,
  RDX,
  STATUS_OK,
} from "../../layout/cpu-state";
import { INDEX } from "../../layout/record";
import { raiseGP } from "../processor/faults";
import { endRunSoon } from "../processor/interrupts";
import { CR4_PCE } from "./control-bits";

const STATE: usize = CPU_STATE + PERFORMANCE_COUNTERS;
const EVENT_COUNTERS: u32 = 2;
const FIXED_COUNTERS: u32 = 3;
/** Values: the event counters, then the fixed ones. */
const VALUES: usize = STATE;
const EVENT_SELECTS: usize = STATE + 40;
const FIXED_CONTROL: usize = STATE + 56;
const GLOBAL_CONTROL: usize = STATE + 64;
/** Instructions executed when the values were last brought up to date. */
const COUNTED: usize = STATE + 72;
const STATE_BYTES: i32 = 80;

const PMC0: u32 = 0xc1;
const PERFEVTSEL0: u32 = 0x186;
const FIXED_CTR0: u32 = 0x309;
const FIXED_CTR_CTRL: u32 = 0x38d;
const GLOBAL_STATUS: u32 = 0x38e;
const GLOBAL_CTRL: u32 = 0x38f;
const GLOBAL_OVF_CTRL: u32 = 0x390;

const VALUE_BITS: u64 = 0xffffffffffff;
/** Event, unit mask, USR, OS, E, PC, INT, EN, INV, counter mask. */
const SELECT_BITS: u64 = 0xffdfffff;
const SELECT_USR_OS: u64 = 3 << 16;
const SELECT_INT: u64 = 1 << 20;
const SELECT_EN: u64 = 1 << 22;
/** Of each fixed counter's four bits. */
const FIXED_ENABLE: u64 = 3;
const FIXED_PMI: u64 = 8;
const GLOBAL_CONTROL_BITS: u64 = (1 << 0) | (1 << 1) | (7 << 32);
/** The counters' overflows, and the two bits that are never set here: OvfBuffer and CondChgd. */
const OVERFLOW_BITS: u64 = GLOBAL_CONTROL_BITS | (3 << 62);
const FIXED_CONTROL_BITS: u64 = 0xbbb;
/** RDPMC: the fixed counters. */
const RDPMC_FIXED: u32 = 1 << 30;

const CYCLES: u64 = 0x003c;
const REFERENCE_CYCLES: u64 = 0x013c;
const INSTRUCTIONS_RETIRED: u64 = 0x00c0;

let offered: bool = false;

export function offerPerformanceCounters(exist: i32): void {
  offered = exist != 0;
}

export function resetPerformanceCounters(): void {
  memory.fill(STATE, 0, STATE_BYTES);
  store<u64>(CPU_STATE + PERFORMANCE_STATUS, 0);
  store<i32>(CPU_STATE + PERFORMANCE_INTERRUPT, 0);
}

/** Sets `performanceMsr`; false where there is no such register. */
export function readPerformanceMsr(index: u32): bool {
  if (!offered) return false;
  const at = addressOf(index);
  if (at) {
    if (isValue(at)) bringUpToDate();
    performanceMsr = load<u64>(at);
    return true;
  }
  if (index == GLOBAL_STATUS) bringUpToDate();
  performanceMsr = index == GLOBAL_STATUS ? load<u64>(CPU_STATE + PERFORMANCE_STATUS) : 0;
  return index == GLOBAL_STATUS || index == GLOBAL_OVF_CTRL;
}

/** What readPerformanceMsr found. */
export let performanceMsr: u64 = 0;

/** Whether a register exists and takes a value: 1; it refuses it: -1; there is none: 0. */
export function writePerformanceMsr(index: u32, value: u64): i32 {
  if (!offered) return 0;
  if (index == GLOBAL_STATUS) return -1;
  if (index == GLOBAL_OVF_CTRL) {
    if (value & ~OVERFLOW_BITS) return -1;
    bringUpToDate();
    store<u64>(CPU_STATE + PERFORMANCE_STATUS, load<u64>(CPU_STATE + PERFORMANCE_STATUS) & ~value);
    return 1;
  }
  const at = addressOf(index);
  if (!at) return 0;
  bringUpToDate();
  // The next run's length is chosen anew.
  endRunSoon();
  if (isValue(at)) {
    // A write of an event counter extends the sign of 32 bits.
    const isEvent = at < VALUES + EVENT_COUNTERS * 8;
    store<u64>(at, (isEvent ? <u64>(<i64>(<i32>value)) : value) & VALUE_BITS);
    return 1;
  }
  if (value & ~existingBits(at)) return -1;
  store<u64>(at, value);
  return 1;
}

/** How many instructions may be executed until a counter overflows that is to interrupt then; infinity where none is. */
export function instructionsToPerformanceInterrupt(): f64 {
  if (!load<u64>(GLOBAL_CONTROL)) return Infinity;
  bringUpToDate();
  let least: u64 = u64.MAX_VALUE;
  for (let counter: u32 = 0; counter < EVENT_COUNTERS + FIXED_COUNTERS; counter++) {
    if (!counts(counter) || !interrupts(counter)) continue;
    least = min(least, VALUE_BITS + 1 - load<u64>(VALUES + <usize>counter * 8));
  }
  return least == u64.MAX_VALUE ? Infinity : <f64>least;
}

/** Whether a counter that is to interrupt has overflowed since the last call. */
export function takePerformanceInterrupt(): i32 {
  if (load<u64>(GLOBAL_CONTROL)) bringUpToDate();
  const due = load<i32>(CPU_STATE + PERFORMANCE_INTERRUPT);
  store<i32>(CPU_STATE + PERFORMANCE_INTERRUPT, 0);
  return due;
}

/** RDPMC: EDX:EAX from the counter that ECX names. */
export function rdpmc(): i32 {
  if (!(load<u64>(CPU_STATE + CR4) & CR4_PCE) && load<i32>(CPU_STATE + CPL) != 0) return raiseGP(0);
  const counter = load<u32>(CPU_STATE + RCX);
  const fixed = (counter & RDPMC_FIXED) != 0;
  const number = counter & ~RDPMC_FIXED;
  if (!offered || number >= (fixed ? FIXED_COUNTERS : EVENT_COUNTERS)) return raiseGP(0);
  bringUpToDate();
  const value = load<u64>(VALUES + <usize>(fixed ? EVENT_COUNTERS + number : number) * 8);
  store<u64>(CPU_STATE + RAX, value & 0xffffffff);
  store<u64>(CPU_STATE + RDX, value >> 32);
  return STATUS_OK;
}

function addressOf(index: u32): usize {
  if (index - PMC0 < EVENT_COUNTERS) return VALUES + <usize>(index - PMC0) * 8;
  if (index - PERFEVTSEL0 < EVENT_COUNTERS) return EVENT_SELECTS + <usize>(index - PERFEVTSEL0) * 8;
  if (index - FIXED_CTR0 < FIXED_COUNTERS) return VALUES + <usize>(EVENT_COUNTERS + index - FIXED_CTR0) * 8;
  if (index == FIXED_CTR_CTRL) return FIXED_CONTROL;
  return index == GLOBAL_CTRL ? GLOBAL_CONTROL : 0;
}

function isValue(at: usize): bool {
  return at < EVENT_SELECTS;
}

function existingBits(at: usize): u64 {
  if (at == GLOBAL_CONTROL) return GLOBAL_CONTROL_BITS;
  return at == FIXED_CONTROL ? FIXED_CONTROL_BITS : SELECT_BITS;
}

/** Adds what was executed since the last time to the counters that count. */
function bringUpToDate(): void {
  const now = executed();
  const count = now - load<u64>(COUNTED);
  store<u64>(COUNTED, now);
  for (let counter: u32 = 0; counter < EVENT_COUNTERS + FIXED_COUNTERS; counter++) {
    if (counts(counter)) add(counter, count);
  }
}

function add(counter: u32, count: u64): void {
  const at = VALUES + <usize>counter * 8;
  const sum = load<u64>(at) + count;
  store<u64>(at, sum & VALUE_BITS);
  if (sum <= VALUE_BITS) return;
  store<u64>(CPU_STATE + PERFORMANCE_STATUS, load<u64>(CPU_STATE + PERFORMANCE_STATUS) | globalBit(counter));
  if (interrupts(counter)) store<i32>(CPU_STATE + PERFORMANCE_INTERRUPT, 1);
}

function isFixed(counter: u32): bool {
  return counter >= EVENT_COUNTERS;
}

/** A counter's bit in IA32_PERF_GLOBAL_CTRL and IA32_PERF_GLOBAL_STATUS. */
function globalBit(counter: u32): u64 {
  return <u64>1 << <u64>(isFixed(counter) ? 32 + counter - EVENT_COUNTERS : counter);
}

function eventSelect(counter: u32): u64 {
  return load<u64>(EVENT_SELECTS + <usize>counter * 8);
}

function fixedControl(counter: u32): u64 {
  return load<u64>(FIXED_CONTROL) >> <u64>(4 * (counter - EVENT_COUNTERS));
}

function counts(counter: u32): bool {
  if (!(load<u64>(GLOBAL_CONTROL) & globalBit(counter))) return false;
  if (isFixed(counter)) return (fixedControl(counter) & FIXED_ENABLE) != 0;
  const select = eventSelect(counter);
  if (!(select & SELECT_EN) || !(select & SELECT_USR_OS)) return false;
  const event = select & 0xffff;
  return event == CYCLES || event == REFERENCE_CYCLES || event == INSTRUCTIONS_RETIRED;
}

function interrupts(counter: u32): bool {
  return isFixed(counter) ? (fixedControl(counter) & FIXED_PMI) != 0 : (eventSelect(counter) & SELECT_INT) != 0;
}

/** Instructions executed since RESET, without the running one. */
function executed(): u64 {
  const record = load<u32>(CPU_STATE + CURRENT_RECORD);
  const inBlock: u32 = record >= <u32>RECORDS ? load<u8>(record, INDEX) : 0;
  const inRun = load<i32>(CPU_STATE + BUDGET_START) - load<i32>(CPU_STATE + BUDGET);
  return load<u64>(CPU_STATE + INSTRUCTIONS) + <u64>(<i64>inRun) + inBlock;
}
