import { beforeEach, expect, test } from "vitest";
import type { Frame } from "../../host/ethernet-port.ts";
import { TestDriver } from "../test-rig.ts";
import { VirtioNet } from "./virtio-net.ts";

const VERSION_1 = 1n << 32n;
const CSUM = 1n << 0n;
const GUEST_CSUM = 1n << 1n;
const GUEST_TSO4 = 1n << 7n;
const HOST_TSO4 = 1n << 11n;
const MRG_RXBUF = 1n << 15n;
const CTRL_VQ = 1n << 17n;
const CTRL_RX = 1n << 18n;
const HEADER_BYTES = 12;
const MAC = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56);

let sent: Frame[];
let received: number;
let port: { send(frame: Frame): void; onFrame: (frame: Frame) => void };
let driver: TestDriver;

function start(features: bigint): void {
  sent = [];
  received = 0;
  port = { send: (frame) => sent.push(frame), onFrame: () => {} };
  const plainFrames = () => [frameTo(MAC, 60, 0x77)];
  driver = new TestDriver(new VirtioNet({ port, mac: MAC, plainFrames, onReceive: () => received++ }));
  driver.initialise({ features: VERSION_1 | features });
}

beforeEach(() => start(0n));

function frameTo(mac: Uint8Array, length: number, fill = 0x5a): Uint8Array {
  const bytes = new Uint8Array(length).fill(fill);
  bytes.set(mac);
  bytes.set([8, 0], 12);
  return bytes;
}

function transmit(header: readonly number[], frame: Uint8Array): void {
  driver.memory.write(
    0x1000,
    Uint8Array.from([...header, ...new Array<number>(HEADER_BYTES - header.length).fill(0)]),
  );
  driver.memory.write(0x2000, frame);
  driver.add(1, [
    { address: 0x1000, length: HEADER_BYTES },
    { address: 0x2000, length: frame.length },
  ]);
  driver.notify(1);
}

test("the configuration has the address and an active link", () => {
  const config = Array.from({ length: 8 }, (_, at) => driver.transport.readMemory(0x2000 + at, 1));
  expect(config).toEqual([...MAC, 1, 0]);
});

test("a frame of the driver goes out, and its buffers come back", () => {
  const frame = frameTo(MAC, 100);
  transmit([], frame);
  expect(sent).toEqual([{ bytes: frame }]);
  expect(driver.used(1, 0)).toEqual({ head: 0, written: 0 });
  expect(driver.interrupts).toEqual([2]);
});

test("the frame is a copy: the guest can change its buffer afterwards", () => {
  transmit([], frameTo(MAC, 100));
  driver.memory.bytes[0x2010] = 0;
  expect(sent[0]!.bytes[0x10]).toBe(0x5a);
});

test("what is left undone is passed on", () => {
  start(CSUM | HOST_TSO4);
  const frame = frameTo(MAC, 4000);
  transmit([1, 1, 54, 0, 0xb4, 5, 34, 0, 16, 0], frame);
  expect(sent).toEqual([
    { bytes: frame, offload: { checksumStart: 34, checksumOffset: 16, segmentBytes: 1460 } },
  ]);
});

test.each([
  ["a checksum behind the frame's end", [1, 0, 0, 0, 0, 0, 99, 0, 0, 0]],
  ["a checksum in the Ethernet header", [1, 0, 0, 0, 0, 0, 2, 0, 2, 0]],
  ["segments without a length", [1, 1, 0, 0, 0, 0, 34, 0, 16, 0]],
  ["segments without a checksum", [0, 1, 0, 0, 0xb4, 5, 34, 0, 16, 0]],
  ["segments of another protocol", [1, 4, 0, 0, 0xb4, 5, 34, 0, 16, 0]],
  ["an unknown kind of segments", [1, 3, 0, 0, 0xb4, 5, 34, 0, 16, 0]],
])("a frame with %s is lost, and the next one is not", (_, header) => {
  start(CSUM | HOST_TSO4);
  transmit(header, frameTo(MAC, 100));
  transmit([], frameTo(MAC, 100));
  expect(sent.length).toBe(1);
  expect(driver.usedCount(1)).toBe(2);
});

