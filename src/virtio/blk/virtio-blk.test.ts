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
function rig({
  readOnly = false,
  features = VERSION_1 | FLUSH,
  mayWait = false,
  change = {} as Partial<BlockDevice>,
} = {}) {
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
  const operations = new TestOperations(mayWait);
  const device = new VirtioBlk({
    disk,
    operations,
    serial: "S1",
    onError: (error) => log.push(String(error)),
  });
  const driver = new TestDriver(device);
  driver.initialise({ features, queueSize: 64 });
  type Data = { length: number; write?: boolean } | undefined;
  const send = (type: number, sector: number, data: Data): void => {
    driver.memory.writeU32(HEADER, type);
    driver.memory.writeU64(HEADER + 8, BigInt(sector));
    driver.memory.bytes[STATUS] = 0xee;
    const buffers = data === undefined ? [] : [{ address: DATA, ...data }];
    const status = { address: STATUS, length: 1, write: true };
    driver.add(0, [{ address: HEADER, length: 16 }, ...buffers, status], 64);
    driver.notify(0);
  };
  /** Makes a request of a type; returns its status when it has come back. */
  const request = async (type: number, sector: number, data: Data): Promise<number> => {
    send(type, sector, data);
    await operations.idle();
    return driver.memory.bytes[STATUS] ?? -1;
  };
  return { driver, log, send, request, operations };
}

