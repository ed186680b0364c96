import { expect, test } from "vitest";
import type { OpName } from "./opcodes.ts";
import { TestModule } from "./testing.ts";

const SHAPES = [
  ["i8x16", 8n],
  ["i16x8", 16n],
  ["i32x4", 32n],
  ["i64x2", 64n],
] as const;

const VECTORS = [
  [0x8000_0000_7fff_ffffn, 0x00ff_80ff_7f80_0180n],
  [0xffff_ffff_0000_0001n, 0x7fff_ffff_ffff_ffffn],
  [0x0123_4567_89ab_cdefn, 0x8080_7f7f_fe01_01ffn],
  [0n, 0xffff_ffff_ffff_ffffn],
] as const;

/** An operation on the lanes as unsigned numbers; the result is cut to a lane. */
type LaneModel = (a: bigint, b: bigint, bits: bigint) => bigint;
const signed = (a: bigint, bits: bigint): bigint => BigInt.asIntN(Number(bits), a);
const clamp = (x: bigint, low: bigint, high: bigint): bigint => (x < low ? low : x > high ? high : x);
const clampSigned = (x: bigint, bits: bigint): bigint =>
  clamp(x, -(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n);
const clampUnsigned = (x: bigint, bits: bigint): bigint => clamp(x, 0n, (1n << bits) - 1n);

const ALL = ["i8x16", "i16x8", "i32x4", "i64x2"];
const NARROW = ["i8x16", "i16x8"];
const NOT_LONG = ["i8x16", "i16x8", "i32x4"];
const MODELS: readonly (readonly [string, readonly string[], LaneModel])[] = [
  ["add", ALL, (a, b) => a + b],
  ["sub", ALL, (a, b) => a - b],
  ["mul", ["i16x8", "i32x4", "i64x2"], (a, b) => a * b],
  ["add_sat_s", NARROW, (a, b, bits) => clampSigned(signed(a, bits) + signed(b, bits), bits)],
  ["add_sat_u", NARROW, (a, b, bits) => clampUnsigned(a + b, bits)],
  ["sub_sat_s", NARROW, (a, b, bits) => clampSigned(signed(a, bits) - signed(b, bits), bits)],
  ["sub_sat_u", NARROW, (a, b, bits) => clampUnsigned(a - b, bits)],
  ["avgr_u", NARROW, (a, b) => (a + b + 1n) >> 1n],
  ["min_s", NOT_LONG, (a, b, bits) => (signed(a, bits) < signed(b, bits) ? a : b)],
  ["min_u", NOT_LONG, (a, b) => (a < b ? a : b)],
  ["max_s", NOT_LONG, (a, b, bits) => (signed(a, bits) > signed(b, bits) ? a : b)],
  ["max_u", NOT_LONG, (a, b) => (a > b ? a : b)],
  ["eq", ALL, (a, b) => -BigInt(a === b)],
  ["ne", ALL, (a, b) => -BigInt(a !== b)],
  ["lt_s", ALL, (a, b, bits) => -BigInt(signed(a, bits) < signed(b, bits))],
  ["lt_u", NOT_LONG, (a, b) => -BigInt(a < b)],
  ["gt_s", ALL, (a, b, bits) => -BigInt(signed(a, bits) > signed(b, bits))],
  ["gt_u", NOT_LONG, (a, b) => -BigInt(a > b)],
  ["le_s", ALL, (a, b, bits) => -BigInt(signed(a, bits) <= signed(b, bits))],
  ["le_u", NOT_LONG, (a, b) => -BigInt(a <= b)],
  ["ge_s", ALL, (a, b, bits) => -BigInt(signed(a, bits) >= signed(b, bits))],
  ["ge_u", NOT_LONG, (a, b) => -BigInt(a >= b)],
];

function laneModel(a: bigint, b: bigint, bits: bigint, model: LaneModel): bigint {
  let result = 0n;
  for (let at = 0n; at < 64n; at += bits) {
    const laneA = BigInt.asUintN(Number(bits), a >> at);
    const laneB = BigInt.asUintN(Number(bits), b >> at);
    result |= BigInt.asUintN(Number(bits), model(laneA, laneB, bits)) << at;
  }
  return result;
}

const cases = MODELS.flatMap(([operation, shapes, model]) =>
  SHAPES.filter(([shape]) => shapes.includes(shape)).map(
    ([shape, bits]) => [`${shape}.${operation}` as OpName, bits, model] as const,
  ),
);

test.each(cases)("%s computes what the model does on each lane", (name, bits, model) => {
  const module = new TestModule().add("f", [], [], (f) => {
    const a = f.load("v128.load", f.i32(0));
    const b = f.load("v128.load", f.i32(16));
    f.store("v128.store", f.i32(32), f.op(name, a, b));
  });
  for (const a of VECTORS) {
    for (const b of VECTORS) {
      [...a, ...b].forEach((half, i) => {
        module.bytes.setBigUint64(8 * i, half, true);
      });
      module.run("f")();
      const halves = [module.bytes.getBigUint64(32, true), module.bytes.getBigUint64(40, true)];
      expect(halves).toEqual([laneModel(a[0], b[0], bits, model), laneModel(a[1], b[1], bits, model)]);
    }
  }
});

test("lanes are extracted, replaced, loaded and stored one by one", () => {
  const module = new TestModule().add("f", [], ["i32"], (f) => {
    const loaded = f.loadLane("v128.load16_lane", f.i32(0), f.op("i32x4.splat", f.i32(-1)), 3, 2);
    const replaced = f.opImm("i32x4.replace_lane", 3, loaded, f.i32(0x1234_5678));
    f.storeLane("v128.store64_lane", f.i32(8), replaced, 1);
    f.return(f.opImm("i8x16.extract_lane_u", 7, replaced));
  });
  module.bytes.setUint16(2, 0xabcd, true);
  expect(module.run("f")()).toBe(0xab);
  expect(module.bytes.getBigUint64(8, true)).toBe(0x1234_5678_ffff_ffffn);
});

test("a shuffle takes its lane indices from the immediate", () => {
  const module = new TestModule().add("f", [], [], (f) => {
    const reversed = Uint8Array.from({ length: 16 }, (_, i) => 31 - i);
    const bytes = f.v128(Uint8Array.from({ length: 16 }, (_, i) => i));
    f.store("v128.store", f.i32(0), f.opImm("i8x16.shuffle", reversed, bytes, bytes));
  });
  module.run("f")();
  expect(module.bytes.getBigUint64(0, true)).toBe(0x0809_0a0b_0c0d_0e0fn);
});

test("a lane that is not there is refused", () => {
  new TestModule().add("f", ["v128"], [], (f) => {
    expect(() => f.opImm("i32x4.extract_lane", 4, f.parameter(0))).toThrow(RangeError);
  });
});
