// What follows from the control registers, the segment registers and the privilege level,
// kept in words of its own so that no engine derives it at every instruction.
import { CPU_STATE, TLB_BANK_SUPERVISOR, TLB_BANK_SUPERVISOR_AC, TLB_BANK_USER, TLB_BANK_USER_ALIGNED } from "../../layout/memory-map";
import {
  CODE_BITS,
  CPL,
  CR0,
  CR4,
  MSR_EFER,
  RFLAGS_SYSTEM,
  RIP_MASK,
  SEGMENTS,
  SEGMENT_ATTRIBUTES,
  SEGMENT_BASE,
  SEGMENT_BYTES,
  SEGMENT_EFFECTIVE_BASE,
  SEG_CS,
  SEG_FS,
  SEG_SS,
  SEG_TR,
  STACK_BITS,
  TLB_BASE,
} from "../../layout/cpu-state";
import { updateModeKey } from "../memory/jump-cache";
import { noteCodeWindow } from "./code-limit";
import { ATTRIBUTE_DB, ATTRIBUTE_L } from "./descriptors";

export const CR0_PE: u64 = 1;
export const CR4_SMAP: u64 = 1 << 21;
export const EFER_SCE: u64 = 1;
export const EFER_LMA: u64 = 1 << 10;

const FIRST_SEGMENT: usize = CPU_STATE + SEGMENTS;
const LAST_SEGMENT: usize = CPU_STATE + SEG_TR;
/** FS: the segments before it have base 0 in 64-bit code. */
const FIRST_BASED_SEGMENT: usize = CPU_STATE + SEG_FS;

/** CR0.PE clear. */
// @ts-ignore: decorator
@inline
export function isRealMode(): bool {
  return !(load<u64>(CPU_STATE + CR0) & CR0_PE);
}

/** EFLAGS.VM set, which only protected mode can have. */
// @ts-ignore: decorator
@inline
export function isVirtual8086(): bool {
  return (load<u64>(CPU_STATE + RFLAGS_SYSTEM) & 0x20000) != 0;
}

/** EFER.LMA: 64-bit or compatibility mode. */
// @ts-ignore: decorator
@inline
export function isLongMode(): bool {
  return (load<u64>(CPU_STATE + MSR_EFER) & EFER_LMA) != 0;
}

// @ts-ignore: decorator
@inline
export function is64Bit(): bool {
  return load<i32>(CPU_STATE + CODE_BITS) == 64;
}

// @ts-ignore: decorator
@inline
export function currentPrivilege(): i32 {
  return load<i32>(CPU_STATE + CPL);
}

/** To be called after any change of CR0, CR4, EFER, CS, SS, CPL, EFLAGS.AC or EFLAGS.VM. */
export function updateMode(): void {
  const cs = load<i32>(CPU_STATE + SEG_CS + SEGMENT_ATTRIBUTES);
  const codeBits = cs & ATTRIBUTE_L && isLongMode() ? 64 : cs & ATTRIBUTE_DB ? 32 : 16;
  store<i32>(CPU_STATE + CODE_BITS, codeBits);
  if (codeBits == 64) {
    store<i32>(CPU_STATE + RIP_MASK, 0);
    store<i32>(CPU_STATE + STACK_BITS, 64);
  } else {
    store<i32>(CPU_STATE + RIP_MASK, codeBits == 32 ? -1 : 0xffff);
    const ss = load<i32>(CPU_STATE + SEG_SS + SEGMENT_ATTRIBUTES);
    store<i32>(CPU_STATE + STACK_BITS, ss & ATTRIBUTE_DB ? 32 : 16);
  }
  updateEffectiveBases();
  updateTlbBank();
  noteCodeWindow();
  updateModeKey();
}

/** The same after CS, SS, CPL or the flags alone changed: between 64-bit code and 64-bit code no base follows from them. */
export function updatePrivilege(): void {
  const cs = load<i32>(CPU_STATE + SEG_CS + SEGMENT_ATTRIBUTES);
  if (!is64Bit() || !(cs & ATTRIBUTE_L) || !isLongMode()) {
    updateMode();
    return;
  }
  updateTlbBank();
  updateModeKey();
}

/** After EFLAGS.AC changed and nothing else. */
export function updateTlbBank(): void {
  const cpl = load<i32>(CPU_STATE + CPL);
  store<i32>(CPU_STATE + TLB_BASE, cpl == 3 && alignmentMatters() ? TLB_BANK_USER_ALIGNED : bankOf(cpl));
}

/** CR0.AM and EFLAGS.AC: user code has its accesses' alignment checked. */
// @ts-ignore: decorator
@inline
function alignmentMatters(): bool {
  return (load<u64>(CPU_STATE + CR0) & load<u64>(CPU_STATE + RFLAGS_SYSTEM) & 0x40000) != 0;
}

/** The bank of explicit accesses at a privilege level, with CR4.SMAP and EFLAGS.AC as they are. */
export function bankOf(cpl: i32): i32 {
  if (cpl == 3) return TLB_BANK_USER;
  const smap = (load<u64>(CPU_STATE + CR4) & CR4_SMAP) != 0 && !(load<u64>(CPU_STATE + RFLAGS_SYSTEM) & 0x40000);
  return smap ? TLB_BANK_SUPERVISOR : TLB_BANK_SUPERVISOR_AC;
}

/** The bases that the running mode adds to addresses. SDM 3A "Segmentation in IA-32e Mode". */
export function updateEffectiveBases(): void {
  const flat = is64Bit();
  for (let at = FIRST_SEGMENT; at <= LAST_SEGMENT; at += SEGMENT_BYTES) {
    const base = flat && at < FIRST_BASED_SEGMENT ? 0 : load<u64>(at, SEGMENT_BASE);
    store<u64>(at, base, SEGMENT_EFFECTIVE_BASE);
  }
}
