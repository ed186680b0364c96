// CR0, CR2, CR3, CR4 and CR8. SDM 3A "Control Registers", "Mode Switching", "IA-32e Mode Operation";
// SDM 2 "MOV—Move to/from Control Registers", "LMSW", "SMSW", "CLTS". The caller has checked CPL.
import { CPU_STATE } from "../../layout/memory-map";
import {
  CODE_BITS,
  CR0,
  CR2,
  CR3,
  CR4,
  INTERRUPT_PENDING,
  MSR_EFER,
  SEG_CS,
  SEGMENT_ATTRIBUTES,
  STATUS_JUMP,
  STATUS_OK,
} from "../../layout/cpu-state";
import { taskPriorityRead, taskPriorityWrite } from "../host";
import { PHYSICAL_ADDRESS_BITS } from "../memory/page-walk";
import { readPhysical64 } from "../memory/physical-memory";
import { flushTlb } from "../memory/tlb";
import { raiseGP, raiseUD } from "../processor/faults";
import { returnForEvents } from "../processor/interrupts";
import { updateMode } from "../processor/mode";
import {
  CR0_AM,
  CR0_CD,
  CR0_EM,
  CR0_ET,
  CR0_MP,
  CR0_NE,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_TS,
  CR0_WP,
  CR4_DE,
  CR4_FSGSBASE,
  CR4_MCE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_OSXSAVE,
  CR4_PAE,
  CR4_PCE,
  CR4_PCIDE,
  CR4_PGE,
  CR4_PKE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  CR4_PVI,
  CR4_TSD,
  CR4_UMIP,
  CR4_VME,
  EFER_LMA,
  EFER_LME,
} from "./control-bits";

/** Bits of CR0 that exist; writes of the others are ignored. */
const CR0_BITS: u64 =
  CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG;

/** Bits of CR4 whose features can be offered; setting another one is #GP. */
const CR4_BITS: u64 =
  CR4_VME | CR4_PVI |
  CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE |
  CR4_SMEP | CR4_SMAP | CR4_UMIP | CR4_FSGSBASE | CR4_PCIDE | CR4_PKE;

/** Changes of these make translations stale. */
const CR0_MAPPING: u64 = CR0_PG | CR0_WP | CR0_PE;
const CR4_MAPPING: u64 = CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP | CR4_PCIDE | CR4_PKE;

/** Writes of these load the page-directory pointers under PAE paging. SDM 3A "PDPTE Registers". */
const CR0_LOADS_PDPTES: u64 = CR0_PG | CR0_CD | CR0_NW;
const CR4_LOADS_PDPTES: u64 = CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP;

/** With CR4.PCIDE: translations of the identifier that CR3 gets need not be forgotten. */
const CR3_KEEPS: u64 = 1 << 63;
const PCID: u64 = 0xfff;
const RESERVED_PHYSICAL: u64 = ~0 << PHYSICAL_ADDRESS_BITS;
/** Bits 1, 2 and 5 to 8 of a PAE page-directory pointer. */
const RESERVED_PDPTE: u64 = RESERVED_PHYSICAL | 0x1e6;

/** u64: CR4 bits that CPUID hides on this machine; until it says which, UMIP, FSGSBASE, PCIDE and PKE. */
const CONTROL_4_WITHHELD: usize = memory.data<u64>([0x430800], 8);

/** Makes CR4 bits reserved whose features the machine's CPUID withholds. */
export function withholdControl4(bits: u64): void {
  store<u64>(CONTROL_4_WITHHELD, bits);
}

/** CR0, CR2, CR3, CR4 or CR8; other numbers are #UD in the instruction table. */
export function readControl(n: i32): i64 {
  switch (n) {
    case 0:
      return load<i64>(CPU_STATE + CR0);
    case 2:
      return load<i64>(CPU_STATE + CR2);
    case 3:
      return load<i64>(CPU_STATE + CR3);
    case 4:
      return load<i64>(CPU_STATE + CR4);
    default:
      return taskPriorityRead();
  }
}

/** STATUS_JUMP where modes or mappings may have changed. `value` is zero-extended from the operand size. */
export function writeControl(n: i32, value: u64): i32 {
  switch (n) {
    case 0:
      return writeControl0(value);
    case 2:
      store<u64>(CPU_STATE + CR2, value);
      return STATUS_OK;
    case 3:
      return writeControl3(value);
    case 4:
      return writeControl4(value);
    case 8:
      if (value > 15) return raiseGP(0);
      taskPriorityWrite(<i32>value);
      // What a lower priority lets in comes behind this instruction.
      return load<i32>(CPU_STATE + INTERRUPT_PENDING) && returnForEvents() ? STATUS_JUMP : STATUS_OK;
    default:
      return raiseUD();
  }
}

