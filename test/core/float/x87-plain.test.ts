import { beforeAll, describe, expect, test } from "vitest";
import { X87, X87_EMPTY, X87_FCW, X87_FSW, X87_TOP } from "../../../src/layout/cpu-state.ts";
import { CPU_STATE, SCRATCH } from "../../../src/layout/memory-map.ts";
import { Random } from "../../oracle/random.ts";
import { type FloatCore, loadFloatCore } from "./float-core.ts";

// The short way of x87/plain.ts wants precision control 3; the reserved value 1 means the same and takes the long way.
const SHORT_WAY = 0x037f;
const LONG_WAY = 0x017f;
/** core/float/x87/store.ts */
const STORED = SCRATCH + 40;
const COUNT = 60_000;
/** Exponents of the smallest and the largest numbers of each format. */
const EDGES = [1, 0x7ffe, 0x3fff - 126, 0x3fff + 127, 0x3fff - 1022, 0x3fff + 1023];
const TOP_BIT = 1n << 63n;

let core: FloatCore;
beforeAll(() => {
  core = loadFloatCore();
});

interface Extended {
  readonly significand: bigint;
  readonly signExponent: number;
}

/** Significands that lie close to powers of two and to each other, and random ones. */
function significand(random: Random): bigint {
  const word = (BigInt(random.next()) << 32n) | BigInt(random.next());
  const shift = BigInt(random.next() & 63);
  switch (random.below(6)) {
    case 0:
      return TOP_BIT | (word >> shift);
    case 1:
      return TOP_BIT | BigInt.asUintN(64, word << shift);
    case 2:
      return BigInt.asUintN(64, -1n - (word >> (1n + shift))) | TOP_BIT;
    case 3:
      return TOP_BIT | (1n << shift);
    case 4: {
      const square = BigInt((random.next() | 0x80000001) >>> 0) ** 2n;
      return TOP_BIT | (square + (shift >> 4n) - 1n);
    }
    default:
      return TOP_BIT | word;
  }
}

function extended(random: Random): Extended {
  const edge = random.below(8) === 0;
  const exponent = edge ? random.pick(EDGES) + random.below(3) - 1 : 0x3fff - 40 + random.below(80);
  return { significand: significand(random), signExponent: ((random.next() & 1) << 15) | exponent };
}

/** Status word and all eight registers after ST(0) op ST(1), or op a memory operand. */
function outcome(
  control: number,
  st0: Extended,
  st1: Extended,
  name: string,
  ...values: (number | bigint)[]
): string {
  core.write(X87_FCW, control);
  core.write(X87_FSW, 0x0200);
  core.write(X87_TOP, 6);
  core.write(X87_EMPTY, 0x3f);
  for (const [i, { significand, signExponent }] of [st0, st1].entries()) {
    const at = CPU_STATE + X87 + 16 * (6 + i);
    core.memory.setBigUint64(at, significand, true);
    core.memory.setUint16(at + 8, signExponent, true);
  }
  let status = core.functions[name]!(...values);
  let stored = "";
  if (name.startsWith("x87PrepareStore")) {
    stored = core.memory.getBigUint64(STORED, true).toString(16);
    status = core.functions["x87FinishStore"]!(0);
  }
  const registers = [5, 6, 7].map((i) => {
    const at = CPU_STATE + X87 + 16 * i;
    return `${core.memory.getUint16(at + 8, true).toString(16)}:${core.memory.getBigUint64(at, true).toString(16)}`;
  });
  const word = (field: number) => core.read(field).toString(16);
  return `${status} FSW ${word(X87_FSW)} TOP ${word(X87_TOP)} empty ${word(X87_EMPTY)} ${registers.join(" ")} ${stored}`;
}

function bothWaysAgree(seed: number, name: string, values: (random: Random) => (number | bigint)[]): void {
  const random = new Random(seed);
  const differences: string[] = [];
  for (let n = 0; n < COUNT; n++) {
    const st0 = extended(random);
    const st1 = random.below(8) === 0 ? { ...st0, significand: st0.significand | 1n } : extended(random);
    const given = values(random);
    const short = outcome(SHORT_WAY, st0, st1, name, ...given);
    const long = outcome(LONG_WAY, st0, st1, name, ...given);
    if (short !== long) differences.push(`${JSON.stringify(given.map(String))}: ${short}, should be ${long}`);
  }
  expect(differences.slice(0, 3)).toEqual([]);
}

const OPERATIONS = [
  ["FADD", 0],
  ["FMUL", 1],
  ["FSUB", 4],
  ["FSUBR", 5],
  ["FDIV", 6],
  ["FDIVR", 7],
] as const;

describe("the short way of x87 arithmetic gives what the long way gives", () => {
  test.each(OPERATIONS)("%s ST(0), ST(1)", (_, operation) => {
    bothWaysAgree(1 + operation, "x87Arith", () => [operation, 0, 1, 0]);
  });

  test.each(OPERATIONS)("%sP ST(1), ST(0)", (_, operation) => {
    bothWaysAgree(11 + operation, "x87Arith", () => [operation, 1, 0, 1]);
  });

  test.each(OPERATIONS)("%s m32", (_, operation) => {
    bothWaysAgree(21 + operation, "x87Arith32", (random) => [operation, random.next() | 0]);
  });

  test.each(OPERATIONS)("%s m64", (_, operation) => {
    bothWaysAgree(31 + operation, "x87Arith64", (random) => [
      operation,
      (BigInt(random.next()) << 32n) | BigInt(random.next()),
    ]);
  });

  test("FSQRT", () => {
    bothWaysAgree(41, "x87Unary", () => [2]);
  });
  test.each([
    ["FST m32", "x87PrepareStore32"],
    ["FST m64", "x87PrepareStore64"],
  ])("%s", (_, name) => {
    bothWaysAgree(51, name, () => []);
  });
});
