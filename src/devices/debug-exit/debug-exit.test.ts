import { expect, test } from "vitest";
import { DebugExit } from "./debug-exit.ts";

test("a written value v ends the run with status 2v + 1", () => {
  const statuses: number[] = [];
  const device = new DebugExit((status) => statuses.push(status));
  device.writePort(0, 4, 0);
  device.writePort(0, 1, 0x10);
  expect(statuses).toEqual([1, 0x21]);
});

test("reads have no effect", () => {
  const statuses: number[] = [];
  expect(new DebugExit((status) => statuses.push(status)).readPort()).toBe(0);
  expect(statuses).toEqual([]);
});
