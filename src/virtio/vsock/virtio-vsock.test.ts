import { beforeEach, expect, test } from "vitest";
import type { HostStream, HostStreamEvents } from "../../host/network.ts";
import { TestDriver } from "../test-rig.ts";
import { HostSockets, type IncomingStream } from "./host-sockets.ts";
import { HEADER_BYTES, HOST_CID, OP, type PacketHeader, readHeader, writeHeader } from "./packet.ts";
import { VirtioVsock } from "./virtio-vsock.ts";

const GUEST_CID = 3n;
const SEND_AT = 0x40000;
const BUFFERS_AT = 0x60000;
const BUFFER_BYTES = 0x1000;

let sockets: HostSockets;
let driver: TestDriver;
let device: VirtioVsock;
let wakes: number;
let read: number;

beforeEach(() => {
  wakes = 0;
  read = 0;
  sockets = new HostSockets();
  device = new VirtioVsock({ sockets, wake: () => wakes++ });
  driver = new TestDriver(device);
  driver.initialise();
});

/** Gives the device buffers for what it sends. */
function offer(count: number): void {
  for (let i = 0; i < count; i++)
    driver.add(0, [{ address: BUFFERS_AT + i * BUFFER_BYTES, length: BUFFER_BYTES, write: true }]);
  driver.notify(0);
}

/** The packets that came since the last call, of up to 16 buffers that `offer` gave in turn. */
function packets(): { header: PacketHeader; data: Uint8Array }[] {
  const list = [];
  for (; read < driver.usedCount(0); read++) {
    const { written } = driver.used(0, read);
    const bytes = driver.memory.bytes.slice(BUFFERS_AT + (read % 16) * BUFFER_BYTES).subarray(0, written);
    list.push({ header: readHeader(bytes), data: bytes.slice(HEADER_BYTES) });
  }
  return list;
}

const ops = () => packets().map(({ header }) => header.op);

function send(op: number, fields: Partial<PacketHeader> = {}, data = new Uint8Array()): void {
  const header = {
    ...{ sourceCid: GUEST_CID, destinationCid: HOST_CID, sourcePort: 1000, destinationPort: 7, type: 1 },
    ...{ op, flags: 0, bufferBytes: 10_000, forwardedBytes: 0, length: data.length },
    ...fields,
  };
  driver.memory.bytes.set(writeHeader(header), SEND_AT);
  driver.memory.bytes.set(data, SEND_AT + HEADER_BYTES);
  driver.add(1, [{ address: SEND_AT, length: HEADER_BYTES + data.length }]);
  driver.notify(1);
}

/** A program of the host that notes what happens. */
function program(): { events: HostStreamEvents; log: string[] } {
  const log: string[] = [];
  return {
    log,
    events: {
      connected: () => log.push("connected"),
      data: (bytes) => log.push(`data ${new TextDecoder().decode(bytes)}`),
      ended: () => log.push("ended"),
      written: (bytes) => log.push(`written ${bytes}`),
      closed: (failure) => log.push(`closed ${failure}`),
    },
  };
}

/** The guest connects to port 7. */
function connected(): { stream: HostStream; log: string[] } {
  const { events, log } = program();
  let stream: IncomingStream | undefined;
  sockets.listen(7, (incoming) => {
    stream = incoming;
    incoming.accept();
    return events;
  });
  offer(16);
  send(OP.REQUEST);
  expect(ops()).toEqual([OP.RESPONSE]);
  return { stream: stream as unknown as HostStream, log };
}

const text = (value: string) => new TextEncoder().encode(value);

test("the configuration has the guest's address", () => {
  expect([driver.transport.readMemory(0x2000, 4), driver.transport.readMemory(0x2004, 4)]).toEqual([3, 0]);
});

test("a connection to a port where nobody listens is reset", () => {
  offer(4);
  send(OP.REQUEST);
  const [packet] = packets();
  expect(packet?.header).toMatchObject({
    op: OP.RST,
    sourcePort: 7,
    destinationPort: 1000,
    destinationCid: 3n,
  });
  expect(wakes).toBe(1);
});

test("data go both ways, and each packet tells what there is room for", () => {
  const { stream, log } = connected();
  send(OP.RW, {}, text("hello"));
  stream.write(text("world"));
  const [packet] = packets();
  expect(packet?.header).toMatchObject({ op: OP.RW, length: 5, bufferBytes: 262144, forwardedBytes: 5 });
  expect(new TextDecoder().decode(packet?.data)).toBe("world");
  expect(log).toEqual(["data hello", "written 5"]);
});