function writeControl0(value: u64): i32 {
  if (value >> 32) return raiseGP(0);
  const old = load<u64>(CPU_STATE + CR0);
  const cr0 = (value & CR0_BITS) | CR0_ET;
  if ((cr0 & CR0_PG && !(cr0 & CR0_PE)) || (cr0 & CR0_NW && !(cr0 & CR0_CD))) return raiseGP(0);

  const changed = old ^ cr0;
  const cr4 = load<u64>(CPU_STATE + CR4);
  let efer = load<u64>(CPU_STATE + MSR_EFER);
  const in64BitCode = load<i32>(CPU_STATE + CODE_BITS) == 64;
  if (changed & CR0_PG) {
    if (cr0 & CR0_PG) {
      if (efer & EFER_LME) {
        if (!(cr4 & CR4_PAE) || hasLongCodeSegment()) return raiseGP(0);
        efer |= EFER_LMA;
      }
    } else {
      if (in64BitCode || cr4 & CR4_PCIDE) return raiseGP(0);
      efer &= ~EFER_LMA;
    }
  }
  if (cr0 & CR0_PG && !(efer & EFER_LMA) && cr4 & CR4_PAE && changed & CR0_LOADS_PDPTES) {
    if (!arePointersValid(load<u64>(CPU_STATE + CR3))) return raiseGP(0);
  }
  if (!changed) return STATUS_OK;

  store<u64>(CPU_STATE + CR0, cr0);
  store<u64>(CPU_STATE + MSR_EFER, efer);
  if (changed & CR0_MAPPING) flushTlb(0);
  updateMode();
  return STATUS_JUMP;
}

function writeControl3(value: u64): i32 {
  const cr4 = load<u64>(CPU_STATE + CR4);
  if (load<u64>(CPU_STATE + MSR_EFER) & EFER_LMA) {
    // What of other identifiers is to be kept is forgotten with the rest: bit 63 only permits to keep it.
    if (cr4 & CR4_PCIDE) value &= ~CR3_KEEPS;
    if (value & RESERVED_PHYSICAL) return raiseGP(0);
  } else if (load<u64>(CPU_STATE + CR0) & CR0_PG && cr4 & CR4_PAE) {
    if (!arePointersValid(value)) return raiseGP(0);
  }
  store<u64>(CPU_STATE + CR3, value);
  flushTlb(cr4 & CR4_PGE ? 1 : 0);
  return STATUS_JUMP;
}

function writeControl4(value: u64): i32 {
  if (value & (~CR4_BITS | load<u64>(CONTROL_4_WITHHELD))) return raiseGP(0);
  const changed = load<u64>(CPU_STATE + CR4) ^ value;
  if (load<u64>(CPU_STATE + MSR_EFER) & EFER_LMA) {
    if (!(value & CR4_PAE)) return raiseGP(0);
    if (changed & value & CR4_PCIDE && load<u64>(CPU_STATE + CR3) & PCID) return raiseGP(0);
  } else if (value & CR4_PCIDE) {
    return raiseGP(0);
  } else if (load<u64>(CPU_STATE + CR0) & CR0_PG && value & CR4_PAE && changed & CR4_LOADS_PDPTES) {
    if (!arePointersValid(load<u64>(CPU_STATE + CR3))) return raiseGP(0);
  }
  if (!changed) return STATUS_OK;

  store<u64>(CPU_STATE + CR4, value);
  if (changed & CR4_MAPPING) flushTlb(0);
  updateMode();
  return STATUS_JUMP;
}

/** LMSW: bits 0 to 3 of CR0, but PE is never cleared. */
export function lmsw(value: i32): i32 {
  const old = load<u64>(CPU_STATE + CR0);
  const low = <u64>(value & 15) | (old & CR0_PE);
  return writeControl0((old & ~0xf) | low);
}

/** SMSW: CR0, of which the instruction stores as much as its operand holds. */
export function smsw(): i64 {
  return load<i64>(CPU_STATE + CR0);
}

/** CLTS. */
export function clts(): i32 {
  store<u64>(CPU_STATE + CR0, load<u64>(CPU_STATE + CR0) & ~CR0_TS);
  return STATUS_OK;
}

/** CS.L as loaded, whatever the mode: bit 13 of the attributes. */
function hasLongCodeSegment(): bool {
  return (load<u32>(CPU_STATE + SEG_CS + SEGMENT_ATTRIBUTES) & (1 << 13)) != 0;
}

/** The four page-directory pointers of PAE paging: no present one may have a reserved bit set. */
function arePointersValid(cr3: u64): bool {
  const table = cr3 & 0xffffffe0;
  for (let i: u64 = 0; i < 4; i++) {
    const pointer = readPhysical64(table + i * 8);
    if (pointer & 1 && pointer & RESERVED_PDPTE) return false;
  }
  return true;
}