test("configuration tells size, limits and topology", () => {
  const { driver } = rig();
  const word = (offset: number) => driver.transport.readMemory(0x2000 + offset, 4);
  expect([word(0), word(4)]).toEqual([2048, 0]);
  expect([word(8), word(12), word(20)]).toEqual([131072, 254, 512]);
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

/** A disk whose bytes can be had while the driver waits. */
function quickRig(change: Partial<BlockDevice> = {}, features = VERSION_1 | FLUSH) {
  const asked: string[] = [];
  const quick: Partial<BlockDevice> = {
    readNow: (offset, into) => {
      asked.push(`read ${offset} ${into.map(({ length }) => length)}`);
      for (const piece of into) piece.fill(0x77);
      return true;
    },
    writeNow: (offset, pieces) => {
      asked.push(`write ${offset} ${pieces.map((piece) => `${piece.length} of ${piece[0]}`)}`);
      return true;
    },
  };
  return { asked, ...rig({ features, mayWait: true, change: { ...quick, ...change } }) };
}

test("a quick disk reads into the guest's memory while the driver waits, and the processor is told", () => {
  const { driver, log, asked, send } = quickRig();
  driver.memory.written.length = 0;
  send(0, 2, { length: 1024, write: true });
  expect([asked, log]).toEqual([["read 1024 1024"], []]);
  expect(driver.memory.bytes.subarray(DATA, DATA + 1024).every((byte) => byte === 0x77)).toBe(true);
  expect(driver.memory.written).toContainEqual([DATA, 1024]);
  expect([driver.memory.bytes[STATUS], driver.used(0, 0).written]).toEqual([0, 1025]);
  expect(driver.interrupts).toEqual([1]);
});

test("a quick disk writes from the guest's memory", () => {
  const { driver, log, asked, send } = quickRig();
  driver.memory.bytes.fill(9, DATA, DATA + 512);
  send(1, 3, { length: 512 });
  expect([asked, log, driver.memory.bytes[STATUS]]).toEqual([["write 1536 512 of 9"], [], 0]);
});

test("a disk that is not quick at the moment, fails, or must be safe after each write goes the other way", async () => {
  const slow = quickRig({ readNow: () => false });
  expect(await slow.request(0, 0, { length: 512, write: true })).toBe(0);
  expect(slow.log).toEqual(["read 0 512"]);
  const broken = quickRig({
    readNow: () => {
      throw new DiskError("gone");
    },
  });
  expect(await broken.request(0, 0, { length: 512, write: true })).toBe(1);
  expect(broken.log).toEqual(["DiskError: gone"]);
  const writeThrough = quickRig({}, VERSION_1);
  expect(await writeThrough.request(1, 0, { length: 512 })).toBe(0);
  expect([writeThrough.log, writeThrough.asked]).toEqual([["write 0 512 of 0", "flush"], []]);
});

test("what one notification moves while the guest waits is limited", async () => {
  const { driver, log, asked, operations } = quickRig();
  driver.memory.writeU32(HEADER, 0);
  driver.memory.writeU64(HEADER + 8, 0n);
  const buffers = Array.from({ length: 7 }, () => ({ address: 0x80000, length: 1 << 17, write: true }));
  const chain = [{ address: HEADER, length: 16 }, ...buffers, { address: STATUS, length: 1, write: true }];
  for (let i = 0; i < 5; i++) driver.add(0, chain, 64);
  driver.notify(0);
  await operations.idle();
  expect([asked.length, log.length, driver.usedCount(0)]).toEqual([4, 1, 5]);
});

/** A disk whose large requests another thread carries out in the guest's memory, when the test says so. */
function inPlaceRig() {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const seen: string[] = [];
  type End<T extends unknown[]> = (...outcome: T) => void;
  const begin = (
    what: string,
    offset: number,
    pieces: readonly Uint8Array[],
    done: End<[]>,
    failed: End<[unknown]>,
  ) => {
    seen.push(`${what} ${offset} ${pieces.map(({ length }) => length)}`);
    promise.then(done, failed);
    return true;
  };
  const made = quickRig({
    readInPlace: (offset, into, ...ends) => {
      into[0]?.fill(0x66);
      return begin("read", offset, into, ...ends);
    },
    writeInPlace: (offset, pieces, ...ends) => begin("write", offset, pieces, ...ends),
  });
  return { ...made, seen, resolve, reject };
}

test("large requests are carried out in the guest's memory while the guest goes on", async () => {
  const { driver, asked, log, seen, send, resolve, operations } = inPlaceRig();
  send(0, 8, { length: 65536, write: true });
  send(1, 16, { length: 65536 });
  expect([seen, asked, log]).toEqual([["read 4096 65536", "write 8192 65536"], [], []]);
  expect([driver.usedCount(0), driver.memory.bytes[DATA + 65535]]).toEqual([0, 0x66]);
  driver.memory.written.length = 0;
  resolve();
  await operations.idle();
  expect(driver.memory.written).toContainEqual([DATA, 65536]);
  expect([driver.used(0, 0).written, driver.used(0, 1).written]).toEqual([65537, 1]);
  expect(driver.interrupts).toEqual([1, 1]);
});

test("where memory is compared no thread changes it", () => {
  const { driver, operations, seen, send } = inPlaceRig();
  Object.assign(operations, { mayShareMemory: false });
  send(0, 8, { length: 65536, write: true });
  expect([seen, driver.usedCount(0)]).toEqual([[], 1]);
});

test("a large request that fails is an I/O error, and what it wrote is known to the processor", async () => {
  const { driver, log, send, reject, operations } = inPlaceRig();
  send(0, 8, { length: 65536, write: true });
  driver.memory.written.length = 0;
  reject(new DiskError("gone"));
  await operations.idle();
  expect([driver.memory.bytes[STATUS], driver.used(0, 0).written, log]).toEqual([1, 1, ["DiskError: gone"]]);
  expect(driver.memory.written).toContainEqual([DATA, 65536]);
});

test("a reset is over when no request uses the guest's memory any more, and answers none", async () => {
  const { driver, send, resolve, operations } = inPlaceRig();
  send(0, 8, { length: 65536, write: true });
  driver.transport.writeMemory(20, 1, 0);
  expect(driver.status).not.toBe(0);
  driver.memory.bytes[STATUS] = 0xee;
  resolve();
  await operations.idle();
  expect([driver.status, driver.memory.bytes[STATUS], driver.interrupts]).toEqual([0, 0xee, []]);
});

test("a driver with several requests under way is told of them together, one that waits for each at once", () => {
  const { driver, send, operations } = quickRig();
  const ask = (times: number) => {
    for (let i = 0; i < times; i++) send(0, 0, { length: 512, write: true });
  };
  const idle = (isIdle: boolean) => {
    for (const action of operations.whenIdleActions.splice(0)) action(isIdle);
  };
  ask(63);
  expect(driver.interrupts.length).toBe(63);
  // The trial: the driver asks for more before it hears of the first.
  ask(3);
  expect(driver.interrupts.length).toBe(63);
  idle(true);
  expect(driver.interrupts.length).toBe(64);
  ask(20);
  expect(driver.interrupts.length).toBe(64);
  idle(false);
  expect(driver.interrupts.length).toBe(65);
  // It waited for this one alone.
  ask(1);
  idle(true);
  ask(1);
  expect([driver.interrupts.length, operations.whenIdleActions.length]).toEqual([67, 0]);
  expect(driver.usedCount(0)).toBe(88);
});
