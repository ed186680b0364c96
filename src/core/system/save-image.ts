// The 512-byte FXSAVE image, between processor state and a buffer.
// SDM 1 "Legacy Region of an XSAVE Area"; SDM 2 "FXSAVE", "Non-64-Bit-Mode Layout of FXSAVE and FXRSTOR Memory
// Region", "Layout of the 64-bit Mode FXSAVE64 and FXRSTOR64 Map".
import { CPU_STATE } from "../../layout/memory-map";
import {
  MXCSR,
  X87,
  X87_EMPTY,
  X87_FCS,
  X87_FCW,
  X87_FDP,
  X87_FDS,
  X87_FIP,
  X87_FOP,
  X87_FSW,
  X87_REGISTER_BYTES,
  X87_TOP,
  XMM,
  YMM_HIGH,
} from "../../layout/cpu-state";

/** The image, and room for the XSAVE header and the AVX component behind it. */
export const IMAGE: usize = memory.data(832, 16);
/** The AVX component: upper halves of the YMM registers, in the standard and in the compacted form. */
export const IMAGE_YMM: i32 = 576;

// Offsets in the image.
const IMAGE_FCW: usize = 0;
const IMAGE_FSW: usize = 2;
/** A bit for each physical register, set when it is not empty. */
const IMAGE_TAGS: usize = 4;
const IMAGE_FOP: usize = 6;
const IMAGE_FIP: usize = 8;
const IMAGE_FCS: usize = 12;
const IMAGE_FDP: usize = 16;
const IMAGE_FDS: usize = 20;
export const IMAGE_MXCSR: i32 = 24;
const IMAGE_MXCSR_MASK: usize = 28;
const IMAGE_ST0: usize = 32;
export const IMAGE_XMM: i32 = 160;

/** All 16 lower bits of MXCSR exist, DAZ among them. */
const MXCSR_MASK: u32 = 0xffff;
export const MXCSR_RESERVED: u32 = 0xffff0000;

const FCW_INITIAL: i32 = 0x37f;
/** The control word's bit 6 reads as 1; bits 7 and 13 to 15 do not exist. */
const FCW_BITS: i32 = 0x1f7f;
const FCW_ONES: i32 = 0x40;
const FSW_EXCEPTIONS: i32 = 0x3f;
const FSW_ES_AND_B: i32 = 0x8080;
const FSW_TOP: i32 = 0x3800;

export function imageFromX87(wide: bool): void {
  const top = load<i32>(CPU_STATE + X87_TOP);
  const status = (load<i32>(CPU_STATE + X87_FSW) & ~FSW_TOP) | (top << 11);
  store<u16>(IMAGE + IMAGE_FCW, <u16>load<i32>(CPU_STATE + X87_FCW));
  store<u16>(IMAGE + IMAGE_FSW, <u16>status);
  store<u16>(IMAGE + IMAGE_TAGS, <u16>(~load<i32>(CPU_STATE + X87_EMPTY) & 0xff));
  store<u16>(IMAGE + IMAGE_FOP, <u16>(load<i32>(CPU_STATE + X87_FOP) & 0x7ff));
  store<u64>(IMAGE + IMAGE_FIP, load<u64>(CPU_STATE + X87_FIP));
  store<u64>(IMAGE + IMAGE_FDP, load<u64>(CPU_STATE + X87_FDP));
  if (!wide) {
    store<u32>(IMAGE + IMAGE_FCS, load<u32>(CPU_STATE + X87_FCS) & 0xffff);
    store<u32>(IMAGE + IMAGE_FDS, load<u32>(CPU_STATE + X87_FDS) & 0xffff);
  }
  // In stack order: ST(0) first.
  for (let i = 0; i < 8; i++) {
    const register = physicalRegister(top + i);
    const slot = IMAGE + IMAGE_ST0 + (<usize>i << 4);
    store<u64>(slot, load<u64>(register));
    store<u64>(slot, <u64>load<u16>(register, 8), 8);
  }
}

