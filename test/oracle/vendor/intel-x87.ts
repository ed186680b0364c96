// Where Intel's processors keep the x87 unit's state otherwise than AMD's.
import { isDeepStrictEqual } from "node:util";

import type { EncodingShape } from "../encoding-shape.ts";
import { PAGE_BYTES, X87_ERROR_SUMMARY } from "../protocol.ts";
import { isFault, MEMORY_FAULTS, PAGE_FAULT, type VendorRule } from "./rule.ts";
import { decodeStep, operandAddress, ResultMemory } from "./step.ts";

/** Where they lie in the image of FXSAVE64. */
const FOP = { from: 6, to: 8 };
const FDP = { from: 16, to: 24 };

/** Fields of an environment in memory: where they lie in it and in the image of FXSAVE64, and how many bytes they have. */
interface Field {
  readonly at: number;
  readonly bytes: number;
  /** -1: a selector, which is stored as 0. */
  readonly imageAt: number;
}
const FIELDS_16: readonly Field[] = [
  { at: 8, bytes: 2, imageAt: -1 },
  { at: 10, bytes: 2, imageAt: FDP.from },
  { at: 12, bytes: 2, imageAt: -1 },
];
const FIELDS_32: readonly Field[] = [
  { at: 16, bytes: 2, imageAt: -1 },
  { at: 18, bytes: 2, imageAt: FOP.from },
  { at: 20, bytes: 4, imageAt: FDP.from },
  { at: 24, bytes: 2, imageAt: -1 },
];

const loadsPointers = ({ instruction }: EncodingShape) =>
  /^(fldenv|frstor|fxrstor)/.test(instruction.mnemonic);

/**
 * Intel's newer processors store FCS and FDS as 0 (CPUID leaf 7, EBX bit 13), and set FOP and FDP for an instruction
 * with an unmasked exception only (SDM 1 "Fopcode Compatibility Sub-mode"; CPUID leaf 7, EBX bit 6). Otherwise both
 * remain what they were: what the case began with, what an instruction has loaded, or 0 from FNINIT.
 */
export const environments: VendorRule = {
  reason: "FCS, FDS, FOP and FDP in an x87 environment",
  concerns: ({ instruction }) => /^fn?(save|stenv)$/.test(instruction.mnemonic),
  undo(step) {
    const { judged, theirs, testCase } = step;
    const address = Number(operandAddress(step));
    const native = new ResultMemory(testCase, judged);
    const other = new ResultMemory(testCase, theirs);
    for (const field of decodeStep(step).operandBits === 16 ? FIELDS_16 : FIELDS_32) {
      const bytes = Array.from({ length: field.bytes }, (_, i) => address + field.at + i);
      const old = bytes.map((_, i) => (field.imageAt < 0 ? 0 : testCase.image[field.imageAt + i]!));
      const isOld = bytes.every((at, i) => native.byte(at) === old[i]);
      const isZero = bytes.every((at) => native.byte(at) === 0);
      const isLoaded = field.imageAt >= 0 && step.earlier.some(loadsPointers);
      if (isOld || isZero || isLoaded) for (const at of bytes) native.setByte(at, other.byte(at));
    }
    return native.resultBeside(theirs);
  },
};

/**
 * An exception leaves FDP alone when its instruction has no operand in memory, whatever earlier ones had; and FOP, too,
 * when FLDCW unmasks what an earlier instruction has raised. See `environments`.
 */
export const exceptionPointers: VendorRule = {
  reason: "FOP and FDP of an x87 exception",
  concerns: ({ instruction }) => instruction.unit === "x87",
  undo(step) {
    const { before, judged, theirs, testCase } = step;
    if ((before.image[2]! & X87_ERROR_SUMMARY) !== 0 || (judged.image[2]! & X87_ERROR_SUMMARY) === 0)
      return judged;
    const unmasks = step.shape.instruction.mnemonic === "fldcw";
    if (!unmasks && decodeStep(step).isMemory) return judged;
    const image = judged.image.slice();
    for (const { from, to } of unmasks ? [FOP, FDP] : [FDP]) {
      const field = image.subarray(from, to);
      const isOld = field.every((byte, i) => byte === testCase.image[from + i]);
      if (isOld || step.earlier.some(loadsPointers) || field.every((byte) => byte === 0))
        field.set(theirs.image.subarray(from, to));
    }
    return { ...judged, image };
  },
};

const FSW_TOP = 0x3800;

