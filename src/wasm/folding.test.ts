import { expect, test } from "vitest";
import type { Expr, FunctionBuilder } from "./function-builder.ts";
import { constantOf, isConstant } from "./function-builder.ts";
import type { OpName } from "./opcodes.ts";
import { TestModule, testFunction } from "./testing.ts";

function building(build: (f: FunctionBuilder, x: Expr, y: Expr) => void): void {
  testFunction(["i32", "i64"], [], (f) => build(f, f.parameter(0), f.parameter(1)));
}

test.each([
  ["add", 0],
  ["sub", 0],
  ["or", 0],
  ["xor", 0],
  ["and", -1],
  ["mul", 1],
  ["shl", 0],
  ["shr_s", 0],
  ["shr_u", 0],
  ["rotl", 0],
  ["rotr", 0],
  ["div_u", 1],
])("x %s %d is x", (operation, constant) => {
  building((f, x, y) => {
    expect(f.op(`i32.${operation}` as OpName, x, f.i32(constant))).toBe(x);
    expect(f.op(`i64.${operation}` as OpName, y, f.i64(BigInt(constant)))).toBe(y);
  });
});

test.each([
  ["and", 0, 0],
  ["mul", 0, 0],
  ["or", -1, -1],
])("x %s %d is %d", (operation, constant, result) => {
  building((f, x, y) => {
    expect(constantOf(f.op(`i32.${operation}` as OpName, f.i32(constant), x))).toBe(result);
    expect(constantOf(f.op(`i64.${operation}` as OpName, y, f.i64(BigInt(constant))))).toBe(BigInt(result));
  });
});

test("an operation on twice the same value is simplified", () => {
  building((f, x) => {
    expect(constantOf(f.op("i32.xor", x, x))).toBe(0);
    expect(constantOf(f.op("i32.sub", x, x))).toBe(0);
    expect(constantOf(f.op("i32.eq", x, x))).toBe(1);
    expect(constantOf(f.op("i32.lt_u", x, x))).toBe(0);
    expect(f.op("i32.and", x, x)).toBe(x);
  });
});

test("constants are summed across additions and subtractions", () => {
  building((f, x) => {
    const sum = f.op("i32.sub", f.op("i32.add", f.i32(5), x), f.i32(5));
    expect(sum).toBe(x);
    const y = f.op("i32.add", f.op("i32.add", x, f.i32(0x7fff_ffff)), f.i32(1));
    expect(constantOf(y.b as Expr)).toBe(-0x8000_0000);
  });
});

test("wrapping an extended value gives the value", () => {
  building((f, x) => {
    expect(f.op("i32.wrap_i64", f.op("i64.extend_i32_u", x))).toBe(x);
    expect(f.op("i32.wrap_i64", f.op("i64.extend_i32_s", x))).toBe(x);
  });
});

test("masks and extensions that change nothing vanish", () => {
  building((f, x) => {
    const byte = f.load("i32.load8_u", x);
    expect(f.op("i32.and", byte, f.i32(0xff))).toBe(byte);
    expect(f.op("i32.extend16_s", byte)).toBe(byte);
    expect(constantOf(f.op("i32.shr_u", byte, f.i32(8)))).toBe(0);
    const wide = f.op("i64.extend_i32_u", x);
    expect(f.op("i64.and", wide, f.i64(0xffff_ffffn))).toBe(wide);
    const loaded = f.load("i64.load32_u", x);
    expect(f.op("i64.extend_i32_u", f.op("i32.wrap_i64", loaded))).toBe(loaded);
    const signedByte = f.load("i32.load8_s", x);
    expect(f.op("i32.and", signedByte, f.i32(0xff))).not.toBe(signedByte);
  });
});

test("the negation of a comparison is the inverse comparison", () => {
  building((f, x, y) => {
    expect(f.op("i32.eqz", f.op("i32.lt_u", x, f.i32(3))).opcode).toBe(f.op("i32.ge_u", x, f.i32(3)).opcode);
    expect(f.op("i32.eqz", f.op("i64.le_s", y, f.i64(3n))).opcode).toBe(
      f.op("i64.gt_s", y, f.i64(3n)).opcode,
    );
  });
});

