// Every x87 instruction but the transcendental ones against this processor: registers, tags, TOP, status word, memory, RFLAGS and #MF.
import { describe, expect, test } from "vitest";
import { FAULT_VECTOR } from "../../../src/layout/cpu-state.ts";
import { HOST_VENDOR } from "../../host-vendor.ts";
import { type FloatCore, loadFloatCore } from "./float-core.ts";
import { compileNative, nativeObstacle, nativeRecords, RECORDS } from "./native-program.ts";
import { X87_OPERATIONS, type X87Execute } from "./x87-operations.ts";
import {
  describeImage,
  describeMemory,
  FAULTED,
  FLAGS_IN,
  FLAGS_OUT,
  IMAGE_ADDRESS,
  IMAGE_IN,
  IMAGE_OUT,
  loadImage,
  MEMORY_IN,
  MEMORY_OUT,
  OPERAND_ADDRESS,
  outcomeDiffers,
  RECORD_BYTES,
  readFlags,
} from "./x87-state.ts";

const STATUS_FAULT = 1;
const VECTOR_MF = 16;
/** UE of FSW, UM of FCW. */
const UNDERFLOW = 0x10;

/** The significand and the exponent field of ST(1) with which an instruction's result is ST(0) as it was. */
interface Keeping {
  readonly significand: bigint;
  readonly exponent: number;
}

/**
 * A denormal ST(0) that remains what it is, because it is scaled by 0 or is the remainder of a division by infinity,
 * is an underflow on AMD's processors, as SDM 1 "Numeric Underflow Exception" has it for tiny results. Intel's raise
 * none: there it is as if underflow were masked.
 */
const KEEPING: Readonly<Record<string, Keeping>> = {
  scale: { significand: 0n, exponent: 0 },
  prem: { significand: 1n << 63n, exponent: 0x7fff },
  prem1: { significand: 1n << 63n, exponent: 0x7fff },
};

const obstacle = nativeObstacle();

describe.skipIf(obstacle !== undefined)(
  `x87 instructions agree with the processor${obstacle ? ` (skipped: ${obstacle})` : ""}`,
  () => {
    const program = obstacle === undefined ? compileNative("x87") : "";
    const core = obstacle === undefined ? loadFloatCore() : undefined;

    test.each(X87_OPERATIONS)("%s", (name, execute) => {
      const records = nativeRecords(program, name, 1, RECORDS);
      const leavesOperand = (HOST_VENDOR === "GenuineIntel" && KEEPING[name]) || undefined;
      expect(differences(core!, records, execute, leavesOperand)).toEqual([]);
    });
  },
);

/** Up to five records on which the core and the processor differ. */
function differences(
  core: FloatCore,
  records: DataView,
  execute: X87Execute,
  keeping: Keeping | undefined,
): string[] {
  const found: string[] = [];
  for (let at = 0; at < records.byteLength && found.length < 5; at += RECORD_BYTES) {
    const keeps = keeping !== undefined && keepsDenormal(records, at + IMAGE_IN, keeping);
    if (keeps) maskUnderflow(records, at + IMAGE_IN);
    loadImage(core, records, at);
    if (keeps) maskUnderflow(records, at + IMAGE_OUT);
    const status = execute(core, OPERAND_ADDRESS);
    if (records.getUint32(at + FAULTED, true) !== 0) {
      if (status !== STATUS_FAULT || core.read(FAULT_VECTOR) !== VECTOR_MF)
        found.push(`no #MF: ${describeImage(records, at + IMAGE_IN)}`);
      continue;
    }
    core.functions["x87WriteState"]!(IMAGE_ADDRESS, 32, 1);
    if (status === STATUS_FAULT || outcomeDiffers(core, records, at))
      found.push(describeDifference(core, records, at, status));
  }
  return found;
}

/** ST(0) is denormal, ST(1) leaves it as it is, and no underflow is pending. */
function keepsDenormal(records: DataView, image: number, { significand, exponent }: Keeping): boolean {
  const [st0, st1] = [image + 28, image + 38];
  const isDenormal =
    (records.getUint16(st0 + 8, true) & 0x7fff) === 0 && records.getBigUint64(st0, true) >> 63n === 0n;
  const leaves =
    records.getBigUint64(st1, true) === significand &&
    (records.getUint16(st1 + 8, true) & 0x7fff) === exponent;
  return isDenormal && leaves && (records.getUint16(image + 4, true) & UNDERFLOW) === 0;
}

function maskUnderflow(records: DataView, image: number): void {
  records.setUint16(image, records.getUint16(image, true) | UNDERFLOW, true);
}

function describeDifference(core: FloatCore, records: DataView, at: number, status: number): string {
  const hex = (offset: number): string => records.getUint32(at + offset, true).toString(16);
  return [
    `status ${status}`,
    `before    ${describeImage(records, at + IMAGE_IN)} ${describeMemory(records, at + MEMORY_IN)} flags ${hex(FLAGS_IN)}`,
    `processor ${describeImage(records, at + IMAGE_OUT)} ${describeMemory(records, at + MEMORY_OUT)} flags ${hex(FLAGS_OUT)}`,
    `core      ${describeImage(core.memory, IMAGE_ADDRESS)} ${describeMemory(core.memory, OPERAND_ADDRESS)} flags ${readFlags(core).toString(16)}`,
  ].join("\n");
}
