import { describe, expect, test } from "vitest";
import { constantOf } from "./expression.ts";
import type { Expr, FunctionBuilder } from "./function-builder.ts";
import { OPCODES, type OpName } from "./opcodes.ts";
import { TestModule, testFunction } from "./testing.ts";

type Width = 32 | 64;
/** An operation on unsigned numbers of so many bits; the result is cut to its type. */
type Model = (a: bigint, b: bigint, width: Width) => bigint;

const signed = (a: bigint, width: Width): bigint => BigInt.asIntN(width, a);
const shift = (b: bigint, width: Width): bigint => b % BigInt(width);
const binary = (a: bigint, width: Width): string => a.toString(2).padStart(width, "0");

const MODELS: Readonly<Record<string, Model>> = {
  eqz: (a) => BigInt(a === 0n),
  eq: (a, b) => BigInt(a === b),
  ne: (a, b) => BigInt(a !== b),
  lt_s: (a, b, width) => BigInt(signed(a, width) < signed(b, width)),
  lt_u: (a, b) => BigInt(a < b),
  gt_s: (a, b, width) => BigInt(signed(a, width) > signed(b, width)),
  gt_u: (a, b) => BigInt(a > b),
  le_s: (a, b, width) => BigInt(signed(a, width) <= signed(b, width)),
  le_u: (a, b) => BigInt(a <= b),
  ge_s: (a, b, width) => BigInt(signed(a, width) >= signed(b, width)),
  ge_u: (a, b) => BigInt(a >= b),
  clz: (a, _, width) => BigInt(a === 0n ? width : binary(a, width).indexOf("1")),
  ctz: (a, _, width) => BigInt(a === 0n ? width : width - 1 - binary(a, width).lastIndexOf("1")),
  popcnt: (a, _, width) => BigInt(binary(a, width).replaceAll("0", "").length),
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div_s: (a, b, width) => signed(a, width) / signed(b, width),
  div_u: (a, b) => a / b,
  rem_s: (a, b, width) => signed(a, width) % signed(b, width),
  rem_u: (a, b) => a % b,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shl: (a, b, width) => a << shift(b, width),
  shr_s: (a, b, width) => signed(a, width) >> shift(b, width),
  shr_u: (a, b, width) => a >> shift(b, width),
  rotl: (a, b, width) => (a << shift(b, width)) | (a >> (BigInt(width) - shift(b, width))),
  rotr: (a, b, width) => (a >> shift(b, width)) | (a << (BigInt(width) - shift(b, width))),
  extend8_s: (a) => BigInt.asIntN(8, a),
  extend16_s: (a) => BigInt.asIntN(16, a),
  extend32_s: (a) => BigInt.asIntN(32, a),
};

const EDGES: Readonly<Record<Width, readonly bigint[]>> = {
  32: [
    0n,
    1n,
    2n,
    31n,
    32n,
    33n,
    127n,
    128n,
    0x8000n,
    0x7fff_ffffn,
    0x8000_0000n,
    0x8000_0001n,
    0xffff_fffen,
    0xffff_ffffn,
    0x1234_5678n,
  ],
  64: [
    0n,
    1n,
    2n,
    63n,
    64n,
    65n,
    128n,
    0x8000n,
    0x7fff_ffffn,
    0x8000_0000n,
    0xffff_ffffn,
    0x1_0000_0000n,
    0x7fff_ffff_ffff_ffffn,
    0x8000_0000_0000_0000n,
    0x8000_0000_0000_0001n,
    0xffff_ffff_ffff_fffen,
    0xffff_ffff_ffff_ffffn,
    0x1234_5678_9abc_def0n,
  ],
};

const integerNames = (Object.keys(OPCODES) as OpName[]).filter((name) => {
  const opcode = OPCODES[name];
  const operation = name.slice(4);
  return opcode.class === "pure" && opcode.prefix === 0 && /^i(32|64)\./.test(name) && operation in MODELS;
});