test("a constant condition takes its arm and writes no branch", () => {
  const taken: string[] = [];
  const run = testFunction(["i32"], ["i32"], (f) => {
    f.if(
      f.op("i32.lt_u", f.i32(1), f.i32(2)),
      () => taken.push("then"),
      () => taken.push("otherwise"),
    );
    f.if(
      f.i32(0),
      () => taken.push("then"),
      () => taken.push("otherwise"),
    );
    f.block((label) => {
      f.brIf(label, f.i32(0));
      f.return(f.select(f.i32(0), f.i32(1), f.parameter(0)));
    });
  });
  expect(taken).toEqual(["then", "otherwise"]);
  expect(run(7)).toBe(7);
});

/** A generator of pseudo-random numbers below a limit (xorshift32). */
function randomFrom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

const BINARY = ["add", "sub", "mul", "and", "or", "xor", "shl", "shr_s", "shr_u", "rotl", "rotr"];
const COMPARISONS = ["eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u"];
const CONSTANTS = [
  0n,
  1n,
  -1n,
  2n,
  5n,
  8n,
  31n,
  32n,
  0xffn,
  0xffffn,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  -256n,
];

/** A random value of 64 bits over leaves that are handed out one after another. */
function randomTree(
  f: FunctionBuilder,
  random: (limit: number) => number,
  leaf: (value: bigint) => Expr,
  depth: number,
): Expr {
  const tree = (): Expr => randomTree(f, random, leaf, depth - 1);
  const narrow = (): Expr => f.op("i32.wrap_i64", tree());
  const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T;
  if (depth === 0) return leaf(pick(CONSTANTS));
  switch (random(8)) {
    case 0:
      return f.op("i64.extend_i32_u", f.op(`i32.${pick(BINARY)}` as OpName, narrow(), narrow()));
    case 1:
      return f.op("i64.extend_i32_s", f.op(`i32.${pick(BINARY)}` as OpName, narrow(), narrow()));
    case 2:
      return f.op("i64.extend_i32_u", f.op(`i64.${pick(COMPARISONS)}` as OpName, tree(), tree()));
    case 3:
      return f.op(
        "i64.extend_i32_u",
        f.op("i32.eqz", f.op(`i32.${pick(COMPARISONS)}` as OpName, narrow(), narrow())),
      );
    case 4:
      return f.op(
        pick(["i64.extend8_s", "i64.extend16_s", "i64.extend32_s", "i64.clz", "i64.popcnt"] as const),
        tree(),
      );
    case 5:
      return f.select(f.op("i32.ne", narrow(), f.i32(0)), tree(), tree());
    default:
      return f.op(`i64.${pick(BINARY)}` as OpName, tree(), tree());
  }
}

test.each(Array.from({ length: 40 }, (_, i) => i + 1))(
  "random expressions, part %d: simplified as they are computed",
  (part) => {
    const module = new TestModule();
    const values: bigint[] = [];
    for (let i = 0; i < 25; i++) {
      const seed = part * 1000 + i;
      const loadLeaf = (f: FunctionBuilder, value: bigint): Expr => {
        values.push(value);
        return f.load("i64.load", f.i32(0), 8 * (values.length - 1));
      };
      // Every leaf is unknown in the first function, and about half of them are known in the second.
      const start = values.length;
      module.add(`plain ${i}`, [], ["i64"], (f) =>
        f.return(randomTree(f, randomFrom(seed), (value) => loadLeaf(f, value), 4)),
      );
      let at = start;
      const known = randomFrom(seed + 7);
      module.add(`simplified ${i}`, [], ["i64"], (f) => {
        const leaf = (value: bigint): Expr => {
          const offset = 8 * at++;
          return known(2) === 0 ? f.i64(value) : f.load("i64.load", f.i32(0), offset);
        };
        f.return(randomTree(f, randomFrom(seed), leaf, 4));
      });
    }
    values.forEach((value, i) => {
      module.bytes.setBigInt64(8 * i, value, true);
    });
    for (let i = 0; i < 25; i++) expect(module.run(`simplified ${i}`)()).toBe(module.run(`plain ${i}`)());
  },
);

test("constants are known as such", () => {
  building((f, x) => {
    expect(isConstant(f.i32(3))).toBe(true);
    expect(isConstant(f.v128(new Uint8Array(16)))).toBe(true);
    expect(isConstant(x)).toBe(false);
    expect(constantOf(f.i32(0xffff_ffff))).toBe(-1);
    expect(constantOf(f.i64(0xffff_ffff_ffff_ffffn))).toBe(-1n);
    expect(constantOf(x)).toBe(undefined);
  });
});
