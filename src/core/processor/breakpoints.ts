// Breakpoints in DR0 to DR3. SDM 3B "Debug Registers", "Breakpoint Exception Conditions", "Restart Flag".
//
// Code runs at full speed while breakpoints are enabled, and stops where one may match:
// - A page with a data breakpoint is in no TLB, so every access to it comes here. One that matches ends the instruction
//   before it has an effect, with FAULT_WATCHED. The processor then executes it alone, with matches noted, and
//   traps behind it. The same holds for ports.
// - Code on a page with an instruction breakpoint is in no jump cache (`mustStep`): it is executed one by one.
import { CPU_STATE } from "../../layout/memory-map";
import { CR4, DR, DR7, FAULT_WATCHED, RFLAGS_SYSTEM, SEGMENT_EFFECTIVE_BASE, SEG_CS, RIP, STATUS_FAULT, STATUS_OK } from "../../layout/cpu-state";
import { raise, raiseDebug } from "./faults";
import { RF } from "./flags";
import { is64Bit } from "./mode";

const CR4_DE: u64 = 8;
/** L0 to L3 and G0 to G3. */
const DR7_ENABLES: u64 = 0xff;

// What a breakpoint waits for: R/W in DR7.
const ON_EXECUTION: i32 = 0;
const ON_WRITE: i32 = 1;
/** With CR4.DE; undefined without. */
const ON_PORT: i32 = 2;

// What happens where an access matches.
const ENDS_INSTRUCTION: i32 = 0;
const IS_NOTED: i32 = 1;
/** The processor's own accesses while it delivers an event. */
const IS_IGNORED: i32 = 2;
let matching: i32 = ENDS_INSTRUCTION;
/** B0 to B3 of the instruction that is executed alone. */
let noted: u64 = 0;

/** Whether any breakpoint is enabled. */
// @ts-ignore: decorator
@inline
export function areBreakpointsEnabled(): bool {
  return (load<u64>(CPU_STATE + DR7) & DR7_ENABLES) != 0;
}

function isEnabled(n: i32): bool {
  return ((load<u64>(CPU_STATE + DR7) >> <u64>(2 * n)) & 3) != 0;
}

function kindOf(n: i32): i32 {
  return <i32>(load<u64>(CPU_STATE + DR7) >> <u64>(16 + 4 * n)) & 3;
}

/** 1, 2, 4 or 8 bytes. */
function lengthOf(n: i32): u64 {
  const code = <i32>(load<u64>(CPU_STATE + DR7) >> <u64>(18 + 4 * n)) & 3;
  return code == 2 ? 8 : <u64>code + 1;
}

/** Aligned to its length. Outside of 64-bit code addresses have 32 bits. */
function addressOf(n: i32): u64 {
  const address = load<u64>(CPU_STATE + DR + (n << 3)) & ~(lengthOf(n) - 1);
  return is64Bit() ? address : address & 0xffffffff;
}

function isData(kind: i32): bool {
  return kind == ON_WRITE || kind == 3;
}

/** Whether the address's page may not enter a TLB because a data breakpoint lies on it. */
export function isWatchedPage(va: u64): bool {
  for (let n: i32 = 0; n < 4; n++) {
    if (isEnabled(n) && isData(kindOf(n)) && (addressOf(n) ^ va) >> 12 == 0) return true;
  }
  return false;
}

/** Whether an access ends the instruction, with FAULT_WATCHED set. To be asked when breakpoints are enabled. */
export function endsAccess(va: u64, bytes: i32, write: bool): bool {
  if (matching == IS_IGNORED) return false;
  let matches: u64 = 0;
  for (let n: i32 = 0; n < 4; n++) {
    const kind = kindOf(n);
    if (!isData(kind) || (kind == ON_WRITE && !write)) continue;
    const address = addressOf(n);
    if (va < address + lengthOf(n) && address < va + <u64>bytes) matches |= 1 << n;
  }
  return note(withEnabled(matches));
}

/** The same for an access to ports; STATUS_FAULT or STATUS_OK. */
export function watchPorts(port: i32, bytes: i32): i32 {
  if (!areBreakpointsEnabled() || !(load<u64>(CPU_STATE + CR4) & CR4_DE)) return STATUS_OK;
  let matches: u64 = 0;
  for (let n: i32 = 0; n < 4; n++) {
    if (kindOf(n) != ON_PORT) continue;
    const address = <i32>addressOf(n);
    if (port < address + <i32>lengthOf(n) && address < port + bytes) matches |= 1 << n;
  }
  return note(withEnabled(matches)) ? STATUS_FAULT : STATUS_OK;
}

/** DR6 reports disabled breakpoints too, but only one that is enabled makes an exception. */
function withEnabled(matches: u64): u64 {
  for (let n: i32 = 0; n < 4; n++) {
    if (isEnabled(n) && (matches >> <u64>n) & 1) return matches;
  }
  return 0;
}

function note(matches: u64): bool {
  if (!matches) return false;
  if (matching == IS_NOTED) {
    noted |= matches;
    return false;
  }
  raise(FAULT_WATCHED);
  return true;
}

/** Accesses match nothing until `resumeWatching` gets what this returns. */
export function suspendWatching(): i32 {
  const before = matching;
  matching = IS_IGNORED;
  return before;
}

export function resumeWatching(before: i32): void {
  matching = before;
}

/** Whether an instruction breakpoint is enabled on the page of a linear address. */
export function hasBreakpointOnPage(linear: u64): bool {
  if (!areBreakpointsEnabled()) return false;
  for (let n: i32 = 0; n < 4; n++) {
    if (isEnabled(n) && kindOf(n) == ON_EXECUTION && (addressOf(n) ^ linear) >> 12 == 0) return true;
  }
  return false;
}

/** Whether any instruction breakpoint is enabled, so that RF means something. */
export function minedCode(): bool {
  if (!areBreakpointsEnabled()) return false;
  for (let n: i32 = 0; n < 4; n++) {
    if (isEnabled(n) && kindOf(n) == ON_EXECUTION) return true;
  }
  return false;
}

/** A string instruction that is not finished must not meet its own breakpoint again. */
export function keepRestarting(): void {
  if (minedCode()) store<u64>(CPU_STATE + RFLAGS_SYSTEM, load<u64>(CPU_STATE + RFLAGS_SYSTEM) | RF);
}

/**
 * Before an instruction is executed alone: raises #DB for an instruction breakpoint unless RF or `inhibited` (the
 * shadow of a load of SS) holds it back, clears RF, and has matches noted.
 */
export function beginAlone(inhibited: bool): i32 {
  noted = 0;
  matching = IS_NOTED;
  const flags = load<u64>(CPU_STATE + RFLAGS_SYSTEM);
  if (flags & RF) {
    store<u64>(CPU_STATE + RFLAGS_SYSTEM, flags & ~RF);
    return STATUS_OK;
  }
  if (inhibited || !areBreakpointsEnabled()) return STATUS_OK;
  const linear = load<u64>(CPU_STATE + RIP) + load<u64>(CPU_STATE + SEG_CS + SEGMENT_EFFECTIVE_BASE);
  let matches: u64 = 0;
  for (let n: i32 = 0; n < 4; n++) {
    if (kindOf(n) == ON_EXECUTION && addressOf(n) == linear) matches |= 1 << n;
  }
  matches = withEnabled(matches);
  return matches ? raiseDebug(matches) : STATUS_OK;
}

/** Behind it: the bits of DR6 that it has earned. */
export function endAlone(): i32 {
  matching = ENDS_INSTRUCTION;
  return <i32>noted;
}
