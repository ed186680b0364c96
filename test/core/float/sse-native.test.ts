// Every SSE scalar operation against this processor: results, MXCSR, faults and status flags.
import { describe, expect, test } from "vitest";
import { CR4, FAULT_VECTOR, FLAG_C, FLAG_R, MXCSR, SSE_RAISED } from "../../../src/layout/cpu-state.ts";
import { nearReciprocal } from "../../approximation-bound.ts";
import { HOST_VENDOR } from "../../host-vendor.ts";
import { type FloatCore, loadFloatCore } from "./float-core.ts";
import { compileNative, nativeObstacle, nativeRecords, RECORDS } from "./native-program.ts";

const RECORD_BYTES = 40;
const CR4_OSXMMEXCPT = 1 << 10;

type Execute = (core: FloatCore, a: bigint, b: bigint) => bigint;

const low = (value: bigint): number => Number(BigInt.asIntN(32, value));
const bits = (value: number | bigint): bigint =>
  typeof value === "bigint" ? BigInt.asUintN(64, value) : BigInt(value >>> 0);

const binary32 =
  (name: string): Execute =>
  (core, a, b) =>
    bits(core.functions[name]!(low(a), low(b)));
const binary64 =
  (name: string): Execute =>
  (core, a, b) =>
    bits(core.functions[name]!(a, b));
const unary32 =
  (name: string): Execute =>
  (core, a) =>
    bits(core.functions[name]!(low(a)));
const unary64 =
  (name: string): Execute =>
  (core, a) =>
    bits(core.functions[name]!(a));
const toInteger32 =
  (name: string, truncate: number): Execute =>
  (core, a) =>
    bits(core.functions[name]!(low(a), truncate));
const toInteger64 =
  (name: string, truncate: number): Execute =>
  (core, a) =>
    bits(core.functions[name]!(a, truncate));
const compare32 =
  (predicate: number): Execute =>
  (core, a, b) =>
    core.functions["f32Compare"]!(low(a), low(b), predicate) === 1 ? 0xffffffffn : 0n;
const compare64 =
  (predicate: number): Execute =>
  (core, a, b) =>
    core.functions["f64Compare"]!(a, b, predicate) === 1 ? 0xffffffffffffffffn : 0n;
const flags32 =
  (signalling: number): Execute =>
  (core, a, b) => {
    core.functions["f32CompareFlags"]!(low(a), low(b), signalling);
    return 0n;
  };
const flags64 =
  (signalling: number): Execute =>
  (core, a, b) => {
    core.functions["f64CompareFlags"]!(a, b, signalling);
    return 0n;
  };
/** Two lanes with exchanged operands, as the native program has them. */
const packed =
  (name: string): Execute =>
  (core, a, b) => {
    const result = bits(core.functions[name]!(a, b));
    core.functions[name]!(b, a);
    return result;
  };

const predicates = [0, 1, 2, 3, 4, 5, 6, 7];
const OPERATIONS: readonly (readonly [string, Execute])[] = [
  ...["f32Add", "f32Sub", "f32Mul", "f32Div", "f32Min", "f32Max"].map((n) => [n, binary32(n)] as const),
  ...["f64Add", "f64Sub", "f64Mul", "f64Div", "f64Min", "f64Max"].map((n) => [n, binary64(n)] as const),
  ...["f32Sqrt", "f32ToF64", "i32ToF32", "i32ToF64"].map((n) => [n, unary32(n)] as const),
  ...["f32RcpApprox", "f32RsqrtApprox"].map((n) => [n, unary32(n)] as const),
  ...["f64Sqrt", "f64ToF32", "i64ToF32", "i64ToF64"].map((n) => [n, unary64(n)] as const),
  ...predicates.map((p) => [`f32Compare${p}`, compare32(p)] as const),
  ...predicates.map((p) => [`f64Compare${p}`, compare64(p)] as const),
  ...[0, 1].map((s) => [`f32CompareFlags${s}`, flags32(s)] as const),
  ...[0, 1].map((s) => [`f64CompareFlags${s}`, flags64(s)] as const),
  ...[0, 1].map((t) => [`f32ToI32_${t}`, toInteger32("f32ToI32", t)] as const),
  ...[0, 1].map((t) => [`f32ToI64_${t}`, toInteger32("f32ToI64", t)] as const),
  ...[0, 1].map((t) => [`f64ToI32_${t}`, toInteger64("f64ToI32", t)] as const),
  ...[0, 1].map((t) => [`f64ToI64_${t}`, toInteger64("f64ToI64", t)] as const),
  ["packedDivide", packed("f64Div")],
  ["packedAdd", packed("f64Add")],
];

