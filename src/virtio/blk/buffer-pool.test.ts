import { expect, test } from "vitest";
import { BufferPool } from "./buffer-pool.ts";

test("a buffer that was given back serves again for what fits it, and only once at a time", () => {
  const pool = new BufferPool();
  const first = pool.take(5000);
  expect(first.length).toBe(5000);
  pool.give(first);
  const [second, third] = [pool.take(8192), pool.take(4097)];
  expect(second.buffer).toBe(first.buffer);
  expect([second.length, third.buffer === first.buffer]).toEqual([8192, false]);
});

test("no more than 16 MiB are kept", () => {
  const pool = new BufferPool();
  const buffers = Array.from({ length: 20 }, () => pool.take(1 << 20));
  for (const buffer of buffers) pool.give(buffer);
  const known = new Set(buffers.map(({ buffer }) => buffer));
  const again = Array.from({ length: 20 }, () => pool.take(1 << 20));
  expect(again.filter(({ buffer }) => known.has(buffer)).length).toBe(16);
});
