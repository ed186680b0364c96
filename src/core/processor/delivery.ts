// Delivery of faults, interrupts and software interrupts in every mode, with double and triple faults.
// SDM 3A "Interrupt 8—Double Fault Exception (#DF)", "Error Code", "RFLAGS.RF".
import { CPU_STATE } from "../../layout/memory-map";
import {
  COUNT_FAULT,
  COUNT_INTERRUPT,
  CR2,
  DR6,
  DR7,
  EXIT_REASON,
  EXIT_SHUTDOWN,
  FAULT_ADDRESS,
  FAULT_ERROR_CODE,
  FAULT_VECTOR,
  HALTED,
  INTERRUPT_SHADOW,
  NMI_BLOCKED,
  NMI_PENDING,
  STATUS_EXIT,
  STATUS_JUMP,
  STATUS_OK,
  STEP_TRAP_INHIBITED,
} from "../../layout/cpu-state";
import { resumeWatching, suspendWatching } from "./breakpoints";
import { deliverLong } from "./delivery-long";
import { deliverProtected, deliverReal } from "./delivery-legacy";
import { setExternalBit } from "./descriptor-tables";
import {
  VECTOR_CP,
  VECTOR_DB,
  VECTOR_DE,
  VECTOR_DF,
  VECTOR_GP,
  VECTOR_NMI,
  VECTOR_PF,
  VECTOR_TS,
  clearFault,
  raiseGP,
  takeDebugConditions,
} from "./faults";
import { mayRedirect, redirectInterrupt } from "./virtual-interrupts";
import { settle } from "./task-gates";
import { isInNewTask } from "./task-switch";
import { RF, ioPrivilege } from "./flags";
import { endRunSoon } from "./interrupts";
import { isLongMode, isRealMode, isVirtual8086 } from "./mode";

/** DR7.GD, which #DB clears. */
const DR7_GD: u64 = 1 << 13;

/** Vectors whose saved RIP is the next instruction's, or that are aborts: #DB, NMI, #BP, #OF, #DF, #MC. All others are faults. */
const NOT_FAULTS: u32 = (1 << 1) | (1 << 2) | (1 << 3) | (1 << 4) | (1 << 8) | (1 << 18);

/** Whether an NMI must wait: between an NMI and the next IRET. */
export function nmiBlocked(): i32 {
  return load<i32>(CPU_STATE + NMI_BLOCKED);
}

/** IRET ends the blocking, and lets one in that waits; RESET too. */
export function unblockNmi(): void {
  if (!load<i32>(CPU_STATE + NMI_BLOCKED)) return;
  store<i32>(CPU_STATE + NMI_BLOCKED, 0);
  if (load<i32>(CPU_STATE + NMI_PENDING)) endRunSoon();
}

/** Delivers the waiting fault. RIP is the faulting instruction's. Returns STATUS_JUMP, or STATUS_EXIT after a triple fault. */
export function deliverFault(): i32 {
  store<i64>(CPU_STATE + COUNT_FAULT, load<i64>(CPU_STATE + COUNT_FAULT) + 1);
  const vector = load<i32>(CPU_STATE + FAULT_VECTOR);
  const code = load<i32>(CPU_STATE + FAULT_ERROR_CODE);
  noteFaultRegisters(vector);
  return deliverEvent(vector, code, NOT_FAULTS & (1 << vector) ? 0 : RF);
}

/** Delivers an external interrupt. The caller has looked at EFLAGS.IF and the interrupt shadow. */
export function deliverInterrupt(vector: i32): i32 {
  store<i64>(CPU_STATE + COUNT_INTERRUPT, load<i64>(CPU_STATE + COUNT_INTERRUPT) + 1);
  return deliverEvent(vector, -1, 0);
}

/** Delivers an NMI. The caller has looked at `nmiBlocked`. */
export function deliverNmi(): i32 {
  store<i32>(CPU_STATE + NMI_BLOCKED, 1);
  return deliverEvent(VECTOR_NMI, -1, 0);
}

/** INT n. RIP is the next instruction's. Returns STATUS_JUMP, or STATUS_FAULT. */
export function softwareInterrupt(vector: i32): i32 {
  if (mayRedirect()) {
    const status = redirectInterrupt(vector);
    if (status == STATUS_JUMP) inhibitStepTrap();
    if (status != STATUS_OK) return status;
  }
  if (isVirtual8086() && ioPrivilege() < 3) return raiseGP(0);
  return softwareException(vector);
}

