import { expect, test } from "vitest";
import * as codes from "../../src/cli/exit-codes.ts";

test("a debug-exit value gives an odd status of 8 bits", () => {
  expect(codes.debugExitStatus(0)).toBe(1);
  expect(codes.debugExitStatus(0x10)).toBe(0x21);
  expect(codes.debugExitStatus(0xff)).toBe(0xff);
  expect(codes.debugExitStatus(0xffff_ff80)).toBe(0x01);
});

test("our own statuses are even and differ from each other", () => {
  const own = Object.values(codes).filter((code) => typeof code === "number");
  expect(own.filter((code) => code % 2 !== 0)).toEqual([]);
  expect(new Set(own).size).toBe(own.length);
});
