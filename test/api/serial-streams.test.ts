import { expect, test } from "vitest";
import { SerialStreams } from "../../src/api/serial-streams.ts";

function streams() {
  const sent: Uint8Array[] = [];
  const taken: number[] = [];
  const serial = new SerialStreams(
    (bytes) => sent.push(bytes),
    (bytes) => taken.push(bytes),
  );
  return { serial, sent, taken };
}

test("output waits until it is read, and counts as taken then", async () => {
  const { serial, taken } = streams();
  const reader = serial.readable.getReader();
  serial.receive(Uint8Array.of(1, 2));
  serial.receive(Uint8Array.of(3));
  expect(taken).toEqual([]);
  expect(await reader.read()).toEqual({ done: false, value: Uint8Array.of(1, 2) });
  expect(taken).toEqual([2]);
  expect(await reader.read()).toEqual({ done: false, value: Uint8Array.of(3) });
});

test("a reader that waits gets what comes, and the end", async () => {
  const { serial } = streams();
  const reader = serial.readable.getReader();
  const first = reader.read();
  serial.receive(Uint8Array.of(9));
  expect(await first).toEqual({ done: false, value: Uint8Array.of(9) });
  const second = reader.read();
  serial.end();
  expect((await second).done).toBe(true);
});

test("output that nobody reads is forgotten but for its last 256 KiB", async () => {
  const { serial, taken } = streams();
  for (let i = 0; i < 100; i++) serial.receive(new Uint8Array(10_000).fill(i));
  serial.end();
  let bytes = 0;
  let last = 0;
  for await (const part of serial.readable) {
    bytes += part.length;
    last = part[0] ?? 0;
  }
  expect([bytes, last]).toEqual([260_000, 99]);
  expect(taken.reduce((sum, count) => sum + count, 0)).toBe(1_000_000);
});

test("nothing is forgotten while somebody reads, however slowly", async () => {
  const { serial } = streams();
  const reader = serial.readable.getReader();
  for (let i = 0; i < 100; i++) serial.receive(new Uint8Array(10_000));
  serial.end();
  let bytes = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) bytes += part.value.length;
  expect(bytes).toBe(1_000_000);
});

test("what is written goes to the guest", async () => {
  const { serial, sent } = streams();
  const writer = serial.writable.getWriter();
  await writer.write(Uint8Array.of(5, 6));
  expect(sent).toEqual([Uint8Array.of(5, 6)]);
});
