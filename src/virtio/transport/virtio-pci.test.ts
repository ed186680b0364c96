import { expect, test } from "vitest";
import { VirtioRng } from "../rng/virtio-rng.ts";
import { availableOf, descriptorsOf, RAM_BYTES, TestDriver, usedOf } from "../test-rig.ts";

const VERSION_1 = 1n << 32n;
const INDIRECT = 1n << 28n;
const EVENT_INDEX = 1n << 29n;

function rngDriver(options?: { queueSize?: number; features?: bigint }) {
  const driver = new TestDriver(new VirtioRng((bytes) => new Uint8Array(bytes).fill(0xa5)));
  driver.initialise(options);
  return driver;
}

test("a request is filled, given back, and signalled by its vector", () => {
  const driver = rngDriver();
  driver.add(0, [
    { address: 0x1000, length: 5, write: true },
    { address: 0x2000, length: 3, write: true },
  ]);
  driver.notify(0);
  expect([...driver.memory.view(0x0fff, 7)]).toEqual([0, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0]);
  expect([...driver.memory.view(0x2000, 4)]).toEqual([0xa5, 0xa5, 0xa5, 0]);
  expect(driver.usedCount(0)).toBe(1);
  expect(driver.used(0, 0)).toEqual({ head: 0, written: 8 });
  expect(driver.interrupts).toEqual([1]);
});

test("every write of the device to RAM is reported", () => {
  const driver = rngDriver();
  driver.add(0, [{ address: 0x1000, length: 5, write: true }]);
  driver.memory.written.length = 0;
  driver.notify(0);
  expect(driver.memory.written).toEqual([
    [0x1000, 5],
    [usedOf(0) + 4, 4],
    [usedOf(0) + 8, 4],
    [usedOf(0) + 2, 2],
  ]);
});

test("the rings wrap around", () => {
  const driver = rngDriver({ queueSize: 4 });
  for (let request = 0; request < 70_000; request++) {
    driver.add(0, [{ address: 0x1000, length: 1, write: true }], 4);
    if (request % 3 === 0) driver.notify(0);
    driver.memory.written.length = 0;
  }
  driver.notify(0);
  expect(driver.usedCount(0)).toBe(70_000 & 0xffff);
  expect(driver.status).toBe(15);
});

test("an indirect table is followed where it was agreed upon", () => {
  const driver = rngDriver({ features: VERSION_1 | INDIRECT });
  driver.writeDescriptor(0x8000, 0x1000, 2, 3, 1);
  driver.writeDescriptor(0x8010, 0x2000, 2, 2, 0);
  driver.writeDescriptor(descriptorsOf(0), 0x8000, 32, 4, 0);
  driver.publish(0, 0);
  driver.notify(0);
  expect(driver.used(0, 0)).toEqual({ head: 0, written: 4 });
  expect(driver.memory.view(0x2000, 2)).toEqual(Uint8Array.of(0xa5, 0xa5));
});

test("with event indexes the driver is told at the index it asked for, and tells at the next request", () => {
  const driver = rngDriver({ features: VERSION_1 | EVENT_INDEX });
  driver.memory.writeU16(availableOf(0) + 4 + 2 * 16, 1); // used_event: the second request
  driver.add(0, [{ address: 0x1000, length: 1, write: true }]);
  driver.notify(0);
  expect(driver.interrupts).toEqual([]);
  driver.add(0, [{ address: 0x1000, length: 1, write: true }]);
  driver.notify(0);
  expect(driver.interrupts).toEqual([1]);
  expect(driver.memory.readU16(usedOf(0) + 4 + 8 * 16)).toBe(2); // avail_event
});

test("a driver without MSI-X gets its pin, and reading the interrupt status lowers it", () => {
  const driver = rngDriver();
  const pci = driver.transport.function;
  const levels: boolean[] = [];
  pci.connect({ set: (on) => levels.push(on) });
  pci.writeConfig(pci.capabilityOffset(0) + 2, 2, 0);
  driver.add(0, [{ address: 0x1000, length: 1, write: true }]);
  driver.notify(0);
  expect(levels.at(-1)).toBe(true);
  expect(driver.transport.readMemory(0x1000, 1)).toBe(1);
  expect(levels.at(-1)).toBe(false);
});

test("a masked vector waits in the pending bits", () => {
  const driver = rngDriver();
  driver.transport.writeMemory(0x4000 + 16 + 12, 4, 1);
  driver.add(0, [{ address: 0x1000, length: 1, write: true }]);
  driver.notify(0);
  expect(driver.interrupts).toEqual([]);
  expect(driver.transport.readMemory(0x4800, 4)).toBe(2);
  driver.transport.writeMemory(0x4000 + 16 + 12, 4, 0);
  expect(driver.interrupts).toEqual([1]);
  expect(driver.transport.readMemory(0x4800, 4)).toBe(0);
});

test("FEATURES_OK stays clear when the driver wants what is not on offer", () => {
  const driver = rngDriver({ features: VERSION_1 | (1n << 40n) });
  expect(driver.status & 8).toBe(0);
  expect(driver.status & 4).toBe(0);
});

