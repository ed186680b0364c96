import { expect, test } from "vitest";
import type { Expr, FunctionBuilder } from "../../wasm/function-builder.ts";
import { TestModule } from "../../wasm/testing.ts";
import { Value } from "./value.ts";
import { VectorValues } from "./vector-values.ts";

const BYTES = Array.from({ length: 16 }, (_, i) => i);
const COUNT = 4;

/** Computes a vector from the bytes 0, 1, ... 15 and a 32-bit argument. */
function run(
  argument: number,
  compute: (values: VectorValues, bytes: Value, argument: Value) => Value,
): number[] {
  const module = new TestModule().add("f", ["i32"], [], (f: FunctionBuilder) => {
    const values = new VectorValues(f);
    const result: Expr = compute(
      values,
      new Value(128, f.load("v128.load", f.i32(0))),
      new Value(8, f.parameter(0)),
    ).e;
    f.store("v128.store", f.i32(16), result);
  });
  const { bytes } = module;
  for (const i of BYTES) bytes.setUint8(i, i);
  module.run("f")(argument);
  return BYTES.map((i) => bytes.getUint8(16 + i));
}

test.each([
  [32, 0, 0x1b, [12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3]],
  [32, 0, 0xe4, BYTES],
  [16, 0, 0x2d, [2, 3, 6, 7, 4, 5, 0, 1, 8, 9, 10, 11, 12, 13, 14, 15]],
  [16, 4, 0xff, [0, 1, 2, 3, 4, 5, 6, 7, 14, 15, 14, 15, 14, 15, 14, 15]],
] as const)(
  "lanes of %i bits from lane %i, selector %i: the same for a constant and a value",
  (bits, first, selector, expected) => {
    expect(run(selector, (v, bytes, argument) => v.shuffleLanes(bits, first, bytes, argument))).toEqual(
      expected,
    );
    expect(run(0, (v, bytes) => v.shuffleLanes(bits, first, bytes, v.constant(selector, 8)))).toEqual(
      expected,
    );
  },
);

test("a lane's number counts modulo the number of lanes", () => {
  const lane = (index: number) =>
    run(index, (v, bytes, argument) => v.vector64(v.zeroExtend(v.laneAt(16, bytes, argument), 64))).slice(
      0,
      4,
    );
  expect(lane(7)).toEqual([14, 15, 0, 0]);
  expect(lane(8 + 2)).toEqual([4, 5, 0, 0]);
});

test("one lane is replaced, the others stay", () => {
  const replaced = run(8 + 3, (v, bytes, argument) => v.withLaneAt(bytes, argument, v.constant(0xbeef, 16)));
  expect(replaced).toEqual(BYTES.with(6, 0xef).with(7, 0xbe));
});

test("bytes move left and right, and zeros follow", () => {
  expect(run(COUNT, (v, bytes, n) => v.shiftBytes("left", bytes, n))).toEqual([
    0,
    0,
    0,
    0,
    ...BYTES.slice(0, 12),
  ]);
  expect(run(COUNT, (v, bytes, n) => v.shiftBytes("right", bytes, n))).toEqual([
    ...BYTES.slice(4),
    0,
    0,
    0,
    0,
  ]);
  expect(run(16, (v, bytes, n) => v.shiftBytes("right", bytes, n))).toEqual(Array(16).fill(0));
});

test("a shift count of the lane's width or more gives 0, or the sign", () => {
  const shifted = (op: "shiftLeft" | "shiftRightSigned", count: bigint) =>
    run(0, (v, bytes) => v.laneShift(op, 16, v.not(bytes), v.constant(count, 64)));
  expect(shifted("shiftLeft", 16n)).toEqual(Array(16).fill(0));
  expect(shifted("shiftLeft", 1n << 32n)).toEqual(Array(16).fill(0));
  expect(shifted("shiftRightSigned", 1n << 32n)).toEqual(Array(16).fill(0xff));
});

test("the low half of a widened integer is the integer", () => {
  const low = run(0x5a, (v, _bytes, argument) => {
    const wide = v.vector64(v.zeroExtend(argument, 64));
    return v.fromLanes([v.low64(wide), v.lane(64, wide, 1)]);
  });
  expect(low).toEqual([0x5a, ...Array(15).fill(0)]);
});
