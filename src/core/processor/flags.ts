// RFLAGS: the lazy status flags of layout/cpu-state.ts and the system flags beside them.
// SDM 1 "EFLAGS Register".
import { CPU_STATE } from "../../layout/memory-map";
import { FLAG_C, FLAG_R, FLAG_X, FLAG_Y, RFLAGS_SYSTEM } from "../../layout/cpu-state";

export const CF: u64 = 1;
/** Bit 1, which is always set. */
export const FLAG_ALWAYS: u64 = 2;
export const PF: u64 = 1 << 2;
export const AF: u64 = 1 << 4;
export const ZF: u64 = 1 << 6;
export const SF: u64 = 1 << 7;
export const TF: u64 = 1 << 8;
export const IF: u64 = 1 << 9;
export const DF: u64 = 1 << 10;
export const OF: u64 = 1 << 11;
export const IOPL: u64 = 3 << 12;
export const NT: u64 = 1 << 14;
export const RF: u64 = 1 << 16;
export const VM: u64 = 1 << 17;
export const AC: u64 = 1 << 18;
export const VIF: u64 = 1 << 19;
export const VIP: u64 = 1 << 20;
export const ID: u64 = 1 << 21;

export const STATUS_FLAGS: u64 = 0x8d5;
/** Every flag there is. */
const DEFINED_FLAGS: u64 = 0x3f7fd7;

/** RFLAGS as an instruction would see it. */
export function readFlags(): u64 {
  return load<u64>(CPU_STATE + RFLAGS_SYSTEM) | readStatusFlags();
}

function readStatusFlags(): u64 {
  const c = <u64>load<i32>(CPU_STATE + FLAG_C);
  const r = load<u64>(CPU_STATE + FLAG_R);
  const x = load<u64>(CPU_STATE + FLAG_X);
  const y = load<u64>(CPU_STATE + FLAG_Y);
  const odd = popcnt<u64>(r & 0xff) & 1;
  return (
    (c & CF) |
    ((odd ^ 1 ^ ((c >> 2) & 1)) << 2) |
    ((x ^ y ^ r) & AF) |
    (r == 0 ? ZF : 0) |
    (((r >> 63) ^ ((c >> 1) & 1)) << 7) |
    ((((x ^ r) & (y ^ r)) >> 63) << 11)
  );
}

/** Writes the flags under `mask`. The caller calls updateMode when AC or VM changes. */
export function writeFlags(value: u64, mask: u64): void {
  const system = load<u64>(CPU_STATE + RFLAGS_SYSTEM);
  const mixed = ((system & ~mask) | (value & mask)) & DEFINED_FLAGS & ~STATUS_FLAGS;
  store<u64>(CPU_STATE + RFLAGS_SYSTEM, mixed | FLAG_ALWAYS);
  const statusMask = mask & STATUS_FLAGS;
  if (statusMask == STATUS_FLAGS) writeStatusWord(value);
  else if (statusMask) writeStatusWord((readStatusFlags() & ~statusMask) | (value & statusMask));
}

/** Writes the six status flags; each argument is 0 or 1. */
export function writeStatusFlags(carry: i32, parity: i32, adjust: i32, zero: i32, sign: i32, overflow: i32): void {
  const flags = carry | (parity << 2) | (adjust << 4) | (zero << 6) | (sign << 7) | (overflow << 11);
  writeStatusWord(<u64>flags);
}

/** Writes the status flags from their places in RFLAGS. */
function writeStatusWord(flags: u64): void {
  // The result is 0 or 256: not negative, and its low byte has even parity.
  const r: u64 = flags & ZF ? 0 : 256;
  const x = ((flags & OF) << 52) | (flags & AF);
  const y = (flags & OF) << 52;
  const sign = ((flags >> 7) & 1) << 1;
  const parity = (((flags >> 2) & 1) ^ 1) << 2;
  store<i32>(CPU_STATE + FLAG_C, <i32>((flags & CF) | sign | parity));
  store<u64>(CPU_STATE + FLAG_R, r);
  store<u64>(CPU_STATE + FLAG_X, x);
  store<u64>(CPU_STATE + FLAG_Y, y);
}

/** EFLAGS.IOPL, 0..3. */
// @ts-ignore: decorator
@inline
export function ioPrivilege(): i32 {
  return <i32>((load<u64>(CPU_STATE + RFLAGS_SYSTEM) >> 12) & 3);
}

/** The system flags alone, without materialising the status flags. */
// @ts-ignore: decorator
@inline
export function systemFlags(): u64 {
  return load<u64>(CPU_STATE + RFLAGS_SYSTEM);
}
