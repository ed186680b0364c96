import { expect, test } from "vitest";
import { type BlockDevice, DiskError } from "../../host/block-device.ts";
import { TestDriver, TestOperations } from "../test-rig.ts";
import { VirtioBlk } from "./virtio-blk.ts";

const VERSION_1 = 1n << 32n;
const FLUSH = 1n << 9n;
const HEADER = 0x1000;
const DATA = 0x2000;
const STATUS = 0x3000;
const SIZE_BYTES = 1 << 20;

/** A block device over a disk that logs what it is asked for, and a driver. */
function rig({ readOnly = false, features = VERSION_1 | FLUSH, change = {} as Partial<BlockDevice> } = {}) {
  const log: string[] = [];
  const disk: BlockDevice = {
    format: "test",
    sizeBytes: SIZE_BYTES,
    readOnly,
    read: async (offset, into) => {
      log.push(`read ${offset} ${into.length}`);
      into.fill(0x5a);
    },
    write: async (offset, bytes) => {
      log.push(`write ${offset} ${bytes.length} of ${bytes[0]}`);
    },
    flush: async () => {
      log.push("flush");
    },
    discard: async (offset, length) => {
      log.push(`discard ${offset} ${length}`);
    },
    writeZeroes: async (offset, length, mayUnmap) => {
      log.push(`zeroes ${offset} ${length} ${mayUnmap}`);
    },
    close: async () => {},
    ...change,
  };
  const operations = new TestOperations();
  const device = new VirtioBlk({
    disk,
    operations,
    serial: "S1",
    onError: (error) => log.push(String(error)),
  });
  const driver = new TestDriver(device);
  driver.initialise({ features });
  /** Makes a request of a type; returns its status when it has come back. */
  const request = async (
    type: number,
    sector: number,
    data: { length: number; write?: boolean } | undefined,
  ): Promise<number> => {
    driver.memory.writeU32(HEADER, type);
    driver.memory.writeU64(HEADER + 8, BigInt(sector));
    driver.memory.bytes[STATUS] = 0xee;
    const buffers = data === undefined ? [] : [{ address: DATA, ...data }];
    driver.add(0, [{ address: HEADER, length: 16 }, ...buffers, { address: STATUS, length: 1, write: true }]);
    driver.notify(0);
    await operations.idle();
    return driver.memory.bytes[STATUS] ?? -1;
  };
  return { driver, log, request, operations };
}

test("configuration tells size, limits and topology", () => {
  const { driver } = rig();
  const word = (offset: number) => driver.transport.readMemory(0x2000 + offset, 4);
  expect([word(0), word(4)]).toEqual([2048, 0]);
  expect([word(8), word(12), word(20)]).toEqual([65536, 126, 512]);
  expect(driver.transport.readMemory(0x2000 + 24, 1)).toBe(3);
});

test("a read fills the driver's buffers and comes back with an interrupt", async () => {
  const { driver, log, request } = rig();
  expect(await request(0, 3, { length: 1024, write: true })).toBe(0);
  expect(log).toEqual(["read 1536 1024"]);
  expect(driver.memory.bytes[DATA + 1023]).toBe(0x5a);
  expect(driver.used(0, 0).written).toBe(1025);
  expect(driver.interrupts).toEqual([1]);
});

test("writes and flushes reach the disk", async () => {
  const { driver, log, request } = rig();
  driver.memory.bytes.fill(7, DATA, DATA + 512);
  expect(await request(1, 1, { length: 512 })).toBe(0);
  expect(await request(4, 0, undefined)).toBe(0);
  expect(log).toEqual(["write 512 512 of 7", "flush"]);
});

test("for a driver that knows no flush every write is flushed", async () => {
  const { log, request } = rig({ features: VERSION_1 });
  expect(await request(1, 1, { length: 512 })).toBe(0);
  expect(log).toEqual(["write 512 512 of 0", "flush"]);
});

test("the serial number is given, filled up with zeroes", async () => {
  const { driver, request } = rig();
  expect(await request(8, 0, { length: 20, write: true })).toBe(0);
  expect(new TextDecoder().decode(driver.memory.view(DATA, 20))).toBe("S1".padEnd(20, "\0"));
});

test("discards and zeroes come as ranges", async () => {
  const { driver, log, request } = rig();
  driver.memory.writeU64(DATA, 8n);
  driver.memory.writeU32(DATA + 8, 16);
  driver.memory.writeU32(DATA + 12, 0);
  expect(await request(11, 0, { length: 16 })).toBe(0);
  driver.memory.writeU32(DATA + 12, 1);
  expect(await request(13, 0, { length: 16 })).toBe(0);
  expect(await request(11, 0, { length: 16 })).toBe(2); // a discard knows no flag
  expect(log).toEqual(["discard 4096 8192", "zeroes 4096 8192 true"]);
});

test.each([
  { what: "behind the end", type: 0, sector: 2048, data: { length: 512, write: true } },
  { what: "across the end", type: 1, sector: 2047, data: { length: 1024 } },
  { what: "of half a sector", type: 0, sector: 0, data: { length: 256, write: true } },
  { what: "of nothing", type: 1, sector: 0, data: undefined },
  { what: "of a range behind the end", type: 13, sector: 0, data: { length: 16 } },
])("a request $what fails, and the disk is not asked", async ({ type, sector, data }) => {
  const { driver, log, request } = rig();
  driver.memory.writeU64(DATA, 2040n);
  driver.memory.writeU32(DATA + 8, 9);
  expect(await request(type, sector, data)).toBe(1);
  expect(log).toEqual([]);
});

test("a type that nobody knows is not supported", async () => {
  expect(await rig().request(99, 0, undefined)).toBe(2);
});

test("a read-only disk says so and refuses to change", async () => {
  const { driver, log, request } = rig({ readOnly: true });
  driver.transport.writeMemory(0, 4, 0);
  expect(driver.transport.readMemory(4, 4) & (1 << 5)).toBe(1 << 5);
  expect(await request(1, 0, { length: 512 })).toBe(1);
  expect(await request(11, 0, { length: 16 })).toBe(1);
  expect(log).toEqual([]);
});

test("a failure of the disk is an I/O error of the request alone", async () => {
  const read = async () => {
    throw new DiskError("gone");
  };
  const { driver, log, request } = rig({ change: { read } });
  expect(await request(0, 0, { length: 512, write: true })).toBe(1);
  expect(log).toEqual(["DiskError: gone"]);
  expect(driver.status).toBe(15);
});

test("what comes back after a reset of the device goes nowhere", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { driver, operations } = rig({ change: { read: () => promise } });
  driver.memory.writeU32(HEADER, 0);
  const data = { address: DATA, length: 512, write: true };
  driver.add(0, [{ address: HEADER, length: 16 }, data, { address: STATUS, length: 1, write: true }]);
  driver.notify(0);
  driver.transport.writeMemory(20, 1, 0);
  driver.memory.written.length = 0;
  resolve();
  await operations.idle();
  expect(driver.memory.written).toEqual([]);
});

test("a chain without a header needs a reset", () => {
  const { driver } = rig();
  driver.add(0, [{ address: STATUS, length: 1, write: true }]);
  driver.notify(0);
  expect(driver.status & 64).toBe(64);
});