test("registers can be reached through configuration space", () => {
  const driver = rngDriver();
  const pci = driver.transport.function;
  const window = pci.capabilityOffset(5);
  pci.writeConfig(window + 8, 4, 20); // device status
  pci.writeConfig(window + 12, 4, 1);
  expect(pci.readConfig(window + 16, 1)).toBe(15);
  pci.writeConfig(window + 16, 1, 0);
  expect(driver.status).toBe(0);
});

test("a device reaches no memory before the guest lets it", () => {
  const driver = rngDriver();
  driver.transport.function.writeConfig(4, 2, 0x0002);
  driver.add(0, [{ address: 0x1000, length: 1, write: true }]);
  driver.notify(0);
  expect(driver.usedCount(0)).toBe(0);
});

type Descriptor = [address: number, length: number, flags: number, next: number];
/** What a broken driver puts into its first descriptors, from 0 on. */
const BROKEN: Record<string, Descriptor[]> = {
  "a loop": [
    [0x1000, 1, 3, 1],
    [0x1000, 1, 3, 0],
  ],
  "a next descriptor behind the table": [[0x1000, 1, 3, 16]],
  "a buffer behind the end of RAM": [[RAM_BYTES - 1, 2, 2, 0]],
  "a buffer far outside of RAM": [[2 ** 60, 1, 2, 0]],
  "a buffer to read behind one to write": [
    [0x1000, 1, 3, 1],
    [0x1000, 1, 0, 0],
  ],
  "an indirect table that was not agreed upon": [[0x8000, 16, 4, 0]],
};

test.each(Object.entries(BROKEN))("%s: the device needs a reset, and works after it", (_, descriptors) => {
  const driver = rngDriver();
  for (const [index, descriptor] of descriptors.entries())
    driver.writeDescriptor(descriptorsOf(0) + 16 * index, ...descriptor);
  driver.publish(0, 0);
  driver.notify(0);
  expect(driver.status & 64).toBe(64);
  expect(driver.broken).toHaveLength(1);
  expect(driver.interrupts).toEqual([0]); // the configuration's vector
  driver.notify(0);
  expect(driver.usedCount(0)).toBe(0);
  driver.memory.bytes.fill(0);
  driver.initialise();
  driver.add(0, [{ address: 0x1000, length: 1, write: true }]);
  driver.notify(0);
  expect(driver.usedCount(0)).toBe(1);
});

test.each([
  { what: "in another one", tableBytes: 16, innerFlags: 4 },
  { what: "of a length that is no number of descriptors", tableBytes: 17, innerFlags: 2 },
  { what: "of no descriptors", tableBytes: 0, innerFlags: 2 },
])("an indirect table $what is refused", ({ tableBytes, innerFlags }) => {
  const driver = rngDriver({ features: VERSION_1 | INDIRECT });
  driver.writeDescriptor(0x8000, 0x9000, 16, innerFlags, 0);
  driver.writeDescriptor(descriptorsOf(0), 0x8000, tableBytes, 4, 0);
  driver.publish(0, 0);
  driver.notify(0);
  expect(driver.status & 64).toBe(64);
});

test("more requests than the queue has places are refused", () => {
  const driver = rngDriver();
  driver.memory.writeU16(availableOf(0) + 2, 17);
  driver.notify(0);
  expect(driver.status & 64).toBe(64);
});

test("a queue outside of RAM is refused when the driver is ready", () => {
  const driver = new TestDriver(new VirtioRng((bytes) => new Uint8Array(bytes)));
  driver.transport.writeMemory(36, 4, 0xffffffff);
  driver.initialise();
  driver.transport.writeMemory(20, 1, 0);
  driver.transport.writeMemory(8, 4, 1);
  driver.transport.writeMemory(12, 4, 1);
  driver.transport.writeMemory(20, 1, 8);
  driver.transport.writeMemory(32, 4, RAM_BYTES - 16);
  driver.transport.writeMemory(28, 2, 1);
  driver.transport.writeMemory(20, 1, 15);
  expect(driver.status & 64).toBe(64);
});

test("rings that lie over each other end after one round of the queue", () => {
  const driver = new TestDriver(new VirtioRng((bytes) => new Uint8Array(bytes)));
  driver.initialise();
  driver.transport.writeMemory(20, 1, 0);
  driver.transport.writeMemory(8, 4, 1);
  driver.transport.writeMemory(12, 4, 1);
  driver.transport.writeMemory(20, 1, 8);
  for (const area of [40, 48]) driver.transport.writeMemory(area, 4, availableOf(0));
  driver.transport.writeMemory(32, 4, descriptorsOf(0));
  driver.transport.writeMemory(28, 2, 1);
  driver.transport.writeMemory(20, 1, 15);
  driver.writeDescriptor(descriptorsOf(0), 0x1000, 1, 2, 0);
  driver.memory.writeU16(availableOf(0) + 2, 1);
  driver.notify(0);
  expect(driver.memory.written.length).toBeLessThan(5 * 64);
});
