import { expect, test } from "vitest";
import { DebugExit } from "./debug-exit.ts";

test("what is written ends the run, all bits of it", () => {
  const values: number[] = [];
  const device = new DebugExit((value) => values.push(value));
  device.writePort(0, 4, 0);
  device.writePort(0, 1, 0x89);
  device.writePort(0, 4, 0xffff_ffff);
  expect(values).toEqual([0, 0x89, 0xffff_ffff]);
});

test("reads have no effect", () => {
  const values: number[] = [];
  expect(new DebugExit((value) => values.push(value)).readPort()).toBe(0);
  expect(values).toEqual([]);
});
