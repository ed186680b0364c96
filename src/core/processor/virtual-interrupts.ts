// The virtual interrupt flag: CR4.VME in virtual-8086 mode, CR4.PVI at privilege level 3.
// SDM 3B "Interrupt and Exception Handling in Virtual-8086 Mode", "Protected-Mode Virtual Interrupts";
// SDM 2 "CLI", "STI", "PUSHF/PUSHFD", "POPF/POPFD", "INT n", "IRET/IRETD".
import { CPU_STATE } from "../../layout/memory-map";
import {
  CR4,
  RFLAGS_SYSTEM,
  RIP,
  RSP,
  SEGMENT_BASE,
  SEGMENT_LIMIT,
  SEG_TR,
  STATUS_FAULT,
  STATUS_JUMP,
  STATUS_OK,
} from "../../layout/cpu-state";
import { faulted, readLinear16, readSystem16, readSystem8 } from "../memory/linear-memory";
import { CR4_PVI, CR4_VME } from "../system/control-bits";
import { enterRealTarget } from "./code-target";
import { raiseGP } from "./faults";
import { IF, IOPL, NT, TF, VIF, VIP, ioPrivilege, readFlags, systemFlags } from "./flags";
import { currentPrivilege, isVirtual8086 } from "./mode";
import { CS, selectorOf } from "./segment-cache";
import { push } from "./stack";

/** Where VIF lies from IF. */
const VIF_SHIFT: u64 = 10;
/** Offset of the I/O map's base in a TSS; the interrupt redirection map ends there. */
const IO_MAP_BASE: u64 = 102;
const REDIRECTION_BYTES: u64 = 32;

/** Whether code without the right to IF has VIF in its place in virtual-8086 mode. */
export function hasVirtualFlag(): bool {
  return isVirtual8086() && ioPrivilege() < 3 && (load<u64>(CPU_STATE + CR4) & CR4_VME) != 0;
}

/** Whether CLI and STI of the running code change VIF. */
export function changesVirtualFlag(): bool {
  if (isVirtual8086()) return hasVirtualFlag();
  return currentPrivilege() == 3 && ioPrivilege() < 3 && (load<u64>(CPU_STATE + CR4) & CR4_PVI) != 0;
}

/** CLI and STI on VIF. A virtual interrupt that waits makes STI fault, so that the monitor can deliver it. */
export function setVirtualFlag(on: bool): i32 {
  const flags = systemFlags();
  if (on && flags & VIP) return raiseGP(0);
  store<u64>(CPU_STATE + RFLAGS_SYSTEM, on ? flags | VIF : flags & ~VIF);
  return STATUS_OK;
}

/** FLAGS as PUSHF and INT n with VME push them: IOPL 3, and VIF in the place of IF. */
export function flagsWithVirtualFlag(): u64 {
  const flags = readFlags();
  return (flags & ~IF) | IOPL | ((flags & VIF) >> VIF_SHIFT);
}

/** Whether POPF and IRET of 16 bits may load these flags with VME: no single steps, and no waiting virtual interrupt let in. */
export function refusesVirtualFlags(flags: u64): bool {
  return (flags & TF) != 0 || ((flags & IF) != 0 && (systemFlags() & VIP) != 0);
}

/** IF of popped flags goes to VIF. The caller loads the other flags, and leaves IF and IOPL alone. */
export function loadVirtualFlag(flags: u64): void {
  store<u64>(CPU_STATE + RFLAGS_SYSTEM, (systemFlags() & ~VIF) | ((flags & IF) << VIF_SHIFT));
}

/**
 * INT n in virtual-8086 mode with VME, where the redirection map says so: to the handler of the task's own vector table.
 * STATUS_OK: it is not redirected.
 */
export function redirectInterrupt(vector: i32): i32 {
  const base = load<u64>(CPU_STATE + SEG_TR, SEGMENT_BASE);
  const mapEnd = readSystem16(base + IO_MAP_BASE);
  if (faulted()) return STATUS_FAULT;
  const at = mapEnd - REDIRECTION_BYTES + <u64>(vector >> 3);
  if (mapEnd < REDIRECTION_BYTES || at > <u64>load<u32>(CPU_STATE + SEG_TR, SEGMENT_LIMIT)) return raiseGP(0);
  const bits = readSystem8(base + at);
  if (faulted()) return STATUS_FAULT;
  if ((bits >> <u64>(vector & 7)) & 1) return STATUS_OK;

  const offset = readLinear16(<u64>vector * 4);
  const selector = <i32>readLinear16(<u64>vector * 4 + 2);
  if (faulted()) return STATUS_FAULT;
  const flags = ioPrivilege() < 3 ? flagsWithVirtualFlag() : readFlags();
  const oldRsp = load<u64>(CPU_STATE + RSP);
  if (
    push(flags, 16) != STATUS_OK ||
    push(selectorOf(CS), 16) != STATUS_OK ||
    push(load<u64>(CPU_STATE + RIP), 16) != STATUS_OK
  ) {
    store<u64>(CPU_STATE + RSP, oldRsp);
    return STATUS_FAULT;
  }
  const cleared = ioPrivilege() < 3 ? VIF | TF | NT : IF | TF | NT;
  store<u64>(CPU_STATE + RFLAGS_SYSTEM, systemFlags() & ~cleared);
  return enterRealTarget(selector, offset) == STATUS_JUMP ? STATUS_JUMP : STATUS_FAULT;
}

/** Whether INT n of virtual-8086 code may be redirected at all. */
export function mayRedirect(): bool {
  return isVirtual8086() && (load<u64>(CPU_STATE + CR4) & CR4_VME) != 0;
}
