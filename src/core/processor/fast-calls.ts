// SYSCALL, SYSRET, SYSENTER, SYSEXIT and SWAPGS. APM 3 and SDM 2 under the instructions' names; vendor.ts says whose rules hold.
import { CPU_STATE } from "../../layout/memory-map";
import {
  CPL,
  MSR_CSTAR,
  MSR_EFER,
  MSR_KERNEL_GS_BASE,
  MSR_LSTAR,
  MSR_SFMASK,
  MSR_STAR,
  MSR_SYSENTER_CS,
  MSR_SYSENTER_EIP,
  MSR_SYSENTER_ESP,
  R11,
  RCX,
  RDX,
  RIP,
  RSP,
  SEGMENT_BASE,
  SEGMENT_EFFECTIVE_BASE,
  SEGMENT_SELECTOR,
  SEG_CS,
  SEG_GS,
  SEG_SS,
  STATUS_JUMP,
  STATUS_OK,
  STEP_TRAP_DUE,
} from "../../layout/cpu-state";
import { isCanonical } from "../memory/translate";
import { inhibitStepTrap } from "./delivery";
import { raiseGP, raiseUD } from "./faults";
import { IF, RF, TF, VM, readFlags, systemFlags, writeFlags } from "./flags";
import { returnForEvents } from "./interrupts";
import { EFER_SCE, currentPrivilege, is64Bit, isLongMode, isRealMode, updatePrivilege } from "./mode";
import { setSegment } from "./segment-cache";
import {
  SYSCALL_OUTSIDE_64_BIT_MODE,
  SYSENTER_IN_LONG_MODE,
  SYSRET_CHECKS_RCX,
  SYSRET_LOADS_SS_ATTRIBUTES,
} from "./vendor";

// Flat, present, accessed segments of privilege 0; the privilege is added.
const CODE_64: i32 = 0xa09b;
const CODE_32: i32 = 0xc09b;
const DATA_32: i32 = 0xc093;
const FLAT_LIMIT: u32 = 0xffffffff;
const ALL_FLAGS: u64 = 0x3f7fd7;

export function syscall(): i32 {
  if (!(load<u64>(CPU_STATE + MSR_EFER) & EFER_SCE)) return raiseUD();
  if (isRealMode() || (!SYSCALL_OUTSIDE_64_BIT_MODE && !is64Bit())) return raiseUD();
  const star = load<u64>(CPU_STATE + MSR_STAR);
  const flags = readFlags();
  let target: u64;
  let code = CODE_64;
  store<u64>(CPU_STATE + RCX, load<u64>(CPU_STATE + RIP));
  if (isLongMode()) {
    target = load<u64>(CPU_STATE + (is64Bit() ? MSR_LSTAR : MSR_CSTAR));
    store<u64>(CPU_STATE + R11, flags & ~RF);
    writeFlags(flags & ~load<u64>(CPU_STATE + MSR_SFMASK) & ~RF, ALL_FLAGS);
  } else {
    target = star & 0xffffffff;
    code = CODE_32;
    writeFlags(0, IF | VM | RF);
  }
  // What SFMASK clears TF for is that the kernel is not stepped.
  if (!(systemFlags() & TF)) inhibitStepTrap();
  enterFlat(<i32>(star >> 32) & 0xfffc, code, 0);
  const stack = <i32>((star >> 32) & 0xfffc) + 8;
  setSegment(CPU_STATE + SEG_SS, stack, 0, FLAT_LIMIT, DATA_32);
  store<u64>(CPU_STATE + RIP, target);
  updatePrivilege();
  return STATUS_JUMP;
}

