import { expect, test } from "vitest";
import { fanOut, SharedInterruptLine } from "./interrupt-line.ts";

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

test("a fanned-out line drives all its inputs", () => {
  const log: string[] = [];
  const line = fanOut({ set: (on) => log.push(`pic ${on}`) }, { set: (on) => log.push(`ioapic ${on}`) });
  line.set(true);
  expect(log).toEqual(["pic true", "ioapic true"]);
});
