// Rows from the manuals: AMD64 Architecture Programmer's Manual, volume 1, "SIMD Floating-Point Exceptions" and "NaN Results".
import { beforeEach, describe, expect, test } from "vitest";
import { CR4, FAULT_ERROR_CODE, FAULT_VECTOR, MXCSR, SSE_RAISED } from "../../../src/layout/cpu-state.ts";
import { loadFloatCore } from "./float-core.ts";

const core = loadFloatCore();
const run = core.functions;

const ONE = 0x3ff0000000000000n;
const TWO = 0x4000000000000000n;
const THREE = 0x4008000000000000n;
const ZERO = 0n;
const INFINITY = 0x7ff0000000000000n;
const LARGEST = 0x7fefffffffffffffn;
const LEAST_NORMAL = 0x0010000000000000n;
const LEAST_DENORMAL = 1n;
const QUIET = 0x7ff8000000000001n;
const SIGNALLING = 0x7ff0000000000001n;
const INDEFINITE = 0xfff8000000000000n;
const NEGATIVE = 0x8000000000000000n;

const MASKED = 0x1f80;
const ROUND_DOWN = 0x2000;
const ROUND_UP = 0x4000;
const TRUNCATE = 0x6000;
const FTZ = 0x8000;
const DAZ = 0x40;
const IE = 1;
const DE = 2;
const ZE = 4;
const OE = 8;
const UE = 16;
const PE = 32;

beforeEach(() => {
  core.write(MXCSR, MASKED);
  core.write(SSE_RAISED, 0);
  core.write(CR4, 1 << 10);
  core.write(FAULT_VECTOR, -1);
});

const add = (a: bigint, b: bigint): bigint => BigInt.asUintN(64, run["f64Add"]!(a, b) as bigint);
const multiply = (a: bigint, b: bigint): bigint => BigInt.asUintN(64, run["f64Mul"]!(a, b) as bigint);
const divide = (a: bigint, b: bigint): bigint => BigInt.asUintN(64, run["f64Div"]!(a, b) as bigint);

describe("results and exceptions with all exceptions masked", () => {
  test.each([
    ["1 + 2 is exact", add, ONE, TWO, THREE, 0],
    ["1 / 3 is inexact", divide, ONE, THREE, 0x3fd5555555555555n, PE],
    ["1 / 0 is infinite and raises ZE", divide, ONE, ZERO, INFINITY, ZE],
    ["-1 / 0 is negative infinity", divide, ONE | NEGATIVE, ZERO, INFINITY | NEGATIVE, ZE],
    ["0 / 0 is the indefinite NaN", divide, ZERO, ZERO, INDEFINITE, IE],
    ["infinity - infinity is the indefinite NaN", add, INFINITY, INFINITY | NEGATIVE, INDEFINITE, IE],
    ["infinity * 0 is the indefinite NaN", multiply, INFINITY, ZERO, INDEFINITE, IE],
    ["the first of two NaNs is kept", add, QUIET, QUIET + 1n, QUIET, 0],
    ["a signalling NaN is quieted and raises IE", add, ONE, SIGNALLING, QUIET, IE],
    ["a quiet NaN hides a denormal", add, QUIET, LEAST_DENORMAL, QUIET, 0],
    ["a denormal operand raises DE", add, LEAST_DENORMAL, ZERO, LEAST_DENORMAL, DE],
    ["overflow is infinite and inexact", add, LARGEST, LARGEST, INFINITY, OE | PE],
    ["an exact denormal result does not underflow", divide, LEAST_NORMAL, TWO, 0x0008000000000000n, 0],
    ["an inexact denormal result underflows", divide, LEAST_NORMAL, THREE, 0x0005555555555555n, UE | PE],
    ["x - x is positive zero", add, ONE, ONE | NEGATIVE, ZERO, 0],
  ] as const)("%s", (_name, operation, a, b, result, raised) => {
    expect(operation(a, b)).toBe(result);
    expect(core.read(SSE_RAISED)).toBe(raised);
  });
});

