import { expect, test } from "vitest";
import { DebugPort } from "./debug-port.ts";

test("the debug port reads as its number", () => {
  expect(new DebugPort({ write() {} }).readPort()).toBe(0xe9);
});

test("bytes written come out of the sink", () => {
  const bytes: number[] = [];
  const port = new DebugPort({ write: (byte) => bytes.push(byte) });
  port.writePort(0, 1, 0x48);
  port.writePort(0, 1, 0x69);
  expect(bytes).toEqual([0x48, 0x69]);
});
