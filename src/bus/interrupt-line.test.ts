import { expect, test } from "vitest";
import { SharedInterruptLine } from "./interrupt-line.ts";

test("a shared line stays asserted until its last source lets go", () => {
  const levels: boolean[] = [];
  const shared = new SharedInterruptLine({ set: (on) => levels.push(on) });
  const first = shared.source();
  const second = shared.source();
  first.set(true);
  second.set(true);
  first.set(false);
  first.set(false);
  expect(levels.at(-1)).toBe(true);
  second.set(false);
  expect(levels.at(-1)).toBe(false);
});
