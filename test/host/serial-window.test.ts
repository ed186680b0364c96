import { expect, test } from "vitest";
import { SerialWindow } from "../../src/host/browser/serial-window.ts";

test("the line is congested while the receiver is far behind, and free again when it has caught up", () => {
  const sent: number[] = [];
  const window = new SerialWindow((bytes) => sent.push(bytes.length));
  let written = 0;
  while (!window.congested) {
    window.write(new Uint8Array(4096));
    written += 4096;
  }
  expect(written).toBe(128 * 1024);
  window.acknowledge(4096);
  expect(window.congested).toBe(false);
  window.write(new Uint8Array(4096));
  expect(window.congested).toBe(true);
  expect(sent).toEqual(new Array(33).fill(4096));
});

test("a receiver that acknowledges more than it got gains nothing", () => {
  const window = new SerialWindow(() => {});
  window.acknowledge(1_000_000);
  window.write(new Uint8Array(128 * 1024));
  expect(window.congested).toBe(true);
});