describe("the control bits of MXCSR", () => {
  test.each([
    ["x - x is negative zero when rounding down", ROUND_DOWN, add, ONE, ONE | NEGATIVE, NEGATIVE, 0],
    ["1 / 3 rounds up", ROUND_UP, divide, ONE, THREE, 0x3fd5555555555556n, PE],
    ["overflow stays finite when truncating", TRUNCATE, add, LARGEST, LARGEST, LARGEST, OE | PE],
    ["FTZ makes a tiny result zero", FTZ, divide, LEAST_NORMAL, THREE, ZERO, UE | PE],
    ["FTZ makes even an exact tiny result zero", FTZ, divide, LEAST_NORMAL, TWO, ZERO, UE | PE],
    ["DAZ takes a denormal for zero, without DE", DAZ, add, LEAST_DENORMAL, ZERO, ZERO, 0],
    ["DAZ makes division by a denormal a division by zero", DAZ, divide, ONE, LEAST_DENORMAL, INFINITY, ZE],
  ] as const)("%s", (_name, control, operation, a, b, result, raised) => {
    core.write(MXCSR, MASKED | control);
    expect(operation(a, b)).toBe(result);
    expect(core.read(SSE_RAISED)).toBe(raised);
  });
});

describe("committing", () => {
  test("masked exceptions become sticky", () => {
    divide(ONE, THREE);
    expect(run["commitSse"]!()).toBe(0);
    expect(core.read(MXCSR)).toBe(MASKED | PE);
    expect(core.read(SSE_RAISED)).toBe(0);
  });

  test("an unmasked exception is #XM without an error code", () => {
    core.write(MXCSR, MASKED & ~(ZE << 7));
    divide(ONE, ZERO);
    expect(run["commitSse"]!()).toBe(1);
    expect(core.read(FAULT_VECTOR)).toBe(19);
    expect(core.read(FAULT_ERROR_CODE)).toBe(-1);
  });

  test("without CR4.OSXMMEXCPT it is #UD", () => {
    core.write(CR4, 0);
    core.write(MXCSR, MASKED & ~(IE << 7));
    divide(ZERO, ZERO);
    expect(run["commitSse"]!()).toBe(1);
    expect(core.read(FAULT_VECTOR)).toBe(6);
  });

  test("an unmasked division by zero in one lane hides the inexact result of another", () => {
    core.write(MXCSR, MASKED & ~(ZE << 7));
    divide(ONE, THREE);
    divide(ONE, ZERO);
    run["commitSse"]!();
    expect(core.read(MXCSR) & 0x3f).toBe(ZE);
  });

  test("the fast path leaves a set PE alone and needs no new one", () => {
    core.write(MXCSR, MASKED | PE);
    expect(divide(ONE, THREE)).toBe(0x3fd5555555555555n);
    expect(run["commitSse"]!()).toBe(0);
    expect(core.read(MXCSR)).toBe(MASKED | PE);
  });
});

describe("conversions to integers", () => {
  test.each([
    ["2.5 rounds to even", 0x4004000000000000n, 0, 2, PE],
    ["-2.5 truncates toward zero", 0xc004000000000000n, 1, -2, PE],
    ["2147483648 does not fit", 0x41e0000000000000n, 1, -2147483648, IE],
    ["-2147483648 fits", 0xc1e0000000000000n, 1, -2147483648, 0],
    ["a NaN gives the integer indefinite", QUIET, 0, -2147483648, IE],
    ["a denormal is inexact, not DE", LEAST_DENORMAL, 1, 0, PE],
  ] as const)("%s", (_name, operand, truncate, result, raised) => {
    expect(run["f64ToI32"]!(operand, truncate)).toBe(result);
    expect(core.read(SSE_RAISED)).toBe(raised);
  });
});
