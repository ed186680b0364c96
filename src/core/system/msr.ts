// RDMSR and WRMSR. SDM 2 "RDMSR—Read From Model Specific Register", "WRMSR—Write to Model Specific Register".
// The caller has checked CPL. Stored registers are listed in msr-storage.ts and memory-types.ts.
import { CPU_STATE } from "../../layout/memory-map";
import {
  CR0,
  MSR_EFER,
  PKRU,
  RAX,
  RCX,
  RDX,
  STATUS_JUMP,
  STATUS_OK,
} from "../../layout/cpu-state";
import { HOST_VALUE, msrRead, msrWrite } from "../host";
import { flushTlb } from "../memory/tlb";
import { isCanonical } from "../memory/translate";
import { raiseGP } from "../processor/faults";
import { updateEffectiveBases, updateMode } from "../processor/mode";
import { CR0_PG, EFER_LMA, EFER_LME, EFER_NXE, EFER_SCE } from "./control-bits";
import { isMemoryTypeValid } from "./memory-types";
import { constantMsr, existingBits, holdsAddress, readConstantMsr, resetStoredMsrs, storedMsr } from "./msr-storage";
import { performanceMsr, readPerformanceMsr, resetPerformanceCounters, writePerformanceMsr } from "./performance-counters";
import { RESULT } from "./results";
import {
  deadlineFromHost,
  deadlineToHost,
  readAdjust,
  readTimeStamp,
  resetTimeStamp,
  writeAdjust,
  writeTimeStamp,
} from "./time-stamp";

const TIME_STAMP_COUNTER: u32 = 0x10;
const APIC_BASE: u32 = 0x1b;
const TSC_ADJUST: u32 = 0x3b;
const BIOS_UPDATE_SIGNATURE: u32 = 0x8b;
const TSC_DEADLINE: u32 = 0x6e0;
const X2APIC_FIRST: u32 = 0x800;
const X2APIC_COUNT: u32 = 0x100;
const EFER: u32 = 0xc0000080;
const FS_BASE: u32 = 0xc0000100;
const GS_BASE: u32 = 0xc0000101;

const EFER_BITS: u64 = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;

/** u32 index of the last unknown MSR; u32 1 if it was written; u32 count of reads; u32 count of writes. */
const UNKNOWN: usize = memory.data(16, 8);

/** RDMSR: EDX:EAX from the register that ECX names, or #GP. */
export function rdmsr(): i32 {
  const status = readMsr(load<u32>(CPU_STATE + RCX));
  if (status != STATUS_OK) return status;
  const value = load<u64>(RESULT);
  store<u64>(CPU_STATE + RAX, value & 0xffffffff);
  store<u64>(CPU_STATE + RDX, value >> 32);
  return STATUS_OK;
}

/** WRMSR: EDX:EAX to the register that ECX names, or #GP. */
export function wrmsr(): i32 {
  const value = <u64>load<u32>(CPU_STATE + RAX) | ((<u64>load<u32>(CPU_STATE + RDX)) << 32);
  return writeMsr(load<u32>(CPU_STATE + RCX), value);
}

/** Leaves the value at RESULT. */
export function readMsr(index: u32): i32 {
  if (isInApic(index)) {
    if (!msrRead(index)) return raiseGP(0);
    const value = load<u64>(HOST_VALUE);
    return found(index == TSC_DEADLINE ? deadlineFromHost(value) : value);
  }
  switch (index) {
    case TIME_STAMP_COUNTER:
      return found(readTimeStamp());
    case TSC_ADJUST:
      return found(readAdjust());
    case EFER:
      return found(load<u64>(CPU_STATE + MSR_EFER));
    default:
      break;
  }
  const stored = storedMsr(index);
  if (stored) return found(load<u64>(stored));
  if (readConstantMsr(index)) return found(constantMsr);
  if (readPerformanceMsr(index)) return found(performanceMsr);
  return unknown(index, 0);
}

export function writeMsr(index: u32, value: u64): i32 {
  if (isInApic(index)) {
    store<u64>(HOST_VALUE, index == TSC_DEADLINE ? deadlineToHost(value) : value);
    if (!msrWrite(index)) return raiseGP(0);
    if (index != APIC_BASE) return STATUS_OK;
    // The APIC's page is a device wherever it lies: forget what was RAM there.
    flushTlb(0);
    return STATUS_JUMP;
  }
  switch (index) {
    case TIME_STAMP_COUNTER:
      writeTimeStamp(value);
      return STATUS_OK;
    case TSC_ADJUST:
      writeAdjust(value);
      return STATUS_OK;
    case EFER:
      return writeEfer(value);
    case BIOS_UPDATE_SIGNATURE:
      // Software writes 0, executes CPUID and reads the revision.
      return STATUS_OK;
    default:
      break;
  }
  const stored = storedMsr(index);
  if (!stored) {
    const counted = writePerformanceMsr(index, value);
    if (counted > 0) return STATUS_OK;
    return counted < 0 || readConstantMsr(index) ? raiseGP(0) : unknown(index, 1);
  }
  if (value & ~existingBits(index)) return raiseGP(0);
  if (holdsAddress(index) && !isCanonical(value)) return raiseGP(0);
  if (!isMemoryTypeValid(index, value)) return raiseGP(0);
  store<u64>(stored, value);
  if (index == FS_BASE || index == GS_BASE) updateEffectiveBases();
  return STATUS_OK;
}

/** Address of the note on MSRs that do not exist here; see UNKNOWN. */
export function unknownMsrs(): usize {
  return UNKNOWN;
}

/** Values after RESET, for all that this file and its storage hold. */
export function resetMsrs(): void {
  store<u64>(CPU_STATE + MSR_EFER, 0);
  resetStoredMsrs();
  resetPerformanceCounters();
  store<i32>(CPU_STATE + PKRU, 0);
  resetTimeStamp();
  memory.fill(UNKNOWN, 0, 16);
}

function writeEfer(value: u64): i32 {
  if (value & ~EFER_BITS) return raiseGP(0);
  const old = load<u64>(CPU_STATE + MSR_EFER);
  // LMA is the processor's own; what software writes there is ignored.
  const efer = (value & ~EFER_LMA) | (old & EFER_LMA);
  const changed = old ^ efer;
  if (changed & EFER_LME && load<u64>(CPU_STATE + CR0) & CR0_PG) return raiseGP(0);
  store<u64>(CPU_STATE + MSR_EFER, efer);
  if (!(changed & EFER_NXE)) return STATUS_OK;
  flushTlb(0);
  updateMode();
  return STATUS_JUMP;
}

// @ts-ignore: decorator
@inline
function isInApic(index: u32): bool {
  return index == TSC_DEADLINE || index == APIC_BASE || index - X2APIC_FIRST < X2APIC_COUNT;
}

function found(value: u64): i32 {
  store<u64>(RESULT, value);
  return STATUS_OK;
}

function unknown(index: u32, isWrite: u32): i32 {
  store<u32>(UNKNOWN, index);
  store<u32>(UNKNOWN, isWrite, 4);
  const counter = UNKNOWN + 8 + <usize>(isWrite << 2);
  store<u32>(counter, load<u32>(counter) + 1);
  return raiseGP(0);
}