/** Whether our result is as good as the processor's. */
type Accepts = (ours: bigint, processors: bigint) => boolean;

const equal: Accepts = (a, b) => a === b;
/** Ours are AMD's approximations; Intel's are others within the same bound. */
const near: Accepts = (a, b) => nearReciprocal(Number(a), Number(b));
const APPROXIMATIONS = new Set(["f32RcpApprox", "f32RsqrtApprox"]);
const IS_INTEL = HOST_VENDOR === "GenuineIntel";

const obstacle = nativeObstacle();

describe.skipIf(obstacle !== undefined)(
  `SSE scalar operations agree with the processor${obstacle ? ` (skipped: ${obstacle})` : ""}`,
  () => {
    const program = obstacle === undefined ? compileNative("sse") : "";
    const core = obstacle === undefined ? loadFloatCore() : undefined;

    test.each(OPERATIONS)("%s", (name, execute) => {
      const records = nativeRecords(program, name, 1, RECORDS);
      const accepts = IS_INTEL && APPROXIMATIONS.has(name) ? near : equal;
      expect(firstDifference(core!, records, execute, accepts)).toBe("none");
    });
  },
);

function firstDifference(core: FloatCore, records: DataView, execute: Execute, accepts: Accepts): string {
  core.write(CR4, CR4_OSXMMEXCPT);
  for (let at = 0; at < records.byteLength; at += RECORD_BYTES) {
    const a = records.getBigUint64(at, true);
    const b = records.getBigUint64(at + 8, true);
    const mxcsr = records.getUint32(at + 24, true);
    core.write(MXCSR, mxcsr);
    core.write(SSE_RAISED, 0);
    core.write(FAULT_VECTOR, -1);
    core.write(FLAG_C, 0);
    core.write(FLAG_R, 1);
    const result = execute(core, a, b);
    const faulted = core.functions["commitSse"]!();
    const processors = records.getBigUint64(at + 16, true);
    const actual = describeOutcome(
      faulted ? 0n : accepts(result, processors) ? processors : result,
      core.read(MXCSR),
      Number(faulted),
      faulted ? 0 : statusFlags(core),
    );
    const expected = describeOutcome(
      processors,
      records.getUint32(at + 28, true),
      records.getUint32(at + 36, true),
      records.getUint32(at + 32, true),
    );
    if (actual === expected) continue;
    return `a ${a.toString(16)}, b ${b.toString(16)}, MXCSR ${mxcsr.toString(16)}: ${actual}; the processor: ${expected}`;
  }
  return "none";
}

function describeOutcome(result: bigint, mxcsr: number, faulted: number, flags: number): string {
  return `result ${result.toString(16)}, MXCSR ${mxcsr.toString(16)}, fault ${faulted}, flags ${flags.toString(16)}`;
}

/** ZF, PF and CF from the lazy flags, for results 0 and 1; before any comparison PF and ZF read as the harness left them. */
function statusFlags(core: FloatCore): number {
  const carry = core.read(FLAG_C);
  const result = core.read(FLAG_R);
  const even = result === 0 ? 1 : 0;
  return (carry & 1) | ((even ^ ((carry >> 2) & 1)) << 2) | (result === 0 ? 0x40 : 0);
}
