// MTRRs and the PAT: validated and stored, without an effect. SDM 3A "Memory Type Range Registers (MTRRs)",
// "Page Attribute Table (PAT)".
import { CPU_STATE } from "../../layout/memory-map";
import { MEMORY_TYPES } from "../../layout/cpu-state";
import { PHYSICAL_ADDRESS_BITS } from "../memory/page-walk";

/** As IA32_MTRRCAP says. */
const VARIABLE_RANGES: u32 = 8;

const RANGES: usize = CPU_STATE + MEMORY_TYPES;
const RANGES_BYTES: i32 = 224;
/** Eight pairs of base and mask. */
const VARIABLE: usize = RANGES;
const FIXED: usize = RANGES + 128;
const DEFAULT_TYPE: usize = RANGES + 216;

const MSR_VARIABLE: u32 = 0x200;
const MSR_FIXED_64K: u32 = 0x250;
const MSR_FIXED_16K: u32 = 0x258;
const MSR_FIXED_4K: u32 = 0x268;
const MSR_DEFAULT_TYPE: u32 = 0x2ff;
const MSR_PAT_INDEX: u32 = 0x277;

const WRITE_BACK_EVERYWHERE: u64 = 0x0606060606060606;
const DEFAULT_TYPE_ENABLE: u64 = 1 << 11;
const DEFAULT_TYPE_FIXED_ENABLE: u64 = 1 << 10;

/** Where an MTRR lies; 0 when the index is none. */
export function memoryTypeAddress(index: u32): usize {
  if (index - MSR_VARIABLE < 2 * VARIABLE_RANGES) return VARIABLE + <usize>((index - MSR_VARIABLE) << 3);
  if (index == MSR_FIXED_64K) return FIXED;
  if (index - MSR_FIXED_16K < 2) return FIXED + 8 + <usize>((index - MSR_FIXED_16K) << 3);
  if (index - MSR_FIXED_4K < 8) return FIXED + 24 + <usize>((index - MSR_FIXED_4K) << 3);
  if (index == MSR_DEFAULT_TYPE) return DEFAULT_TYPE;
  return 0;
}

/** Whether a value may be written to an MTRR or the PAT; other registers pass. */
export function isMemoryTypeValid(index: u32, value: u64): bool {
  if (index == MSR_PAT_INDEX) return areTypesValid(value, true);
  if (!memoryTypeAddress(index)) return true;
  const reservedAddress: u64 = ~0 << PHYSICAL_ADDRESS_BITS;
  if (index == MSR_DEFAULT_TYPE) return !(value & ~0xcff) && isType(value & 0xff, false);
  if (index >= MSR_FIXED_64K) return areTypesValid(value, false);
  if (index & 1) return !(value & (reservedAddress | 0x7ff));
  return !(value & (reservedAddress | 0xf00)) && isType(value & 0xff, false);
}

/** Everything off, which makes all memory uncacheable. */
export function resetMemoryTypes(): void {
  memory.fill(RANGES, 0, RANGES_BYTES);
}

/**
 * What firmware leaves: write-back by default, the video memory uncacheable.
 * For a boot without firmware; Linux 6.1 disables the PAT where it finds MTRRs off.
 */
export function setFirmwareMemoryTypes(): void {
  resetMemoryTypes();
  store<u64>(FIXED, WRITE_BACK_EVERYWHERE);
  store<u64>(FIXED + 8, WRITE_BACK_EVERYWHERE);
  for (let range: usize = 3; range < 11; range++) store<u64>(FIXED + range * 8, WRITE_BACK_EVERYWHERE);
  store<u64>(DEFAULT_TYPE, DEFAULT_TYPE_ENABLE | DEFAULT_TYPE_FIXED_ENABLE | 6);
}

function areTypesValid(value: u64, pat: bool): bool {
  for (let shift: u64 = 0; shift < 64; shift += 8) {
    if (!isType((value >> shift) & 0xff, pat)) return false;
  }
  return true;
}

/** UC, WC, WT, WP, WB; the PAT has UC- as well. */
// @ts-ignore: decorator
@inline
function isType(type: u64, pat: bool): bool {
  return type == 0 || type == 1 || (type >= 4 && type <= 6) || (pat && type == 7);
}
