// Model-specific registers that are stored and nothing more: where each lies and which of its bits exist.
// SDM 4 "Model-Specific Registers"; the 0xc001.... ones: AMD BKDG for family 10h, "MSRs - MSRC001_0xxx".
import { CPU_STATE } from "../../layout/memory-map";
import {
  MSR_CSTAR,
  MSR_KERNEL_GS_BASE,
  MSR_LSTAR,
  MSR_PAT,
  MSR_SFMASK,
  MSR_STAR,
  MSR_SYSENTER_CS,
  MSR_SYSENTER_EIP,
  MSR_SYSENTER_ESP,
  MSR_TSC_AUX,
  SEGMENT_BASE,
  SEG_FS,
  SEG_GS,
  STORED_MSRS,
} from "../../layout/cpu-state";
import { memoryTypeAddress, resetMemoryTypes } from "./memory-types";

// Slots of the registers without a name in the processor state, 8 bytes each.
const STORAGE: usize = CPU_STATE + STORED_MSRS;
const MISC_ENABLE: usize = STORAGE;
const DEBUG_CONTROL: usize = STORAGE + 8;
const MCG_STATUS: usize = STORAGE + 16;
const SYSTEM_CONFIGURATION: usize = STORAGE + 24;
const HARDWARE_CONFIGURATION: usize = STORAGE + 32;
const TOP_OF_MEMORY: usize = STORAGE + 40;
const TOP_OF_MEMORY_2: usize = STORAGE + 48;
const INTERRUPT_PENDING_MESSAGE: usize = STORAGE + 56;
const DATA_CACHE_CONFIGURATION: usize = STORAGE + 64;
const DECODE_CONFIGURATION: usize = STORAGE + 72;
const STORAGE_BYTES: i32 = 80;

/** Fast strings on; branch trace and event sampling unavailable. */
const MISC_ENABLE_RESET: u64 = (1 << 0) | (1 << 11) | (1 << 12);
const PAT_RESET: u64 = 0x0007040600070406;

/** Where a stored register lies; 0 when it is not one. */
export function storedMsr(index: u32): usize {
  switch (index) {
    case 0x174: return CPU_STATE + MSR_SYSENTER_CS;
    case 0x175: return CPU_STATE + MSR_SYSENTER_ESP;
    case 0x176: return CPU_STATE + MSR_SYSENTER_EIP;
    case 0x17a: return MCG_STATUS;
    case 0x1a0: return MISC_ENABLE;
    case 0x1d9: return DEBUG_CONTROL;
    case 0x277: return CPU_STATE + MSR_PAT;
    case 0xc0000081: return CPU_STATE + MSR_STAR;
    case 0xc0000082: return CPU_STATE + MSR_LSTAR;
    case 0xc0000083: return CPU_STATE + MSR_CSTAR;
    case 0xc0000084: return CPU_STATE + MSR_SFMASK;
    case 0xc0000100: return CPU_STATE + SEG_FS + SEGMENT_BASE;
    case 0xc0000101: return CPU_STATE + SEG_GS + SEGMENT_BASE;
    case 0xc0000102: return CPU_STATE + MSR_KERNEL_GS_BASE;
    case 0xc0000103: return CPU_STATE + MSR_TSC_AUX;
    case 0xc0010010: return SYSTEM_CONFIGURATION;
    case 0xc0010015: return HARDWARE_CONFIGURATION;
    case 0xc001001a: return TOP_OF_MEMORY;
    case 0xc001001d: return TOP_OF_MEMORY_2;
    case 0xc0010055: return INTERRUPT_PENDING_MESSAGE;
    case 0xc0011022: return DATA_CACHE_CONFIGURATION;
    case 0xc0011029: return DECODE_CONFIGURATION;
    default: return memoryTypeAddress(index);
  }
}

/** Bits of a stored register that may be 1; setting another is #GP. */
export function existingBits(index: u32): u64 {
  switch (index) {
    case 0x174: return 0xffffffff;
    case 0x17a: return 0x7; // RIPV, EIPV, MCIP
    case 0x1d9: return 0x3; // LBR, BTF
    case 0xc0000084: return 0xffffffff;
    case 0xc0000103: return 0xffffffff;
    default: return ~0;
  }
}

/** Whether a stored register holds a linear address, which must be canonical. */
export function holdsAddress(index: u32): bool {
  switch (index) {
    case 0x175: // IA32_SYSENTER_ESP
    case 0x176: // IA32_SYSENTER_EIP
    case 0xc0000082: // IA32_LSTAR
    case 0xc0000083: // IA32_CSTAR
    case 0xc0000100: // IA32_FS_BASE
    case 0xc0000101: // IA32_GS_BASE
    case 0xc0000102: // IA32_KERNEL_GS_BASE
      return true;
    default:
      return false;
  }
}

/** Registers that software reads and cannot change. Sets `constantMsr`. */
export function readConstantMsr(index: u32): bool {
  switch (index) {
    case 0x0: // P5_MC_ADDR
    case 0x1: // P5_MC_TYPE
    case 0x17: // IA32_PLATFORM_ID
    case 0x2a: // EBL_CR_POWERON
    case 0x179: // IA32_MCG_CAP: no banks
      constantMsr = 0;
      return true;
    case 0x3a: // IA32_FEATURE_CONTROL: locked, nothing enabled
      constantMsr = 1;
      return true;
    case 0x8b: // IA32_BIOS_SIGN_ID: revision 1 of the microcode, in the upper half
      constantMsr = 0x100000000;
      return true;
    case 0xfe: // IA32_MTRRCAP: eight variable ranges, fixed ranges, write combining
      constantMsr = 0x508;
      return true;
    default:
      return false;
  }
}

/** What readConstantMsr found. */
export let constantMsr: u64 = 0;

/** Values after RESET. */
export function resetStoredMsrs(): void {
  memory.fill(STORAGE, 0, STORAGE_BYTES);
  store<u64>(MISC_ENABLE, MISC_ENABLE_RESET);
  store<u64>(CPU_STATE + MSR_PAT, PAT_RESET);
  memory.fill(CPU_STATE + MSR_STAR, 0, MSR_PAT - MSR_STAR);
  store<u64>(CPU_STATE + MSR_TSC_AUX, 0);
  resetMemoryTypes();
}
