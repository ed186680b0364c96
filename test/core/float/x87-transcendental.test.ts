// The transcendental instructions against this processor. Both compute to more than 64 bits and round once, so results may differ
// by one unit in the last place where the true value lies close to a rounding boundary; all else is equal.
import { describe, expect, test } from "vitest";
import { FAULT_VECTOR } from "../../../src/layout/cpu-state.ts";
import { type FloatCore, loadFloatCore } from "./float-core.ts";
import { compileNative, nativeObstacle, nativeRecords, RECORDS } from "./native-program.ts";
import {
  describeImage,
  FAULTED,
  IMAGE_ADDRESS,
  IMAGE_IN,
  IMAGE_OUT,
  loadImage,
  RECORD_BYTES,
} from "./x87-state.ts";

const STATUS_FAULT = 1;
const VECTOR_MF = 16;
/** C1 follows the direction of rounding, which an error of less than one unit can turn round. */
const COMPARED_STATUS = 0xffff & ~0x0200;

const OPERATIONS: readonly (readonly [string, string, readonly number[]])[] = [
  ["f2xm1", "x87Exponential", []],
  ["fyl2x", "x87Logarithm", [0]],
  ["fyl2xp1", "x87Logarithm", [1]],
  ["fptan", "x87Tangent", []],
  ["fpatan", "x87Arctangent", []],
  ["fsin", "x87Sine", []],
  ["fcos", "x87Cosine", []],
  ["fsincos", "x87SineCosine", []],
];

const obstacle = nativeObstacle();

describe.skipIf(obstacle !== undefined)(
  `transcendental instructions agree with the processor${obstacle ? ` (skipped: ${obstacle})` : ""}`,
  () => {
    const program = obstacle === undefined ? compileNative("x87") : "";
    const core = obstacle === undefined ? loadFloatCore() : undefined;

    test.each(OPERATIONS)("%s is within one unit in the last place", (name, call, values) => {
      const outcome = compareAll(core!, nativeRecords(program, name, 1, RECORDS), call, values);
      if (process.env["RINGFENCE_FLOAT_REPORT"])
        console.log(
          `${name}: ${outcome.equal} equal, ${outcome.near} one unit apart, ${outcome.far.length} else`,
        );
      expect(outcome.far.slice(0, 4)).toEqual([]);
    });
  },
);

interface Outcome {
  equal: number;
  near: number;
  far: string[];
}

function compareAll(core: FloatCore, records: DataView, name: string, values: readonly number[]): Outcome {
  const outcome: Outcome = { equal: 0, near: 0, far: [] };
  for (let at = 0; at < records.byteLength; at += RECORD_BYTES) {
    loadImage(core, records, at);
    const status = core.functions[name]!(...values);
    const faulted = records.getUint32(at + FAULTED, true) !== 0;
    if (faulted && status === STATUS_FAULT && core.read(FAULT_VECTOR) === VECTOR_MF) {
      outcome.equal++;
      continue;
    }
    core.functions["x87WriteState"]!(IMAGE_ADDRESS, 32, 1);
    const distance =
      faulted || status === STATUS_FAULT ? Number.POSITIVE_INFINITY : worstDistance(core.memory, records, at);
    if (distance === 0) outcome.equal++;
    else if (distance === 1) outcome.near++;
    else outcome.far.push(describeDifference(core, records, at));
  }
  return outcome;
}

/** The largest distance of two registers in units in the last place; infinite when the rest of the state differs. */
function worstDistance(core: DataView, records: DataView, at: number): number {
  const word = (view: DataView, from: number, n: number): number => view.getUint16(from + n, true);
  const image = at + IMAGE_OUT;
  if ((word(core, IMAGE_ADDRESS, 4) ^ word(records, image, 4)) & COMPARED_STATUS)
    return Number.POSITIVE_INFINITY;
  if (word(core, IMAGE_ADDRESS, 0) !== word(records, image, 0)) return Number.POSITIVE_INFINITY;
  if (emptyRegisters(word(core, IMAGE_ADDRESS, 8)) !== emptyRegisters(word(records, image, 8)))
    return Number.POSITIVE_INFINITY;
  let worst = 0n;
  for (let n = 28; n < 108; n += 10) {
    const difference = ordinal(core, IMAGE_ADDRESS + n) - ordinal(records, image + n);
    const distance = difference < 0n ? -difference : difference;
    if (distance > worst) worst = distance;
  }
  return Number(worst);
}

/** The other tags follow from the values, and change with the last place at the border of the denormal numbers. */
function emptyRegisters(tags: number): number {
  return tags & (tags >> 1) & 0x5555;
}

/** Consecutive numbers of the format have consecutive ordinals. */
function ordinal(view: DataView, at: number): bigint {
  const exponent = BigInt(view.getUint16(at + 8, true) & 0x7fff);
  const magnitude = (exponent << 63n) + (view.getBigUint64(at, true) & 0x7fffffffffffffffn);
  return view.getUint16(at + 8, true) & 0x8000 ? -magnitude : magnitude;
}

function describeDifference(core: FloatCore, records: DataView, at: number): string {
  return [
    `before    ${describeImage(records, at + IMAGE_IN)}`,
    `processor ${describeImage(records, at + IMAGE_OUT)}`,
    `core      ${describeImage(core.memory, IMAGE_ADDRESS)}`,
  ].join("\n");
}
