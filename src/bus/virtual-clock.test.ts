import { expect, test } from "vitest";
import { ticksAt, timeOfTickNs } from "./tick-time.ts";
import { TimerQueue } from "./virtual-clock.ts";

test("due calls are made in time order, later ones stay", () => {
  let now = 0;
  const queue = new TimerQueue(() => now);
  const calls: string[] = [];
  queue.schedule(30, () => calls.push("30"));
  queue.schedule(10, () => calls.push("10"));
  queue.schedule(20, () => calls.push("20"));
  expect(queue.nextDeadlineNs()).toBe(10);

  now = 20;
  queue.runDue();
  expect(calls).toEqual(["10", "20"]);
  expect(queue.nextDeadlineNs()).toBe(30);
});

test("a callback can cancel another that is due at the same time", () => {
  const queue = new TimerQueue(() => 5);
  const calls: string[] = [];
  queue.schedule(5, () => second.cancel());
  const second = queue.schedule(5, () => calls.push("second"));
  queue.runDue();
  expect(calls).toEqual([]);
  expect(queue.nextDeadlineNs()).toBe(undefined);
});

test("a call scheduled by a callback waits for the next runDue, even if it is due", () => {
  const queue = new TimerQueue(() => 100);
  let ticks = 0;
  const tick = (): void => {
    ticks++;
    queue.schedule(50, tick);
  };
  queue.schedule(50, tick);
  queue.runDue();
  expect(ticks).toBe(1);
  queue.runDue();
  expect(ticks).toBe(2);
});

test("ticks of the PIT's oscillator and their times agree over years", () => {
  expect(ticksAt(1_000_000_000, 1193182)).toBe(1193182);
  expect(timeOfTickNs(1, 1193182)).toBe(839);
  expect(ticksAt(838, 1193182)).toBe(0);
  expect(ticksAt(839, 1193182)).toBe(1);
  expect(ticksAt(timeOfTickNs(9_999_999_999_999, 1193182), 1193182)).toBe(9_999_999_999_999);
});
