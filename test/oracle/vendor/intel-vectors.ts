// Where Intel's processors calculate vectors otherwise than AMD's.
import { nearReciprocal } from "../../approximation-bound.ts";
import { IMAGE_YMM, type TestResult } from "../protocol.ts";
import { isFault, MEMORY_FAULTS, SIMD_EXCEPTION, type VendorRule } from "./rule.ts";
import { decodeStep, type Step } from "./step.ts";

const MXCSR_AT = 24;
const MXCSR_FLAGS = 0x3f;
const UNDERFLOW = 0x10;
const INEXACT = 0x20;
const UNDERFLOW_MASK = 0x800;

/** The result of a step with those lanes of the destination register, of `bits` each, that `may` be so taken from the other's. */
function undoLanes(
  step: Step,
  bits: 32 | 64,
  lanes: number,
  may: (native: bigint, theirs: bigint) => boolean,
) {
  const { reg } = decodeStep(step);
  const image = step.judged.image.slice();
  const native = new DataView(image.buffer);
  const other = new DataView(step.theirs.image.buffer, step.theirs.image.byteOffset);
  const perHalf = 128 / bits;
  const read = (view: DataView, at: number) =>
    bits === 32 ? BigInt(view.getUint32(at, true)) : view.getBigUint64(at, true);
  for (let lane = 0; lane < lanes; lane++) {
    const half = lane < perHalf ? 160 : IMAGE_YMM;
    const at = half + 16 * reg + (bits / 8) * (lane % perHalf);
    const theirs = read(other, at);
    if (!may(read(native, at), theirs)) continue;
    if (bits === 32) native.setUint32(at, Number(theirs), true);
    else native.setBigUint64(at, theirs, true);
  }
  return { ...step.judged, image };
}

/** RCP and RSQRT: SDM 2B "RCPPS" and "RSQRTPS" give a bound only; zero, infinity, NaN and the sign are exact. */
export const approximations: VendorRule = {
  reason: "approximations of RCP and RSQRT",
  concerns: ({ instruction }) => /^v?(rcp|rsqrt)[ps]s$/.test(instruction.mnemonic),
  undo(step) {
    const lanes = step.shape.instruction.mnemonic.endsWith("ss") ? 1 : 8;
    return undoLanes(step, 32, lanes, (a, b) => nearReciprocal(Number(a), Number(b)));
  },
};

const isNaN32 = (bits: bigint) => (bits & 0x7fff_ffffn) > 0x7f80_0000n;
const isNaN64 = (bits: bigint) => (bits & ((1n << 63n) - 1n)) > 0x7ffn << 52n;

/**
 * SDM 2A "DPPS", "DPPD": the NaN forwarding rules do not cover horizontal prioritization; which of several NaNs
 * arrives where depends on the implementation. Intel's differ from lane to lane.
 */
export const dotProducts: VendorRule = {
  reason: "which of several NaNs a dot product gives",
  concerns: ({ instruction }) => /^v?dpp[sd]$/.test(instruction.mnemonic),
  undo(step) {
    const single = step.shape.instruction.mnemonic.endsWith("s");
    const isNotANumber = single ? isNaN32 : isNaN64;
    return undoLanes(step, single ? 32 : 64, single ? 8 : 2, (a, b) => isNotANumber(a) && isNotANumber(b));
  },
};

/**
 * An erratum of Intel's: "VCVTPS2PH to Memory May Update MXCSR in the Case of a Fault on the Store". #XM comes before
 * that fault; and where underflow is unmasked, PE is set for what a denormal result would lose, too.
 */
export const halfPrecision: VendorRule = {
  reason: "VCVTPS2PH: flags in MXCSR, and #XM before the store faults",
  concerns: ({ instruction }) => instruction.mnemonic === "vcvtps2ph",
  undo(step) {
    const { judged, theirs } = step;
    const storeFaults = MEMORY_FAULTS.some((vector) => isFault(theirs, step, vector));
    if (storeFaults && (isFault(judged, step, theirs.vector) || isFault(judged, step, SIMD_EXCEPTION))) {
      const { vector, errorCode, cr2 } = theirs;
      return { ...withoutFlags(step, MXCSR_FLAGS), vector, errorCode, cr2 };
    }
    const { image } = theirs;
    const mxcsr = new DataView(image.buffer, image.byteOffset).getUint32(MXCSR_AT, true);
    const underflows = (mxcsr & UNDERFLOW) !== 0 && (mxcsr & UNDERFLOW_MASK) === 0;
    return underflows && isFault(judged, step, SIMD_EXCEPTION) ? withoutFlags(step, INEXACT) : judged;
  },
};

/** The judge's result without those of these flags in MXCSR that the other has not. */
function withoutFlags({ judged, theirs }: Step, flags: number): TestResult {
  const image = judged.image.slice();
  for (let i = 0; i < 4; i++) {
    const more = judged.image[MXCSR_AT + i]! & ~theirs.image[MXCSR_AT + i]! & (flags >> (8 * i));
    image[MXCSR_AT + i]! ^= more;
  }
  return { ...judged, image };
}
