// Every x87 instruction but the transcendental ones against this processor: registers, tags, TOP, status word, memory, RFLAGS and #MF.
import { describe, expect, test } from "vitest";
import { FAULT_VECTOR } from "../../../src/layout/cpu-state.ts";
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

const obstacle = nativeObstacle();

describe.skipIf(obstacle !== undefined)(
  `x87 instructions agree with the processor${obstacle ? ` (skipped: ${obstacle})` : ""}`,
  () => {
    const program = obstacle === undefined ? compileNative("x87") : "";
    const core = obstacle === undefined ? loadFloatCore() : undefined;

    test.each(X87_OPERATIONS)("%s", (name, execute) => {
      const records = nativeRecords(program, name, 1, RECORDS);
      expect(differences(core!, records, execute)).toEqual([]);
    });
  },
);

/** Up to five records on which the core and the processor differ. */
function differences(core: FloatCore, records: DataView, execute: X87Execute): string[] {
  const found: string[] = [];
  for (let at = 0; at < records.byteLength && found.length < 5; at += RECORD_BYTES) {
    loadImage(core, records, at);
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

function describeDifference(core: FloatCore, records: DataView, at: number, status: number): string {
  const hex = (offset: number): string => records.getUint32(at + offset, true).toString(16);
  return [
    `status ${status}`,
    `before    ${describeImage(records, at + IMAGE_IN)} ${describeMemory(records, at + MEMORY_IN)} flags ${hex(FLAGS_IN)}`,
    `processor ${describeImage(records, at + IMAGE_OUT)} ${describeMemory(records, at + MEMORY_OUT)} flags ${hex(FLAGS_OUT)}`,
    `core      ${describeImage(core.memory, IMAGE_ADDRESS)} ${describeMemory(core.memory, OPERAND_ADDRESS)} flags ${readFlags(core).toString(16)}`,
  ].join("\n");
}
