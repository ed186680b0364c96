// Instructions that read and write the flags that privilege guards. SDM 2 under the instructions' names.
import { CPU_STATE, TLB_BANK_SUPERVISOR_AC } from "../../layout/memory-map";
import {
  BUDGET,
  BUDGET_START,
  EXIT_HALT,
  EXIT_REASON,
  HALTED,
  INTERRUPT_PENDING,
  INTERRUPT_SHADOW,
  RFLAGS_SYSTEM,
  RIP,
  SHADOW_RIP,
  STATUS_EXIT,
  STATUS_JUMP,
  STATUS_OK,
  TLB_BASE,
} from "../../layout/cpu-state";
import { systemBank } from "../memory/translate";
import { raiseGP, raiseUD } from "./faults";
import {
  AC,
  DF,
  ID,
  IF,
  IOPL,
  NT,
  RF,
  STATUS_FLAGS,
  TF,
  VM,
  ioPrivilege,
  readFlags,
  systemFlags,
  writeFlags,
} from "./flags";
import { currentPrivilege, isVirtual8086, updateTlbBank } from "./mode";
import {
  changesVirtualFlag,
  flagsWithVirtualFlag,
  hasVirtualFlag,
  loadVirtualFlag,
  refusesVirtualFlags,
  setVirtualFlag,
} from "./virtual-interrupts";

export function cli(): i32 {
  if (!maySetInterruptFlag()) return changesVirtualFlag() ? setVirtualFlag(false) : raiseGP(0);
  store<u64>(CPU_STATE + RFLAGS_SYSTEM, systemFlags() & ~IF);
  return STATUS_OK;
}

/** Interrupts stay off for one more instruction if they were off. */
export function sti(): i32 {
  if (!maySetInterruptFlag()) return changesVirtualFlag() ? setVirtualFlag(true) : raiseGP(0);
  if (systemFlags() & IF) return STATUS_OK;
  store<u64>(CPU_STATE + RFLAGS_SYSTEM, systemFlags() | IF);
  store<i32>(CPU_STATE + INTERRUPT_SHADOW, 1);
  store<u64>(CPU_STATE + SHADOW_RIP, load<u64>(CPU_STATE + RIP));
  returnForEvents();
  return STATUS_OK;
}

/** CPL <= IOPL; virtual-8086 mode has CPL 3. */
function maySetInterruptFlag(): bool {
  return currentPrivilege() <= ioPrivilege();
}

/** What PUSHF of 16, 32 or 64 bits pushes; `faulted()` tells of #GP(0) in virtual-8086 mode. */
export function flagsForPush(bits: i32): u64 {
  if (isVirtual8086() && ioPrivilege() < 3) {
    if (bits == 16 && hasVirtualFlag()) return flagsWithVirtualFlag();
    raiseGP(0);
    return 0;
  }
  return readFlags() & ~(VM | RF);
}

/** Whether POPF may load these flags: STATUS_FAULT with #GP(0) of virtual-8086 mode. */
export function checkPoppedFlags(value: u64, bits: i32): i32 {
  if (!isVirtual8086() || ioPrivilege() == 3) return STATUS_OK;
  return bits != 16 || !hasVirtualFlag() || refusesVirtualFlags(value) ? raiseGP(0) : STATUS_OK;
}

/** POPF of 16, 32 or 64 bits, of flags that were checked. STATUS_JUMP: an interrupt may now be delivered, or single steps begin. */
export function popFlags(value: u64, bits: i32): i32 {
  if (hasVirtualFlag()) loadVirtualFlag(value);
  return loadFlags(value, poppableFlags(bits));
}

/** The flags that POPF and IRET may change at the current privilege level, but RF. */
export function poppableFlags(bits: i32): u64 {
  let mask = STATUS_FLAGS | TF | DF | NT;
  if (bits > 16) mask |= AC | ID;
  if (maySetInterruptFlag()) mask |= IF;
  if (currentPrivilege() == 0) mask |= IOPL;
  return mask;
}

/** Writes flags and sees to what follows from AC, IF and TF. */
function loadFlags(value: u64, mask: u64): i32 {
  const before = systemFlags();
  writeFlags(value, mask);
  const after = systemFlags();
  if ((before ^ after) & AC) updateTlbBank();
  if (!(after & ~before & IF) && !(after & TF)) return STATUS_OK;
  return returnForEvents() ? STATUS_JUMP : STATUS_OK;
}

/**
 * Makes the engine return soon if an interrupt waits and is allowed, or if TF or RF asks for single steps,
 * which engines leave to their caller. The count of executed instructions stays right.
 */
export function returnForEvents(): bool {
  const flags = systemFlags();
  const interrupted = (flags & IF) != 0 && load<i32>(CPU_STATE + INTERRUPT_PENDING) != 0;
  if (!interrupted && !(flags & (TF | RF))) return false;
  endRunSoon();
  return true;
}

/** Uses the budget up without counting it as executed: the engine returns at the next jump or end of a block. */
export function endRunSoon(): void {
  const left = load<i32>(CPU_STATE + BUDGET);
  store<i32>(CPU_STATE + BUDGET_START, load<i32>(CPU_STATE + BUDGET_START) - left);
  store<i32>(CPU_STATE + BUDGET, 0);
}

/** HLT. */
export function halt(): i32 {
  if (currentPrivilege() != 0) return raiseGP(0);
  store<i32>(CPU_STATE + HALTED, 1);
  store<i32>(CPU_STATE + EXIT_REASON, EXIT_HALT);
  return STATUS_EXIT;
}

/** #UD outside of CPL 0. CR4.SMAP need not be set. */
export function clac(): i32 {
  if (currentPrivilege() != 0) return raiseUD();
  store<u64>(CPU_STATE + RFLAGS_SYSTEM, systemFlags() & ~AC);
  store<usize>(CPU_STATE + TLB_BASE, systemBank());
  return STATUS_OK;
}

/** Likewise. With AC set, SMAP forbids nothing. */
export function stac(): i32 {
  if (currentPrivilege() != 0) return raiseUD();
  store<u64>(CPU_STATE + RFLAGS_SYSTEM, systemFlags() | AC);
  store<i32>(CPU_STATE + TLB_BASE, TLB_BANK_SUPERVISOR_AC);
  return STATUS_OK;
}