/** The store of an MMX register has set TOP to 0 before it faults. */
export const mmxStores: VendorRule = {
  reason: "TOP after the store of an MMX register that faults",
  concerns: ({ instruction, operands }) =>
    instruction.unit === "mmx" && operands[0]?.memory === true && operands[0].written,
  undo(step) {
    const { before, judged, theirs } = step;
    if (judged.vector !== theirs.vector) return judged;
    if (!MEMORY_FAULTS.some((vector) => isFault(judged, step, vector))) return judged;
    const image = judged.image.slice();
    const view = new DataView(image.buffer);
    const status = view.getUint16(2, true);
    if ((status & FSW_TOP) !== 0) return judged;
    const top = (before.image[3]! >> 3) & 7;
    view.setUint16(2, status | (top << 11), true);
    // Registers stand in stack order, from ST(0).
    for (let i = 0; i < 8; i++) {
      const from = 32 + 16 * ((i + top) & 7);
      image.set(judged.image.subarray(from, from + 16), 32 + 16 * i);
    }
    return { ...judged, image };
  },
};

const isZero = (register: Uint8Array) => register.every((byte, i) => (i === 9 ? byte & 0x7f : byte) === 0);
const isInfinity = (register: Uint8Array) =>
  register.every((byte, i) => (i === 9 ? byte & 0x7f : byte) === [0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x7f][i]);

const KEEPS_OPERAND = /^(fscale|fprem1?)$/;
/** UE of FSW and UM of FCW; ES and B, which follow an exception. */
const UNDERFLOW = 0x10;
const SUMMARY = 0x8080;
/** From FOP to FDP; reported only after an exception. */
const POINTERS = { from: FOP.from, to: FDP.to };

/**
 * No underflow where a denormal ST(0) remains what it is, scaled by 0 or as the remainder of a division by infinity:
 * test/core/float/x87-native.test.ts compares these cases.
 */
export const keptDenormals: VendorRule = {
  reason: "underflow of a denormal that FSCALE or FPREM leaves",
  concerns: ({ instruction }) => KEEPS_OPERAND.test(instruction.mnemonic),
  undo(step) {
    const { before, judged, theirs } = step;
    const st0 = before.image.subarray(32, 42);
    const isDenormal =
      (st0[9]! & 0x7f) === 0 && st0[8] === 0 && st0[7]! < 0x80 && st0.some((byte) => byte !== 0);
    const st1 = before.image.subarray(48, 58);
    const isScale = step.shape.instruction.mnemonic === "fscale";
    const leaves = isScale ? isZero(st1) : isInfinity(st1);
    const isKept = leaves && st0.every((byte, i) => byte === judged.image[32 + i]);
    const unmasked = (before.image[0]! & UNDERFLOW) === 0;
    const raised = theirs.image[2]! & ~judged.image[2]! & UNDERFLOW;
    if (!isDenormal || !isKept || !unmasked || raised === 0) return judged;
    const image = judged.image.slice();
    const view = new DataView(image.buffer);
    view.setUint16(2, view.getUint16(2, true) | UNDERFLOW | SUMMARY, true);
    for (const { from, to } of [POINTERS, { from: 32, to: 42 }])
      image.set(theirs.image.subarray(from, to), from);
    return { ...judged, image };
  },
};

/**
 * A store that an unmasked exception keeps from storing accesses no memory, so that nothing there can fault. On AMD's
 * processors the operand must be one that could be written.
 */
export const heldStores: VendorRule = {
  reason: "faults of an x87 store that an unmasked exception withholds",
  concerns: ({ instruction }) => /^(fistt?p?|fstp?|fbstp)$/.test(instruction.mnemonic),
  undo(step) {
    const { before, judged, theirs } = step;
    const faults = MEMORY_FAULTS.some((vector) => isFault(theirs, step, vector));
    const raised = judged.image[2]! & ~before.image[2]! & X87_ERROR_SUMMARY;
    const kept = (["registers", "changes", "memoryHash"] as const).every((part) =>
      isDeepStrictEqual(judged[part], before[part]),
    );
    const sameStack =
      ((judged.image[3]! ^ before.image[3]!) & (FSW_TOP >> 8)) === 0 &&
      judged.image[4] === before.image[4] &&
      Buffer.compare(judged.image.subarray(32, 160), before.image.subarray(32, 160)) === 0;
    return faults && raised !== 0 && kept && sameStack ? theirs : judged;
  },
};

/** A store of 10 bytes on two pages has stored the first 8 when the second page faults. */
export const splitStores: VendorRule = {
  reason: "the first 8 bytes of a store of 10 on two pages",
  concerns: ({ instruction }) => /^(fstp|fbstp)$/.test(instruction.mnemonic),
  undo(step) {
    const { judged, theirs, testCase } = step;
    if (![judged, theirs].every((result) => isFault(result, step, PAGE_FAULT))) return judged;
    const address = Number(operandAddress(step));
    if (!/^D[BF] \/[67]$/.test(step.shape.form.opcode) || (address % PAGE_BYTES) + 10 <= PAGE_BYTES)
      return judged;
    const native = new ResultMemory(testCase, judged);
    const other = new ResultMemory(testCase, theirs);
    for (let i = 0; i < 8; i++) native.setByte(address + i, other.byte(address + i));
    return native.resultBeside(theirs);
  },
};
