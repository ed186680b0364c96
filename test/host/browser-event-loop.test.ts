import { afterEach, beforeEach, expect, test } from "vitest";
import { EventLoop } from "../../src/host/browser/event-loop.ts";

// Node.js has the channels and timers of browsers, so what does not depend on their speed is tested here.
let loop: EventLoop;
beforeEach(() => {
  loop = new EventLoop();
});
afterEach(() => loop.close());

test("a sleep ends at its time", async () => {
  const before = performance.now();
  await loop.sleep(20e6);
  expect(performance.now() - before).toBeGreaterThan(18);
});

test("a sleep without end is ended by wake", async () => {
  const sleep = loop.sleep(Infinity);
  loop.wake();
  await sleep;
});

test("waking nobody does not shorten the next sleep", async () => {
  loop.wake();
  const before = performance.now();
  await loop.sleep(20e6);
  expect(performance.now() - before).toBeGreaterThan(18);
});