test("no more is sent than the guest has room for", () => {
  const { stream, log } = connected();
  stream.write(new Uint8Array(12_000));
  const sizes = packets().map(({ data }) => data.length);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(10_000);
  expect(Math.max(...sizes)).toBe(BUFFER_BYTES - HEADER_BYTES);
  send(OP.CREDIT_UPDATE, { forwardedBytes: 1500 });
  expect(packets().map(({ data }) => data.length)).toEqual([1500]);
  send(OP.CREDIT_UPDATE, { forwardedBytes: 10_000 });
  expect(packets().map(({ data }) => data.length)).toEqual([500]);
  expect(log.filter((line) => line.startsWith("written")).length).toBe(5);
});

test("a program that pauses is given nothing, and the guest is told of room when it goes on", () => {
  const { stream, log } = connected();
  stream.pause();
  const piece = new Uint8Array(65536 - HEADER_BYTES).fill(97);
  for (let i = 0; i < 3; i++) send(OP.RW, {}, piece);
  expect([log, ops()]).toEqual([[], []]);
  stream.resume();
  expect(log.length).toBe(3);
  const [packet] = packets();
  expect(packet?.header).toMatchObject({ op: OP.CREDIT_UPDATE, forwardedBytes: 3 * piece.length });
  send(OP.CREDIT_REQUEST);
  expect(ops()).toEqual([OP.CREDIT_UPDATE]);
});

test("a guest that sends more than it has room for is cut off", () => {
  const { stream, log } = connected();
  stream.pause();
  const piece = new Uint8Array(65536 - HEADER_BYTES);
  for (let i = 0; i < 5; i++) send(OP.RW, {}, piece);
  expect(ops()).toEqual([OP.RST]);
  expect(log).toEqual(["closed reset"]);
});

test("each side ends its direction on its own; then both forget the connection", () => {
  const { stream, log } = connected();
  send(OP.SHUTDOWN, { flags: 2 });
  expect(log).toEqual(["ended"]);
  stream.write(text("still"));
  stream.end();
  expect(packets().map(({ header }) => [header.op, header.flags])).toEqual([
    [OP.RW, 0],
    [OP.SHUTDOWN, 2],
    [OP.SHUTDOWN, 3],
  ]);
  expect(log).toEqual(["ended", "written 5", "closed undefined"]);
  send(OP.RW, {}, text("late"));
  expect(ops()).toEqual([OP.RST]);
});

test("a guest's close drops what it will not read, and is answered with a reset", () => {
  const { stream, log } = connected();
  stream.write(new Uint8Array(20_000));
  packets();
  log.length = 0;
  send(OP.SHUTDOWN, { flags: 3 });
  expect(log).toEqual(["written 10000", "ended", "closed undefined"]);
  expect(ops()).toEqual([OP.RST]);
});

test("the host connects to the guest, which accepts or refuses", () => {
  offer(8);
  const [first, second] = [program(), program()];
  const stream = sockets.connect(22, first.events);
  stream.write(text("early"));
  const [request] = packets();
  expect(request?.header).toMatchObject({ op: OP.REQUEST, destinationPort: 22, bufferBytes: 262144 });
  const ports = { sourcePort: 22, destinationPort: request!.header.sourcePort };
  send(OP.RESPONSE, ports);
  expect(packets().map(({ data }) => new TextDecoder().decode(data))).toEqual(["early"]);
  sockets.connect(23, second.events);
  const [other] = packets();
  send(OP.RST, { sourcePort: 23, destinationPort: other!.header.sourcePort });
  expect([first.log, second.log]).toEqual([["connected", "written 5"], ["closed refused"]]);
});

test("without a driver a connection is refused", async () => {
  const { log, events } = program();
  new HostSockets().connect(22, events);
  await Promise.resolve();
  expect(log).toEqual(["closed refused"]);
});

test("a driver that gives no buffers is not listened to when a thousand answers wait", () => {
  for (let i = 0; i < 1100; i++) send(OP.REQUEST, { destinationPort: 9 });
  expect(driver.usedCount(1)).toBe(1024);
});

test("a reset of the driver ends all connections", () => {
  const { log } = connected();
  driver.initialise();
  expect(log).toEqual(["closed reset"]);
});

test("a packet that says it is longer than it is, or has no header, breaks the rules", () => {
  send(OP.RW, { length: 5 });
  expect(driver.status & 64).toBe(64);
  driver.initialise();
  driver.add(1, [{ address: SEND_AT, length: 20 }]);
  driver.notify(1);
  expect(driver.status & 64).toBe(64);
});

test("behind a restore the driver is told that its connections are gone", () => {
  const restored = new VirtioVsock({ sockets, wake() {} });
  expect(restored.restoreState(device.saveState())).toBeUndefined();
  expect(restored.restoreState({ cid: 4 })).toBe("the address 4");
  const other = new TestDriver(restored);
  other.initialise();
  other.memory.bytes.fill(0xff, 0x5000, 0x5004);
  other.add(2, [{ address: 0x5000, length: 8, write: true }]);
  other.notify(2);
  expect([other.used(2, 0).written, other.memory.readU32(0x5000)]).toEqual([4, 0]);
});
