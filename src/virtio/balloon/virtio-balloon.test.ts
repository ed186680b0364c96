import { beforeEach, expect, test } from "vitest";
import { TestDriver, usedOf } from "../test-rig.ts";
import { BalloonControl } from "./balloon-control.ts";
import { VirtioBalloon } from "./virtio-balloon.ts";

const LIST_AT = 0x8000;
const CONFIG = 0x2000;
const CONFIG_VECTOR = 0;

let control: BalloonControl;
let driver: TestDriver;
let wakes: number;

beforeEach(() => {
  wakes = 0;
  control = new BalloonControl();
  driver = new TestDriver(new VirtioBalloon(control, () => wakes++));
  driver.initialise();
});

function listPages(queue: number, ...pages: number[]): void {
  for (const [index, page] of pages.entries()) driver.memory.writeU32(LIST_AT + 4 * index, page);
  driver.add(queue, [{ address: LIST_AT, length: 4 * pages.length }]);
  driver.notify(queue);
}

test("a new target is told by the configuration and its interrupt", () => {
  control.setTarget(64 << 20);
  expect(driver.transport.readMemory(CONFIG, 4)).toBe(16384);
  expect([driver.interrupts, wakes]).toEqual([[CONFIG_VECTOR], 1]);
  driver.transport.writeMemory(CONFIG + 4, 4, 100);
  expect(control.inflatedBytes).toBe(409_600);
});

test("pages that are given up are zero afterwards, the processor is told, and those outside of RAM are passed over", () => {
  driver.memory.bytes.fill(7, 0x40000, 0x42000);
  driver.memory.written.length = 0;
  listPages(0, 0x40, 0xffffffff, 0x60, 0x100);
  expect(driver.memory.bytes.subarray(0x40000, 0x41000).every((byte) => byte === 0)).toBe(true);
  expect(driver.memory.bytes[0x41000]).toBe(7);
  // The page at 0x60000 was zero already, and nobody touches it.
  expect(driver.memory.written.filter(([, length]) => length === 4096)).toEqual([[0x40000, 4096]]);
  expect([driver.usedCount(0), driver.used(0, 0).written]).toEqual([1, 0]);
  listPages(1, 0x40);
  expect(driver.usedCount(1)).toBe(1);
});

test("free pages that the driver reports are zero afterwards", () => {
  driver.memory.bytes.fill(7, 0x40000, 0x43000);
  driver.add(3, [
    { address: 0x40000, length: 4096, write: true },
    { address: 0x42000, length: 4096, write: true },
  ]);
  driver.notify(3);
  expect([0x40000, 0x41000, 0x42000].map((at) => driver.memory.bytes[at])).toEqual([0, 7, 0]);
  expect([control.reportedBytes, driver.usedCount(3)]).toEqual([8192, 1]);
});

test("statistics come when the driver has its buffer back and fills it again", async () => {
  const give = (free: number) => {
    driver.memory.writeU16(LIST_AT, 4);
    driver.memory.writeU64(LIST_AT + 2, BigInt(free));
    driver.memory.writeU16(LIST_AT + 10, 99);
    driver.add(2, [{ address: LIST_AT, length: 20 }]);
    driver.notify(2);
  };
  give(1);
  const answer = control.statistics();
  expect(driver.usedCount(2)).toBe(1);
  give(123_456_789);
  expect(await answer).toEqual({ freeBytes: 123_456_789 });
});

test("a list that no driver makes breaks the rules", () => {
  driver.add(0, [{ address: LIST_AT, length: 6 }]);
  driver.notify(0);
  expect(driver.status & 64).toBe(64);
});

test("target, size and the driver's buffer survive a snapshot", () => {
  control.setTarget(1 << 20);
  driver.transport.writeMemory(CONFIG + 4, 4, 256);
  driver.add(2, [{ address: LIST_AT, length: 10 }]);
  driver.notify(2);
  const state = driver.transport.device.saveState?.();
  const other = new BalloonControl();
  const restored = new VirtioBalloon(other, () => {});
  expect(restored.restoreState(state)).toBeUndefined();
  expect([other.targetBytes, other.inflatedBytes]).toEqual([1 << 20, 1 << 20]);
  expect(restored.readConfig(0, 4)).toBe(256);
  expect(restored.restoreState({ targetBytes: -1, inflatedBytes: 0 })).toBe("a balloon of another version");
});

test("the first buffer for statistics is found without a notification", async () => {
  driver.memory.writeU16(LIST_AT, 5);
  driver.memory.writeU64(LIST_AT + 2, 42n);
  driver.add(2, [{ address: LIST_AT, length: 10 }]);
  const answer = control.statistics();
  expect(driver.usedCount(2)).toBe(1);
  driver.add(2, [{ address: LIST_AT, length: 10 }]);
  driver.notify(2);
  expect(await answer).toEqual({ totalBytes: 42 });
});

test("with event indexes the driver is asked to tell of its next buffer", () => {
  driver.initialise({ features: (1n << 32n) | (1n << 29n) });
  driver.add(2, [{ address: LIST_AT, length: 10 }]);
  void control.statistics();
  // avail_event, behind the used ring of 16 elements.
  expect(driver.memory.readU16(usedOf(2) + 4 + 8 * 16)).toBe(1);
});