/** `operandBits` 64: to 64-bit code; else to 32-bit code. */
export function sysret(operandBits: i32): i32 {
  if (!(load<u64>(CPU_STATE + MSR_EFER) & EFER_SCE)) return raiseUD();
  if (isRealMode() || (!SYSCALL_OUTSIDE_64_BIT_MODE && !is64Bit())) return raiseUD();
  if (currentPrivilege() != 0) return raiseGP(0);
  const selectors = <i32>(load<u64>(CPU_STATE + MSR_STAR) >> 48);
  const rcx = load<u64>(CPU_STATE + RCX);
  if (operandBits == 64) {
    if (SYSRET_CHECKS_RCX && !isCanonical(rcx)) return raiseGP(0);
    enterFlat(((selectors + 16) & 0xffff) | 3, CODE_64, 3);
    store<u64>(CPU_STATE + RIP, rcx);
  } else {
    enterFlat(selectors | 3, CODE_32, 3);
    store<u64>(CPU_STATE + RIP, rcx & 0xffffffff);
  }
  if (isLongMode()) writeFlags(load<u64>(CPU_STATE + R11) & ~(RF | VM), ALL_FLAGS);
  else writeFlags(IF, IF);

  const stack = ((selectors + 8) & 0xffff) | 3;
  if (SYSRET_LOADS_SS_ATTRIBUTES) setSegment(CPU_STATE + SEG_SS, stack, 0, FLAT_LIMIT, DATA_32 | 0x60);
  else store<u16>(CPU_STATE + SEG_SS + SEGMENT_SELECTOR, <u16>stack);
  // Unlike POPF and IRET: the trap comes before the first instruction of the target, as if SYSCALL had ended there.
  if (systemFlags() & TF) store<i32>(CPU_STATE + STEP_TRAP_DUE, 1);
  updatePrivilege();
  returnForEvents();
  return STATUS_JUMP;
}

export function sysenter(): i32 {
  if (isLongMode() && !SYSENTER_IN_LONG_MODE) return raiseUD();
  const selector = <i32>load<u64>(CPU_STATE + MSR_SYSENTER_CS) & 0xfffc;
  if (isRealMode() || selector == 0) return raiseGP(0);
  writeFlags(0, IF | VM | RF);
  const long = isLongMode();
  enterFlat(selector, long ? CODE_64 : CODE_32, 0);
  setSegment(CPU_STATE + SEG_SS, selector + 8, 0, FLAT_LIMIT, DATA_32);
  const mask: u64 = long ? ~0 : 0xffffffff;
  store<u64>(CPU_STATE + RSP, load<u64>(CPU_STATE + MSR_SYSENTER_ESP) & mask);
  store<u64>(CPU_STATE + RIP, load<u64>(CPU_STATE + MSR_SYSENTER_EIP) & mask);
  updatePrivilege();
  return STATUS_JUMP;
}

/** To CPL 3: stack pointer in RCX, target in RDX. */
export function sysexit(operandBits: i32): i32 {
  if (isLongMode() && !SYSENTER_IN_LONG_MODE) return raiseUD();
  const selector = <i32>load<u64>(CPU_STATE + MSR_SYSENTER_CS) & 0xfffc;
  if (isRealMode() || selector == 0 || currentPrivilege() != 0) return raiseGP(0);
  const wide = operandBits == 64;
  const target = load<u64>(CPU_STATE + RDX);
  const stack = load<u64>(CPU_STATE + RCX);
  if (wide && (!isCanonical(target) || !isCanonical(stack))) return raiseGP(0);
  const codeSelector = (selector + (wide ? 32 : 16)) | 3;
  enterFlat(codeSelector, wide ? CODE_64 : CODE_32, 3);
  setSegment(CPU_STATE + SEG_SS, codeSelector + 8, 0, FLAT_LIMIT, DATA_32 | 0x60);
  const mask: u64 = wide ? ~0 : 0xffffffff;
  store<u64>(CPU_STATE + RSP, stack & mask);
  store<u64>(CPU_STATE + RIP, target & mask);
  updatePrivilege();
  returnForEvents();
  return STATUS_JUMP;
}

/** CS becomes a flat segment of a privilege level, which becomes the current one. */
function enterFlat(selector: i32, attributes: i32, cpl: i32): void {
  setSegment(CPU_STATE + SEG_CS, selector, 0, FLAT_LIMIT, attributes | (cpl << 5));
  store<i32>(CPU_STATE + CPL, cpl);
}

export function swapgs(): i32 {
  if (!is64Bit()) return raiseUD();
  if (currentPrivilege() != 0) return raiseGP(0);
  const base = load<u64>(CPU_STATE + MSR_KERNEL_GS_BASE);
  store<u64>(CPU_STATE + MSR_KERNEL_GS_BASE, load<u64>(CPU_STATE + SEG_GS + SEGMENT_BASE));
  store<u64>(CPU_STATE + SEG_GS + SEGMENT_BASE, base);
  store<u64>(CPU_STATE + SEG_GS + SEGMENT_EFFECTIVE_BASE, base);
  return STATUS_OK;
}
