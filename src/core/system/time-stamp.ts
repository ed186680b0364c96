// The time-stamp counter: the machine's counter plus TSC_OFFSET. SDM 3B "Time-Stamp Counter",
// "IA32_TSC_AUX Register and RDTSCP Support", "Time-Stamp Counter Adjustment".
import { CPU_STATE } from "../../layout/memory-map";
import {
  CPL,
  CR4,
  MSR_TSC_ADJUST,
  MSR_TSC_AUX,
  RAX,
  RCX,
  RDX,
  STATUS_OK,
  TSC_OFFSET,
} from "../../layout/cpu-state";
import { timeStampCounter } from "../host";
import { raiseGP } from "../processor/faults";
import { CR4_TSD } from "./control-bits";

const ADJUST: usize = CPU_STATE + MSR_TSC_ADJUST;

/** RDTSC. */
export function rdtsc(): i32 {
  if (load<u64>(CPU_STATE + CR4) & CR4_TSD && load<i32>(CPU_STATE + CPL) != 0) return raiseGP(0);
  const now = readTimeStamp();
  store<u64>(CPU_STATE + RAX, now & 0xffffffff);
  store<u64>(CPU_STATE + RDX, now >> 32);
  return STATUS_OK;
}

/** RDTSCP. */
export function rdtscp(): i32 {
  const status = rdtsc();
  if (status != STATUS_OK) return status;
  store<u64>(CPU_STATE + RCX, load<u64>(CPU_STATE + MSR_TSC_AUX) & 0xffffffff);
  return STATUS_OK;
}

export function readTimeStamp(): u64 {
  return <u64>(<i64>timeStampCounter()) + load<u64>(CPU_STATE + TSC_OFFSET);
}

/** A write of the counter moves IA32_TSC_ADJUST by the same amount. */
export function writeTimeStamp(value: u64): void {
  move(value - readTimeStamp());
}

export function readAdjust(): u64 {
  return load<u64>(ADJUST);
}

/** A write of IA32_TSC_ADJUST moves the counter by the same amount. */
export function writeAdjust(value: u64): void {
  move(value - load<u64>(ADJUST));
}

export function resetTimeStamp(): void {
  store<u64>(ADJUST, 0);
  store<u64>(CPU_STATE + TSC_OFFSET, 0);
}

/** A deadline of the guest's counter in the machine's counter, which the APIC timer knows; 0 disarms. */
export function deadlineToHost(deadline: u64): u64 {
  if (deadline == 0) return 0;
  const offset = load<u64>(CPU_STATE + TSC_OFFSET);
  const host = deadline - offset;
  // A deadline before the machine's counter began has passed.
  return <i64>offset > 0 && (host == 0 || deadline < offset) ? 1 : host;
}

/** The reverse of deadlineToHost. */
export function deadlineFromHost(deadline: u64): u64 {
  return deadline == 0 ? 0 : deadline + load<u64>(CPU_STATE + TSC_OFFSET);
}

function move(by: u64): void {
  store<u64>(ADJUST, load<u64>(ADJUST) + by);
  store<u64>(CPU_STATE + TSC_OFFSET, load<u64>(CPU_STATE + TSC_OFFSET) + by);
}
