import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { EthernetPort } from "../../src/host/ethernet-port.ts";
import { HostClock } from "../../src/host/node/host-clock.ts";
import { nodeNetwork } from "../../src/host/node/network-sockets.ts";
import { FrameReader, frameMessage } from "../../src/network/switch/frame-stream.ts";
import { LearningSwitch } from "../../src/network/switch/learning-switch.ts";
import { SharedSwitch } from "../../src/network/switch/shared-switch.ts";

const BROADCAST = 0xff;

/** A frame from station `from` to station `to`, 0xff being everybody. */
function frame(to: number, from: number, length = 60): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.fill(to === BROADCAST ? 0xff : 0, 0, 6);
  if (to !== BROADCAST) bytes.set([2, 0, 0, 0, 0, to], 0);
  bytes.set([2, 0, 0, 0, 0, from], 6);
  return bytes;
}

function station(port: EthernetPort) {
  const received: Uint8Array[] = [];
  port.onFrame = ({ bytes }) => received.push(bytes);
  return { received, send: (bytes: Uint8Array) => port.send({ bytes }) };
}

test("a frame goes everywhere until its receiver has been heard, then only there", () => {
  const hub = new LearningSwitch();
  const [a, b, c] = [station(hub.connect()), station(hub.connect()), station(hub.connect())];
  a.send(frame(2, 1));
  expect([a, b, c].map(({ received }) => received.length)).toEqual([0, 1, 1]);
  b.send(frame(1, 2));
  expect([a, b, c].map(({ received }) => received.length)).toEqual([1, 1, 1]);
  a.send(frame(2, 1));
  a.send(frame(BROADCAST, 1));
  expect([a, b, c].map(({ received }) => received.length)).toEqual([1, 3, 2]);
});

test("a station that moves to another port is found there", () => {
  const hub = new LearningSwitch();
  const [first, second] = [hub.connect(), hub.connect()];
  const [a, b, c] = [station(first), station(second), station(hub.connect())];
  a.send(frame(BROADCAST, 1));
  b.send(frame(BROADCAST, 1));
  c.send(frame(1, 3));
  expect(b.received.length).toBe(2);
  second.disconnect();
  c.send(frame(1, 3));
  expect(a.received.length).toBe(2);
});

test("frames are found in a stream however it is cut", () => {
  const frames = [frame(1, 2), frame(3, 4, 1514), new Uint8Array(0), frame(5, 6)];
  const stream = Buffer.concat(frames.map(frameMessage));
  for (const size of [1, 2, 3, 7, 64, 1000, 5000]) {
    const reader = new FrameReader();
    const found: Uint8Array[] = [];
    for (let at = 0; at < stream.length; at += size)
      found.push(...reader.read(stream.subarray(at, at + size))!);
    expect(found.map((each) => [...each])).toEqual(frames.map((each) => [...each]));
  }
});

test("a stream with an impossible length is refused", () => {
  expect(new FrameReader().read(Uint8Array.of(0xff, 0, 0, 0))).toBeUndefined();
});

let folder: string;
let switches: SharedSwitch[];
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "ringfence-switch-"));
  switches = [];
});
afterEach(() => {
  for (const shared of switches) shared.close();
  rmSync(folder, { recursive: true });
});

function join(name: string): SharedSwitch {
  const shared = new SharedSwitch(nodeNetwork, new HostClock(), { path: path.join(folder, name) });
  switches.push(shared);
  return shared;
}

const WAIT = { timeout: 10_000, interval: 10 };
const connected = (...all: SharedSwitch[]) =>
  vi.waitFor(() => expect(all.every((shared) => shared.connected)).toBe(true), WAIT);

test("three machines meet at one address; when the one that serves leaves, another takes its place", async () => {
  const ports = [join("s"), join("s"), join("s")];
  await connected(...ports);
  ports.sort((x, y) => Number(y.serving) - Number(x.serving));
  expect(ports.map(({ serving }) => serving)).toEqual([true, false, false]);
  const [a, b, c] = ports.map(station);
  c!.send(frame(BROADCAST, 3));
  await vi.waitFor(() => expect([a, b].map((each) => each!.received.length)).toEqual([1, 1]), WAIT);
  const long = frame(3, 1, 1514);
  a!.send(long);
  await vi.waitFor(() => expect(c!.received).toHaveLength(1), WAIT);
  expect([...c!.received[0]!]).toEqual([...long]);

  ports[0]!.close();
  await vi.waitFor(() => expect(ports.slice(1).some((shared) => !shared.connected)).toBe(true), WAIT);
  await connected(...ports.slice(1));
  b!.send(frame(BROADCAST, 2));
  await vi.waitFor(() => expect(c!.received).toHaveLength(2), WAIT);
});

test("the file of a switch that died is replaced; another kind of file is left alone", async () => {
  const stale = path.join(folder, "stale");
  const dead = net.createServer();
  await new Promise<void>((resolve) => dead.listen(path.join(folder, "other"), resolve));
  // Linked before it closes, the socket's file stays behind as after a kill.
  const { linkSync, readFileSync } = await import("node:fs");
  linkSync(path.join(folder, "other"), stale);
  await new Promise((resolve) => dead.close(resolve));
  await connected(join("stale"));

  writeFileSync(path.join(folder, "document"), "precious");
  const refused = join("document");
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(refused.connected).toBe(false);
  expect(readFileSync(path.join(folder, "document"), "utf8")).toBe("precious");
});