export function x87FromImage(wide: bool): void {
  const control = (<i32>load<u16>(IMAGE + IMAGE_FCW) & FCW_BITS) | FCW_ONES;
  const word = <i32>load<u16>(IMAGE + IMAGE_FSW);
  const top = (word >> 11) & 7;
  // ES and B follow from the exceptions that are set and not masked.
  let status = word & ~(FSW_TOP | FSW_ES_AND_B);
  if (status & ~control & FSW_EXCEPTIONS) status |= FSW_ES_AND_B;
  store<i32>(CPU_STATE + X87_FCW, control);
  store<i32>(CPU_STATE + X87_FSW, status);
  store<i32>(CPU_STATE + X87_TOP, top);
  store<i32>(CPU_STATE + X87_EMPTY, ~(<i32>load<u8>(IMAGE + IMAGE_TAGS)) & 0xff);
  store<i32>(CPU_STATE + X87_FOP, <i32>load<u16>(IMAGE + IMAGE_FOP) & 0x7ff);
  if (wide) {
    store<u64>(CPU_STATE + X87_FIP, load<u64>(IMAGE + IMAGE_FIP));
    store<u64>(CPU_STATE + X87_FDP, load<u64>(IMAGE + IMAGE_FDP));
    store<i32>(CPU_STATE + X87_FCS, 0);
    store<i32>(CPU_STATE + X87_FDS, 0);
  } else {
    store<u64>(CPU_STATE + X87_FIP, <u64>load<u32>(IMAGE + IMAGE_FIP));
    store<u64>(CPU_STATE + X87_FDP, <u64>load<u32>(IMAGE + IMAGE_FDP));
    store<i32>(CPU_STATE + X87_FCS, <i32>load<u16>(IMAGE + IMAGE_FCS));
    store<i32>(CPU_STATE + X87_FDS, <i32>load<u16>(IMAGE + IMAGE_FDS));
  }
  for (let i = 0; i < 8; i++) {
    const register = physicalRegister(top + i);
    const slot = IMAGE + IMAGE_ST0 + (<usize>i << 4);
    store<u64>(register, load<u64>(slot));
    store<u16>(register, load<u16>(slot, 8), 8);
  }
}

/** As FNINIT leaves it, and the registers zero. */
export function initialiseX87(): void {
  store<i32>(CPU_STATE + X87_FCW, FCW_INITIAL);
  store<i32>(CPU_STATE + X87_FSW, 0);
  store<i32>(CPU_STATE + X87_TOP, 0);
  store<i32>(CPU_STATE + X87_EMPTY, 0xff);
  store<i32>(CPU_STATE + X87_FOP, 0);
  store<i32>(CPU_STATE + X87_FCS, 0);
  store<i32>(CPU_STATE + X87_FDS, 0);
  store<u64>(CPU_STATE + X87_FIP, 0);
  store<u64>(CPU_STATE + X87_FDP, 0);
  memory.fill(CPU_STATE + X87, 0, 8 * X87_REGISTER_BYTES);
}

export function imageFromMxcsr(): void {
  store<u32>(IMAGE + <usize>IMAGE_MXCSR, load<u32>(CPU_STATE + MXCSR));
  store<u32>(IMAGE + IMAGE_MXCSR_MASK, MXCSR_MASK);
}

export function mxcsrFromImage(): void {
  store<u32>(CPU_STATE + MXCSR, load<u32>(IMAGE + <usize>IMAGE_MXCSR));
}

export function imageFromXmm(count: i32): void {
  memory.copy(IMAGE + <usize>IMAGE_XMM, CPU_STATE + XMM, <usize>count << 4);
}

export function xmmFromImage(count: i32): void {
  memory.copy(CPU_STATE + XMM, IMAGE + <usize>IMAGE_XMM, <usize>count << 4);
}

export function initialiseXmm(count: i32): void {
  memory.fill(CPU_STATE + XMM, 0, <usize>count << 4);
}

export function imageFromYmm(count: i32): void {
  memory.copy(IMAGE + <usize>IMAGE_YMM, CPU_STATE + YMM_HIGH, <usize>count << 4);
}

export function ymmFromImage(count: i32): void {
  memory.copy(CPU_STATE + YMM_HIGH, IMAGE + <usize>IMAGE_YMM, <usize>count << 4);
}

export function initialiseYmm(count: i32): void {
  memory.fill(CPU_STATE + YMM_HIGH, 0, <usize>count << 4);
}

/** Whether any of the upper halves is not zero. */
export function usesYmm(): bool {
  for (let at: usize = 0; at < 256; at += 8) if (load<u64>(CPU_STATE + YMM_HIGH + at) != 0) return true;
  return false;
}

export function initialiseMxcsr(): void {
  store<u32>(CPU_STATE + MXCSR, 0x1f80);
}

// @ts-ignore: decorator
@inline
function physicalRegister(index: i32): usize {
  return CPU_STATE + X87 + (index & 7) * X87_REGISTER_BYTES;
}
