import fc from "fast-check";
import { expect, test } from "vitest";
import { STATUS_FAULT, STATUS_OK } from "../../../src/layout/cpu-state.ts";
import { startCore } from "./core-fixture.ts";

const core = startCore();
const MAX = 0xffff_ffff_ffff_ffffn;
const word = fc.oneof(
  fc.bigInt({ min: 0n, max: MAX }),
  fc.constantFrom(0n, 1n, 0x8000_0000_0000_0000n, MAX, 0xffff_ffffn),
);

// biome-ignore format: a table
const unsigned = [
  // what it pins down                     high, low, divisor, quotient, remainder
  ["the upper half is zero",               0n, 100n, 7n, 14n, 2n],
  ["both quotient digits are used",        1n, 0n, 3n, 0x5555_5555_5555_5555n, 1n],
  ["largest quotient",                     MAX - 1n, MAX, MAX, MAX, MAX - 1n],
  ["a divisor of one digit",               0x1234n, 0x5678n, 0xffff_ffffn, 0x123400001234n, 0x68acn],
  ["a digit estimate that is too large",   0x8000_0000_0000_0000n, 0n, 0x8000_0000_ffff_ffffn, 0xfffffffe00000005n, 0x7ffffff900000005n],
] as const;

test.each(unsigned)("DIV r64: %s", (_, high, low, divisor, quotient, remainder) => {
  expect(core.call("divide128", high, low, divisor)).toBe(STATUS_OK);
  expect([core.result(), core.remainder()]).toEqual([quotient, remainder]);
});

test("DIV r64 agrees with exact integers on random operands", () => {
  fc.assert(
    fc.property(word, word, word, (high, low, divisor) => {
      fc.pre(high < divisor);
      const dividend = (high << 64n) | low;
      core.call("divide128", high, low, divisor);
      return core.result() === dividend / divisor && core.remainder() === dividend % divisor;
    }),
    { numRuns: 20_000 },
  );
});

test.each([
  ["division by zero", 0n, 5n, 0n],
  ["a quotient of 65 bits", 5n, 0n, 5n],
] as const)("DIV r64 raises #DE: %s", (_, high, low, divisor) => {
  core.clearFault();
  expect(core.call("divide128", high, low, divisor)).toBe(STATUS_FAULT);
  expect(core.fault()).toBe("0");
  core.clearFault();
});

const signed = (value: bigint): bigint => BigInt.asIntN(64, value);
const MIN_SIGNED = -0x8000_0000_0000_0000n;
const MAX_SIGNED = 0x7fff_ffff_ffff_ffffn;

// biome-ignore format: a table
const signedRows = [
  // what it pins down                       dividend, divisor, quotient, remainder
  ["truncates toward zero",                  -7n, 2n, -3n, -1n],
  ["the remainder has the dividend's sign",  7n, -2n, -3n, 1n],
  ["two negative operands",                  -7n, -2n, 3n, -1n],
  ["the smallest quotient",                  MIN_SIGNED, 1n, MIN_SIGNED, 0n],
  ["the smallest quotient with a remainder", MIN_SIGNED * 10n - 9n, 10n, MIN_SIGNED, -9n],
  ["the smallest divisor",                   MIN_SIGNED, MIN_SIGNED, 1n, 0n],
] as const;

test.each(signedRows)("IDIV r64: %s", (_, dividend, divisor, quotient, remainder) => {
  expect(core.call("divideSigned128", dividend >> 64n, dividend & MAX, divisor)).toBe(STATUS_OK);
  expect([signed(core.result()), signed(core.remainder())]).toEqual([quotient, remainder]);
});

test.each([
  ["the quotient is one too large", MIN_SIGNED, -1n],
  ["the quotient is one too small", MIN_SIGNED - 1n, 1n],
  ["the quotient needs 65 bits", 1n << 65n, 1n],
  ["division by zero", 5n, 0n],
] as const)("IDIV r64 raises #DE: %s", (_, dividend, divisor) => {
  core.clearFault();
  expect(core.call("divideSigned128", dividend >> 64n, dividend & MAX, divisor)).toBe(STATUS_FAULT);
  expect(core.fault()).toBe("0");
  core.clearFault();
});

test("IDIV r64 agrees with exact integers on random operands", () => {
  fc.assert(
    fc.property(word, word, word, (high, low, divisor) => {
      const dividend = BigInt.asIntN(128, (high << 64n) | low);
      const by = signed(divisor);
      fc.pre(by !== 0n && dividend / by >= MIN_SIGNED && dividend / by <= MAX_SIGNED);
      core.call("divideSigned128", high, low, divisor);
      return signed(core.result()) === dividend / by && signed(core.remainder()) === dividend % by;
    }),
    { numRuns: 20_000 },
  );
});

test("the upper halves of products agree with exact integers", () => {
  fc.assert(
    fc.property(word, word, (a, b) => {
      const high = core.call("multiplyHigh", a, b);
      const highSigned = core.call("multiplyHighSigned", a, b);
      return high === (a * b) >> 64n && highSigned === BigInt.asUintN(64, (signed(a) * signed(b)) >> 64n);
    }),
    { numRuns: 20_000 },
  );
});