/** INT3 and INTO, which virtual-8086 mode does not refuse. RIP is the next instruction's. */
export function softwareException(vector: i32): i32 {
  inhibitStepTrap();
  const watching = suspendWatching();
  const status = settle(enterHandler(vector, -1, true, 0));
  resumeWatching(watching);
  return status;
}

/** The running instruction enters a handler that clears TF: no single-step trap follows. SDM 3B "Single-Step Exception Condition". */
export function inhibitStepTrap(): void {
  store<i32>(CPU_STATE + STEP_TRAP_INHIBITED, 1);
}

/** Whether `inhibitStepTrap` was called since the last question. */
export function takeStepTrapInhibition(): i32 {
  const inhibited = load<i32>(CPU_STATE + STEP_TRAP_INHIBITED);
  store<i32>(CPU_STATE + STEP_TRAP_INHIBITED, 0);
  return inhibited;
}

/** INT1: #DB without a condition in DR6, and without regard to the gate's privilege. RIP is the next instruction's. */
export function debugInterrupt(): i32 {
  inhibitStepTrap();
  const watching = suspendWatching();
  setExternalBit(1);
  const status = settle(enterHandler(VECTOR_DB, -1, false, 0));
  setExternalBit(0);
  resumeWatching(watching);
  return status;
}

/** Delivers an event that no instruction can refuse, and what goes wrong with it. */
function deliverEvent(vector: i32, code: i32, resume: u64): i32 {
  const watching = suspendWatching();
  const status = deliverUnwatched(vector, code, resume);
  resumeWatching(watching);
  return status;
}

function deliverUnwatched(vector: i32, code: i32, resume: u64): i32 {
  store<i32>(CPU_STATE + HALTED, 0);
  store<i32>(CPU_STATE + INTERRUPT_SHADOW, 0);
  let status = attempt(vector, code, resume);
  while (status != STATUS_JUMP) {
    const second = load<i32>(CPU_STATE + FAULT_VECTOR);
    noteFaultRegisters(second);
    if (vector == VECTOR_DF) return shutDown();
    if (makesDoubleFault(vector, second)) {
      vector = VECTOR_DF;
      code = 0;
      resume = 0;
    } else {
      vector = second;
      code = load<i32>(CPU_STATE + FAULT_ERROR_CODE);
      resume = RF;
    }
    status = attempt(vector, code, resume);
  }
  return status;
}

function attempt(vector: i32, code: i32, resume: u64): i32 {
  clearFault();
  isInNewTask();
  setExternalBit(1);
  const status = enterHandler(vector, code, false, resume);
  setExternalBit(0);
  return status;
}

function enterHandler(vector: i32, code: i32, software: bool, resume: u64): i32 {
  if (isRealMode()) return deliverReal(vector);
  if (isLongMode()) return deliverLong(vector, code, software, resume);
  return deliverProtected(vector, code, software, resume);
}

/** CR2, DR6 and DR7 are written when the fault is delivered or breaks another's delivery. */
function noteFaultRegisters(vector: i32): void {
  if (vector == VECTOR_PF) {
    store<u64>(CPU_STATE + CR2, load<u64>(CPU_STATE + FAULT_ADDRESS));
  } else if (vector == VECTOR_DB) {
    store<u64>(CPU_STATE + DR6, load<u64>(CPU_STATE + DR6) | takeDebugConditions());
    store<u64>(CPU_STATE + DR7, load<u64>(CPU_STATE + DR7) & ~DR7_GD);
  }
}

/** SDM 3A table "Conditions for Generating a Double Fault". */
function makesDoubleFault(first: i32, second: i32): bool {
  if (first == VECTOR_PF) return second == VECTOR_PF || isContributory(second);
  return isContributory(first) && isContributory(second);
}

function isContributory(vector: i32): bool {
  return vector == VECTOR_DE || (vector >= VECTOR_TS && vector <= VECTOR_GP) || vector == VECTOR_CP;
}

function shutDown(): i32 {
  clearFault();
  store<i32>(CPU_STATE + EXIT_REASON, EXIT_SHUTDOWN);
  return STATUS_EXIT;
}
