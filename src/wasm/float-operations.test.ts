import { describe, expect, test } from "vitest";
import type { OpName } from "./opcodes.ts";
import { testFunction } from "./testing.ts";

const EDGES = [
  0,
  -0,
  1,
  -1,
  0.5,
  -0.5,
  1.5,
  2.5,
  -2.5,
  1e10,
  -3e9,
  4.25e38,
  5e-324,
  Infinity,
  -Infinity,
  NaN,
];

function roundToEven(x: number): number {
  const lower = Math.floor(x);
  const candidates = [lower, lower + 1].filter((candidate) => Math.abs(candidate - x) === 0.5);
  const nearest = candidates.find((candidate) => candidate % 2 === 0) ?? Math.round(x);
  return Math.sign(x) < 0 && nearest === 0 ? -0 : nearest;
}

const UNARY: Readonly<Record<string, (a: number) => number>> = {
  abs: Math.abs,
  neg: (a) => -a,
  ceil: Math.ceil,
  floor: Math.floor,
  trunc: Math.trunc,
  nearest: roundToEven,
  sqrt: Math.sqrt,
};

const BINARY: Readonly<Record<string, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  min: Math.min,
  max: Math.max,
  copysign: (a, b) => (b < 0 || Object.is(b, -0) ? -Math.abs(a) : Math.abs(a)),
  eq: (a, b) => Number(a === b),
  ne: (a, b) => Number(a !== b),
  lt: (a, b) => Number(a < b),
  gt: (a, b) => Number(a > b),
  le: (a, b) => Number(a <= b),
  ge: (a, b) => Number(a >= b),
};

describe.each([
  ["f32", Math.fround],
  ["f64", (x: number) => x],
] as const)("%s", (type, round) => {
  const edges = EDGES.map(round);

  test.each(Object.keys(UNARY))("%s", (operation) => {
    const run = testFunction([type], [type], (f) =>
      f.return(f.op(`${type}.${operation}` as OpName, f.parameter(0))),
    );
    for (const a of edges)
      expect([a, run(a)]).toEqual([a, round((UNARY[operation] as (a: number) => number)(a))]);
  });

  test.each(Object.keys(BINARY))("%s", (operation) => {
    const result = ["eq", "ne", "lt", "gt", "le", "ge"].includes(operation) ? "i32" : type;
    const model = BINARY[operation] as (a: number, b: number) => number;
    const run = testFunction([type, type], [result], (f) =>
      f.return(f.op(`${type}.${operation}` as OpName, f.parameter(0), f.parameter(1))),
    );
    for (const a of edges) {
      for (const b of edges.filter((b) => operation !== "copysign" || !Number.isNaN(b))) {
        expect([a, b, run(a, b)]).toEqual([a, b, round(model(a, b))]);
      }
    }
  });
});

const saturate = (x: number, minimum: number, maximum: number): number =>
  Number.isNaN(x) ? 0 : Math.min(Math.max(Math.trunc(x), minimum), maximum) + 0;

test.each(["f32", "f64"] as const)("conversions of %s to integers saturate", (type) => {
  const convert = (name: string) =>
    testFunction([type], [name.slice(0, 3) as "i32"], (f) =>
      f.return(f.op(`${name}_sat_${type}_s` as OpName, f.parameter(0))),
    );
  const convertUnsigned = (name: string) =>
    testFunction([type], [name.slice(0, 3) as "i32"], (f) =>
      f.return(f.op(`${name}_sat_${type}_u` as OpName, f.parameter(0))),
    );
  const edges = EDGES.map((x) => (type === "f32" ? Math.fround(x) : x));
  for (const x of edges) {
    expect(convert("i32.trunc")(x)).toBe(saturate(x, -0x8000_0000, 0x7fff_ffff));
    expect(convertUnsigned("i32.trunc")(x) >>> 0).toBe(saturate(x, 0, 0xffff_ffff));
    expect(convert("i64.trunc")(x)).toBe(
      BigInt.asIntN(64, BigInt(saturate(x, -(2 ** 63), 2 ** 63)) - BigInt(x >= 2 ** 63)),
    );
    expect(BigInt.asUintN(64, convertUnsigned("i64.trunc")(x))).toBe(
      BigInt(saturate(x, 0, 2 ** 64)) - BigInt(x >= 2 ** 64),
    );
  }
});

test.each([
  ["i32.trunc_f64_s", -3.9, -3],
  ["i32.trunc_f32_u", 3.5, 3],
  ["i64.trunc_f64_s", -1e15, -1_000_000_000_000_000n],
  ["i64.trunc_f32_u", 8.75, 8n],
  ["f32.convert_i32_s", -7, -7],
  ["f32.convert_i32_u", -1, 4294967296],
  ["f64.convert_i32_u", -1, 4294967295],
  ["f64.convert_i64_s", -1n, -1],
  ["f64.convert_i64_u", -1n, 2 ** 64],
  ["f32.demote_f64", 0.1, Math.fround(0.1)],
  ["f64.promote_f32", 0.5, 0.5],
  ["i32.reinterpret_f32", 1, 0x3f80_0000],
  ["i64.reinterpret_f64", 1, 0x3ff0_0000_0000_0000n],
  ["f32.reinterpret_i32", 0x3f80_0000, 1],
  ["f64.reinterpret_i64", 0x3ff0_0000_0000_0000n, 1],
] as const)("%s of %d is %d", (name, value, expected) => {
  const from = (/_([if]\d\d)(_[su])?$/.exec(name) as RegExpExecArray)[1] as "i32";
  const run = testFunction([from], [name.slice(0, 3) as "i32"], (f) => f.return(f.op(name, f.parameter(0))));
  expect(run(value)).toBe(expected);
});

test("a reinterpretation and its inverse vanish", () => {
  testFunction([], [], (f) => {
    const x = f.load("f64.load", f.i32(0));
    expect(f.op("f64.reinterpret_i64", f.op("i64.reinterpret_f64", x))).toBe(x);
    const y = f.load("i32.load", f.i32(0));
    expect(f.op("i32.reinterpret_f32", f.op("f32.reinterpret_i32", y))).toBe(y);
  });
});