/** The pairs of edge values on which the operation does not trap. */
function pairsFor(name: OpName, width: Width): (readonly [bigint, bigint])[] {
  const pairs = EDGES[width].flatMap((a) => EDGES[width].map((b) => [a, b] as const));
  const minimum = 1n << BigInt(width - 1);
  return pairs.filter(([a, b]) => {
    if (/div|rem/.test(name) && b === 0n) return false;
    return !(name.endsWith("div_s") && a === minimum && b === (minimum << 1n) - 1n);
  });
}

const constant = (f: FunctionBuilder, value: bigint, width: Width): Expr =>
  width === 32 ? f.i32(Number(BigInt.asIntN(32, value))) : f.i64(value);

describe.each(integerNames)("%s", (name) => {
  const { operands, result } = OPCODES[name];
  const width = operands[0] === "i32" ? 32 : 64;
  const model = MODELS[name.slice(4)] as Model;
  const resultWidth = result === "i32" ? 32 : 64;
  const argument = (value: bigint): number | bigint => (width === 32 ? Number(value) : value);
  const expected = (a: bigint, b: bigint): bigint => BigInt.asIntN(resultWidth, model(a, b, width));

  test("computes what the model does", () => {
    const run = testFunction([...operands], [result as "i32"], (f) =>
      f.return(f.op(name, ...operands.map((_, i) => f.parameter(i)))),
    );
    for (const [a, b] of pairsFor(name, width)) {
      expect([a, b, BigInt(run(argument(a), argument(b)))]).toEqual([a, b, expected(a, b)]);
    }
  });

  test("is folded to what the model does", () => {
    testFunction([], [], (f) => {
      for (const [a, b] of pairsFor(name, width)) {
        const args = [constant(f, a, width), constant(f, b, width)].slice(0, operands.length);
        expect([a, b, BigInt(constantOf(f.op(name, ...args)) ?? "folded")]).toEqual([a, b, expected(a, b)]);
      }
    });
  });

  test("computes what the model does when one operand is a constant", () => {
    const pairs = pairsFor(name, width).filter(() => operands.length === 2);
    const module = new TestModule();
    for (const b of EDGES[width]) {
      module.add(`right ${b}`, [operands[0] as "i32"], [result as "i32"], (f) =>
        f.return(f.op(name, ...[f.parameter(0), constant(f, b, width)].slice(0, operands.length))),
      );
      module.add(`left ${b}`, [operands[0] as "i32"], [result as "i32"], (f) =>
        f.return(f.op(name, ...[constant(f, b, width), f.parameter(0)].slice(0, operands.length))),
      );
    }
    for (const [a, b] of pairs) {
      expect([a, b, BigInt(module.run(`right ${b}`)(argument(a)))]).toEqual([a, b, expected(a, b)]);
      expect([a, b, BigInt(module.run(`left ${a}`)(argument(b)))]).toEqual([a, b, expected(a, b)]);
    }
  });
});

test.each(["i32.div_s", "i32.div_u", "i32.rem_s", "i32.rem_u"] as const)(
  "%s by a constant zero still traps",
  (name) => {
    const run = testFunction([], ["i32"], (f) => f.return(f.op(name, f.i32(7), f.i32(0))));
    expect(() => run()).toThrow(WebAssembly.RuntimeError);
  },
);

test("conversions between i32 and i64 fold to what they compute", () => {
  for (const value of EDGES[64]) {
    const low = Number(BigInt.asIntN(32, value));
    testFunction([], [], (f) => {
      expect(constantOf(f.op("i32.wrap_i64", f.i64(value)))).toBe(low);
      expect(constantOf(f.op("i64.extend_i32_s", f.i32(low)))).toBe(BigInt(low));
      expect(constantOf(f.op("i64.extend_i32_u", f.i32(low)))).toBe(BigInt(low >>> 0));
    });
  }
});
