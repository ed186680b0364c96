import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { EventLoop } from "../../src/host/node/event-loop.ts";

test("who sleeps goes on behind all that is served in the turn that wakes him", async () => {
  const loop = new EventLoop();
  const order: string[] = [];
  setImmediate(() => {
    setImmediate(() => order.push("served too"));
    loop.wake();
    order.push("woken");
  });
  await loop.sleep(Number.POSITIVE_INFINITY);
  order.push("awake");
  expect(order).toEqual(["woken", "served too", "awake"]);
});

test("a sleep ends when its time is over, and what comes from the host ends it sooner", async () => {
  const loop = new EventLoop();
  await loop.sleep(2e6);
  readFile(import.meta.filename).then(() => loop.wake());
  await loop.sleep(Number.POSITIVE_INFINITY);
});
