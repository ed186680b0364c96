import fc from "fast-check";
import { expect, test } from "vitest";
import { SendQueue } from "../../src/network/tcp/send-queue.ts";

test("whatever is pushed, dropped and read, the queue has the bytes in their order", () => {
  const act = fc.record({ push: fc.nat(90_000), drop: fc.nat(100), read: fc.nat(100), length: fc.nat(100) });
  fc.assert(
    fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
      const queue = new SendQueue();
      let model = new Uint8Array();
      let next = 0;
      for (const { push, drop, read, length } of acts) {
        const bytes = Uint8Array.from({ length: push }, () => (next = (next * 5 + 1) & 0xff));
        queue.push(bytes);
        model = Uint8Array.from([...model, ...bytes]);
        const dropped = Math.floor((model.length * drop) / 100);
        queue.drop(dropped);
        model = model.slice(dropped);
        expect(queue.bytes).toBe(model.length);
        const from = Math.floor((model.length * read) / 101);
        const wanted = Math.floor(((model.length - from) * length) / 100);
        if (wanted === 0) continue;
        const there = queue.contiguous(from, wanted);
        expect(there).toBeGreaterThan(0);
        expect(Buffer.compare(queue.read(from, wanted), model.subarray(from, from + wanted))).toBe(0);
        expect(Buffer.compare(queue.read(from, there), model.subarray(from, from + there))).toBe(0);
      }
    }),
    { numRuns: 30 },
  );
});

test("a long transfer reads its bytes where they lie", () => {
  const queue = new SendQueue();
  queue.push(new Uint8Array(40_000).fill(1));
  queue.drop(30_000);
  queue.push(new Uint8Array(40_000).fill(2));
  // The ring of 65,536 bytes ends 35,536 bytes behind the oldest.
  expect(queue.contiguous(0, 50_000)).toBe(35_536);
  expect(queue.read(0, 35_536).buffer).toBe(queue.read(100, 100).buffer);
  expect(queue.contiguous(30_000, 20_000)).toBe(20_000);
});