test.each([0, 1, 12, 25])("a request of %i bytes is no frame", (length) => {
  driver.add(1, [{ address: 0x1000, length }]);
  driver.notify(1);
  expect(sent).toEqual([]);
  expect(driver.usedCount(1)).toBe(1);
});

test("a frame for the driver fills a buffer behind its header, and says so", () => {
  driver.add(0, [{ address: 0x1000, length: 2000, write: true }]);
  const frame = frameTo(MAC, 100);
  port.onFrame({ bytes: frame });
  expect(driver.used(0, 0)).toEqual({ head: 0, written: 112 });
  expect([...driver.memory.view(0x1000, 12)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
  expect([...driver.memory.view(0x100c, 100)]).toEqual([...frame]);
  expect(driver.interrupts).toEqual([1]);
  expect(received).toBe(1);
});

test("frames wait for buffers, in order", () => {
  port.onFrame({ bytes: frameTo(MAC, 60, 1) });
  port.onFrame({ bytes: frameTo(MAC, 60, 2) });
  driver.add(0, [{ address: 0x1000, length: 2000, write: true }]);
  driver.add(0, [{ address: 0x2000, length: 2000, write: true }]);
  driver.notify(0);
  expect([driver.memory.bytes[0x1020], driver.memory.bytes[0x2020]]).toEqual([1, 2]);
});

test("no more than 4 MiB wait for a driver that offers no buffers", () => {
  for (let i = 0; i < 10_000; i++) port.onFrame({ bytes: frameTo(MAC, 1514) });
  let delivered = 0;
  for (let round = 0; round < 700; round++) {
    for (let i = 0; i < 8; i++) driver.add(0, [{ address: 0x1000, length: 2000, write: true }]);
    driver.notify(0);
    delivered = driver.usedCount(0);
  }
  expect(delivered).toBe(Math.floor(2 ** 22 / 1514));
});

test("a frame longer than one buffer spreads over several where that was agreed upon", () => {
  start(MRG_RXBUF);
  for (let i = 0; i < 3; i++) driver.add(0, [{ address: 0x1000 + i * 0x1000, length: 600, write: true }]);
  const frame = frameTo(MAC, 1514);
  port.onFrame({ bytes: frame });
  expect([0, 1, 2].map((index) => driver.used(0, index).written)).toEqual([600, 600, 326]);
  expect(driver.memory.bytes[0x100a]).toBe(3);
  const spread = [
    driver.memory.view(0x100c, 588),
    driver.memory.view(0x2000, 600),
    driver.memory.view(0x3000, 326),
  ];
  expect(Buffer.concat(spread).equals(frame)).toBe(true);
});

test("a frame waits with the buffers it has until there are enough", () => {
  start(MRG_RXBUF);
  driver.add(0, [{ address: 0x1000, length: 600, write: true }]);
  port.onFrame({ bytes: frameTo(MAC, 1000) });
  expect(driver.usedCount(0)).toBe(0);
  driver.add(0, [{ address: 0x2000, length: 600, write: true }]);
  driver.notify(0);
  expect([driver.used(0, 0).written, driver.used(0, 1).written]).toEqual([600, 412]);
});

test("a driver that takes unfinished frames gets them with what is left to do, another gets them plain", () => {
  const offload = { checksumStart: 34, checksumOffset: 16, segmentBytes: 1460 };
  const frame = { bytes: frameTo(MAC, 3000), offload };
  frame.bytes[34 + 12] = 5 << 4;
  start(MRG_RXBUF | GUEST_CSUM | GUEST_TSO4);
  driver.add(0, [{ address: 0x1000, length: 4000, write: true }]);
  port.onFrame(frame);
  expect([...driver.memory.view(0x1000, 12)]).toEqual([1, 1, 54, 0, 0xb4, 5, 34, 0, 16, 0, 1, 0]);
  start(MRG_RXBUF | GUEST_CSUM);
  driver.add(0, [{ address: 0x1000, length: 4000, write: true }]);
  port.onFrame(frame);
  expect(driver.used(0, 0).written).toBe(72);
  expect([driver.memory.bytes[0x1000], driver.memory.bytes[0x1020]]).toEqual([0, 0x77]);
});

/** Sends a control command and returns the answer. */
function control(...command: number[]): number {
  driver.memory.write(0x3000, Uint8Array.from(command));
  driver.memory.fill(0x4000, 1, 0xee);
  driver.add(2, [
    { address: 0x3000, length: command.length },
    { address: 0x4000, length: 1, write: true },
  ]);
  driver.notify(2);
  return driver.memory.bytes[0x4000]!;
}

test("with a control queue, frames for other stations are left out until the driver wants all", () => {
  start(CTRL_VQ | CTRL_RX);
  const other = Uint8Array.of(2, 0, 0, 0, 0, 9);
  const group = Uint8Array.of(1, 0, 0x5e, 0, 0, 1);
  const arrives = (mac: Uint8Array) => {
    const before = received;
    port.onFrame({ bytes: frameTo(mac, 60) });
    return received > before;
  };
  expect([arrives(MAC), arrives(new Uint8Array(6).fill(0xff)), arrives(other), arrives(group)]).toEqual([
    true,
    true,
    false,
    true,
  ]);
  expect(control(1, 0, 0, 0, 0, 0, 0, 0, 0, 0)).toBe(0); // no address in either table
  expect(arrives(group)).toBe(false);
  expect(control(1, 0, 0, 0, 0, 0, 1, 0, 0, 0, ...group)).toBe(0);
  expect(arrives(group)).toBe(true);
  expect(control(1, 1, ...other)).toBe(0);
  expect([arrives(other), arrives(MAC)]).toEqual([true, false]);
  expect(control(0, 0, 1)).toBe(0);
  expect(arrives(MAC)).toBe(true);
});

test.each([[[]], [[0]], [[0, 9, 1]], [[1, 0, 255, 255, 255, 255]], [[1, 1, 1]], [[9, 9, 9]]])(
  "a command that does not exist or is cut off is refused: %j",
  (command) => {
    start(CTRL_VQ | CTRL_RX);
    if (command.length > 0) expect(control(...command)).toBe(1);
    expect(driver.status).toBe(15);
  },
);

test("a reset forgets frames and buffers", () => {
  start(MRG_RXBUF);
  port.onFrame({ bytes: frameTo(MAC, 60) });
  driver.add(0, [{ address: 0x1000, length: 20, write: true }]);
  driver.notify(0);
  driver.transport.writeMemory(20, 1, 0);
  port.onFrame({ bytes: frameTo(MAC, 60) });
  expect(received).toBe(1);
});

test("data that lie apart from their frame follow it, over as many buffers as it takes", () => {
  start(GUEST_CSUM | MRG_RXBUF);
  for (const address of [0x1000, 0x2000, 0x3000]) driver.add(0, [{ address, length: 100, write: true }]);
  const headers = frameTo(MAC, 54);
  const data = Uint8Array.from({ length: 150 }, (_, index) => index);
  port.onFrame({ bytes: headers, data, offload: { checksumStart: 34, checksumOffset: 16, segmentBytes: 0 } });
  const lengths = [0, 1, 2].map((index) => driver.used(0, index).written);
  expect(lengths).toEqual([100, 100, 16]);
  const all = [0x1000, 0x2000, 0x3000].flatMap((at, index) => [
    ...driver.memory.view(at, lengths[index] ?? 0),
  ]);
  expect(all.slice(12)).toEqual([...headers, ...data]);
});
