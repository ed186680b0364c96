// States of the x87 unit as FNSAVE images (32-bit protected mode, 108 bytes), and what a record of native/x87.c holds.
import { CR0, FAULT_VECTOR, FLAG_C, FLAG_R, FLAG_X, FLAG_Y } from "../../../src/layout/cpu-state.ts";
import { CPU_STATE } from "../../../src/layout/memory-map.ts";
import type { FloatCore } from "./float-core.ts";

export const RECORD_BYTES = 264;
export const IMAGE_IN = 0;
export const MEMORY_IN = 108;
export const FLAGS_IN = 124;
export const IMAGE_OUT = 128;
export const MEMORY_OUT = 236;
export const FLAGS_OUT = 252;
export const FAULTED = 256;

/** Host addresses that the tests use. */
export const IMAGE_ADDRESS = 0x8000;
export const OPERAND_ADDRESS = 0x8100;

export function loadImage(core: FloatCore, record: DataView, at: number): void {
  core.write(CR0, 0);
  core.write(FAULT_VECTOR, -1);
  for (let n = 0; n < 108; n++) core.memory.setUint8(IMAGE_ADDRESS + n, record.getUint8(at + IMAGE_IN + n));
  for (let n = 0; n < 16; n++) core.memory.setUint8(OPERAND_ADDRESS + n, record.getUint8(at + MEMORY_IN + n));
  core.functions["x87ReadState"]!(IMAGE_ADDRESS, 32, 1);
  loadFlags(core, record.getUint32(at + FLAGS_IN, true));
}

/** Any six status flags in the lazy form. */
function loadFlags(core: FloatCore, flags: number): void {
  const bit = (n: number): number => (flags >> n) & 1;
  const zero = bit(6);
  const result = zero ? 0n : 1n;
  const overflow = bit(11) ? 1n << 63n : 0n;
  core.write(FLAG_C, bit(0) | (bit(7) << 1) | ((bit(2) ^ zero) << 2));
  core.memory.setBigUint64(CPU_STATE + FLAG_R, result, true);
  core.memory.setBigUint64(CPU_STATE + FLAG_X, result ^ overflow, true);
  core.memory.setBigUint64(CPU_STATE + FLAG_Y, overflow | (bit(4) ? 16n : 0n), true);
}

export function readFlags(core: FloatCore): number {
  const correction = core.read(FLAG_C);
  const result = core.memory.getBigUint64(CPU_STATE + FLAG_R, true);
  const x = core.memory.getBigUint64(CPU_STATE + FLAG_X, true);
  const y = core.memory.getBigUint64(CPU_STATE + FLAG_Y, true);
  let parity = 1;
  for (let n = 0n; n < 8n; n++) parity ^= Number((result >> n) & 1n);
  const carry = correction & 1;
  const pf = parity ^ ((correction >> 2) & 1);
  const af = Number(((x ^ y ^ result) >> 4n) & 1n);
  const zf = result === 0n ? 1 : 0;
  const sf = Number(result >> 63n) ^ ((correction >> 1) & 1);
  const of = Number(((x ^ result) & (y ^ result)) >> 63n);
  return carry | (pf << 2) | (af << 4) | (zf << 6) | (sf << 7) | (of << 11);
}

/** FCW, FSW, tags and ST(0)..ST(7) of an image as text. */
export function describeImage(view: DataView, at: number): string {
  const word = (n: number): string =>
    view
      .getUint16(at + n, true)
      .toString(16)
      .padStart(4, "0");
  const registers = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => describeRegister(view, at + 28 + 10 * i));
  return `FCW ${word(0)} FSW ${word(4)} tags ${word(8)} ST ${registers.join(" ")}`;
}

export function describeRegister(view: DataView, at: number): string {
  const significand = view.getBigUint64(at, true).toString(16).padStart(16, "0");
  return `${view
    .getUint16(at + 8, true)
    .toString(16)
    .padStart(4, "0")}:${significand}`;
}

export function describeMemory(view: DataView, at: number): string {
  return `memory ${view.getBigUint64(at + 8, true).toString(16)}:${view.getBigUint64(at, true).toString(16)}`;
}

/** Whether the core's state, saved at IMAGE_ADDRESS, and its operand equal what the record holds. */
export function outcomeDiffers(core: FloatCore, record: DataView, at: number): boolean {
  for (const n of [0, 1, 4, 5, 8, 9]) {
    if (core.memory.getUint8(IMAGE_ADDRESS + n) !== record.getUint8(at + IMAGE_OUT + n)) return true;
  }
  for (let n = 28; n < 108; n += 4) {
    if (core.memory.getUint32(IMAGE_ADDRESS + n, true) !== record.getUint32(at + IMAGE_OUT + n, true))
      return true;
  }
  for (let n = 0; n < 16; n += 4) {
    if (core.memory.getUint32(OPERAND_ADDRESS + n, true) !== record.getUint32(at + MEMORY_OUT + n, true))
      return true;
  }
  return readFlags(core) !== record.getUint32(at + FLAGS_OUT, true);
}
