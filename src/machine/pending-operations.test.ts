import { expect, test } from "vitest";
import { PendingOperations } from "./pending-operations.ts";

/** Operations that end when the test says so, and what devices were told. */
function rig(deterministic: boolean) {
  const log: string[] = [];
  const operations = new PendingOperations(deterministic, {
    started: () => log.push("started"),
    delivered: () => log.push("wake"),
  });
  const start = (name: string) => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    operations.start(
      promise,
      (result) => log.push(`${name}: ${result}`),
      (error) => log.push(`${name} failed: ${error}`),
    );
    return { resolve, reject };
  };
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return { log, operations, start, settle };
}

test("in real time an outcome is delivered when it comes", async () => {
  const { log, operations, start, settle } = rig(false);
  const slow = start("slow");
  const fast = start("fast");
  fast.resolve("done");
  await settle();
  expect(operations.count).toBe(1);
  slow.reject("broken");
  await settle();
  expect(log).toEqual(["started", "started", "fast: done", "wake", "slow failed: broken", "wake"]);
  expect(operations.count).toBe(0);
});

test("in deterministic mode outcomes wait for the slowest and come in order", async () => {
  const { log, operations, start, settle } = rig(true);
  const slow = start("slow");
  const fast = start("fast");
  fast.resolve("done");
  await settle();
  expect(operations.count).toBe(2);
  slow.resolve("done");
  await settle();
  expect(log).toEqual(["started", "started", "slow: done", "fast: done", "wake"]);
});

test("a reset forgets what is under way", async () => {
  const { log, operations, start, settle } = rig(false);
  const old = start("old");
  operations.forget();
  old.resolve("done");
  await settle();
  expect(log).toEqual(["started"]);
  expect(operations.count).toBe(0);
});

test("what waits for an idle guest comes when it is, or after a millisecond, and before the machine is saved", async () => {
  const { operations } = rig(false);
  const told: boolean[] = [];
  const ask = () => operations.whenIdle((isIdle) => told.push(isIdle));
  expect(operations.guestIsIdle()).toBe(false);
  ask();
  expect([operations.guestIsIdle(), told]).toEqual([true, [true]]);
  operations.timePassed(5_000_000);
  ask();
  operations.timePassed(5_900_000);
  expect(told).toEqual([true]);
  operations.timePassed(6_000_000);
  expect(told).toEqual([true, false]);
  ask();
  await operations.settled();
  expect(told).toEqual([true, false, false]);
  ask();
  operations.forget();
  expect(operations.guestIsIdle()).toBe(false);
});

test("operations in memory are known until they have settled, also when their devices are gone", async () => {
  const { operations, log } = rig(false);
  const ends: (() => void)[] = [];
  const begin = (done: () => void) => ends.push(done) > 0;
  const tell = () => log.push("told");
  expect(operations.startInMemory(begin, tell, tell)).toBe(true);
  operations.forget();
  expect([operations.useMemory, operations.count]).toEqual([true, 0]);
  ends[0]?.();
  expect([operations.useMemory, log]).toEqual([false, ["started"]]);
});

test("the outcome of an operation in memory is delivered at once, and one that could not begin is none", async () => {
  const { operations, log } = rig(false);
  const ends: (() => void)[] = [];
  const start = (name: string) =>
    operations.startInMemory(
      (done, failed) => ends.push(name === "bad" ? () => failed("broken") : done) > 0,
      () => log.push(`${name} done`),
      (error) => log.push(`${name} ${error}`),
    );
  start("good");
  start("bad");
  expect([
    operations.count,
    operations.startInMemory(
      () => false,
      () => log.push("never"),
      () => log.push("never"),
    ),
  ]).toEqual([2, false]);
  const settled = operations.settled().then(() => log.push("settled"));
  ends[1]?.();
  ends[0]?.();
  expect([operations.count, operations.useMemory]).toEqual([0, false]);
  await settled;
  expect(log).toEqual(["started", "started", "bad broken", "wake", "good done", "wake", "settled"]);
});

test("memory is left to the processor in deterministic mode, and where it is compared", () => {
  const events = { started() {}, delivered() {} };
  expect(new PendingOperations(true, events).mayShareMemory).toBe(false);
  expect(new PendingOperations(false, events).mayShareMemory).toBe(true);
  expect(new PendingOperations(false, events, () => true).mayShareMemory).toBe(false);
});
