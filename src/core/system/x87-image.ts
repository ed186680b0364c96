// FNSTENV, FLDENV, FNSAVE, FRSTOR and FWAIT: the x87 unit's image between guest memory and the processor.
// SDM 1 "Saving the x87 FPU's State with FSTENV/FNSTENV and FSAVE/FNSAVE".
import { CPU_STATE, SCRATCH } from "../../layout/memory-map";
import { CR0, STATUS_FAULT, STATUS_OK } from "../../layout/cpu-state";
import {
  x87FinishEnvironment,
  x87ReadEnvironment,
  x87ReadState,
  x87WriteEnvironment,
  x87WriteState,
} from "../float/x87/environment";
import { x87Initialise } from "../float/x87/control";
import { checkPending } from "../float/x87/unit";
import { prepareWrite } from "../memory/access";
import { isAligned } from "../memory/alignment";
import { readLinear16, writeLinear16 } from "../memory/linear-memory";
import { faulted, raise, VECTOR_NM } from "../processor/faults";
import { isRealMode, isVirtual8086 } from "../processor/mode";

/** The image on its way; behind what accesses use of the scratch area. */
const IMAGE: usize = SCRATCH + 128;

const REGISTERS_BYTES: i32 = 80;

function environmentBytes(bits: i32): i32 {
  return bits == 16 ? 14 : 28;
}

/** What #AC wants of the image. */
function alignmentOf(bits: i32): i32 {
  return bits == 16 ? 2 : 4;
}

function protectedLayout(): i32 {
  return isRealMode() || isVirtual8086() ? 0 : 1;
}

function copyToGuest(va: u64, bytes: i32, alignment: i32): i32 {
  if (!isAligned(va, alignment) || !prepareWrite(va, bytes)) return STATUS_FAULT;
  for (let i = 0; i < bytes; i += 2) writeLinear16(va + i, <u64>load<u16>(IMAGE + i));
  return STATUS_OK;
}

function copyFromGuest(va: u64, bytes: i32, alignment: i32): i32 {
  if (!isAligned(va, alignment)) return STATUS_FAULT;
  for (let i = 0; i < bytes; i += 2) {
    const value = readLinear16(va + i);
    if (faulted()) return STATUS_FAULT;
    store<u16>(IMAGE + i, <u16>value);
  }
  return STATUS_OK;
}

/** `bits` is the operand size: 16 gives the short image, 32 and 64 the long one. */
export function x87StoreEnvironment(va: u64, bits: i32): i32 {
  x87WriteEnvironment(IMAGE, bits, protectedLayout());
  const status = copyToGuest(va, environmentBytes(bits), alignmentOf(bits));
  return status == STATUS_OK ? x87FinishEnvironment() : status;
}

export function x87LoadEnvironment(va: u64, bits: i32): i32 {
  const status = copyFromGuest(va, environmentBytes(bits), alignmentOf(bits));
  return status == STATUS_OK ? x87ReadEnvironment(IMAGE, bits, protectedLayout()) : status;
}

export function x87SaveState(va: u64, bits: i32): i32 {
  x87WriteState(IMAGE, bits, protectedLayout());
  const status = copyToGuest(va, environmentBytes(bits) + REGISTERS_BYTES, alignmentOf(bits));
  return status == STATUS_OK ? x87Initialise() : status;
}

export function x87RestoreState(va: u64, bits: i32): i32 {
  const status = copyFromGuest(va, environmentBytes(bits) + REGISTERS_BYTES, alignmentOf(bits));
  return status == STATUS_OK ? x87ReadState(IMAGE, bits, protectedLayout()) : status;
}

/** CR0.MP and CR0.TS together. */
const MONITOR_AND_TASK_SWITCHED: u64 = 0x0a;

/** FWAIT: #NM when both CR0.MP and CR0.TS are set, then a pending exception. */
export function x87Wait(): i32 {
  if ((load<u64>(CPU_STATE + CR0) & MONITOR_AND_TASK_SWITCHED) == MONITOR_AND_TASK_SWITCHED) return raise(VECTOR_NM);
  return checkPending();
}
