import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { ManualClock } from "../../src/bus/manual-clock.ts";
import type { EthernetPort } from "../../src/host/ethernet-port.ts";
import { CaptureFile } from "../../src/host/node/capture-file.ts";
import { CapturingPort } from "../../src/network/capture/capturing-port.ts";
import { RateLimitedPort } from "../../src/network/link/rate-limited-port.ts";
import { UserNetwork } from "../../src/network/nat/user-network.ts";
import { FakeGuest } from "./fake-guest.ts";
import { FakeHost } from "./fake-host.ts";

const hasTcpdump = spawnSync("tcpdump", ["--version"]).status === 0;

test.skipIf(!hasTcpdump)("tcpdump reads a capture: times, addresses and correct checksums", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "ringfence-capture-"));
  const file = new CaptureFile(path.join(folder, "net.pcapng"), () => {});
  const clock = new ManualClock();
  const network = new UserNetwork({ clock, host: new FakeHost(), random: () => 0 });
  const port = new CapturingPort(
    network,
    (bytes) => file.write(bytes),
    () => 1_700_000_000_123_456_789n,
  );
  const guest = new FakeGuest(port, clock);
  guest.ping("10.0.2.2");
  guest.sendUdp(1000, "198.51.100.7", 9, new Uint8Array(4000));
  file.close();
  const { stdout } = spawnSync("tcpdump", ["-nvv", "--nano", "-tt", "-r", path.join(folder, "net.pcapng")], {
    encoding: "utf8",
  });
  rmSync(folder, { recursive: true });
  expect(stdout).toContain("1700000000.123456789");
  expect(stdout).toContain("10.0.2.15 > 10.0.2.2: ICMP echo request");
  expect(stdout).toContain("10.0.2.2 > 10.0.2.15: ICMP echo reply");
  expect(stdout).toContain("10.0.2.15.1000 > 198.51.100.7.9: UDP, length 4000");
  expect(stdout).not.toMatch(/bad|wrong|incorrect/);
});

test("what waits is written when a capture is closed, and frames behind that are not", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "ringfence-capture-"));
  const name = path.join(folder, "file");
  const file = new CaptureFile(name, () => {});
  file.write(Uint8Array.of(1, 2));
  file.write(new Uint8Array(300_000).fill(3));
  file.write(Uint8Array.of(4));
  file.close();
  file.write(Uint8Array.of(5));
  const bytes = readFileSync(name);
  rmSync(folder, { recursive: true });
  expect(bytes.length).toBe(300_003);
  expect([bytes[0], bytes[1], bytes[2], bytes.at(-1)]).toEqual([1, 2, 3, 4]);
});

test("a port limited to 100 kB/s passes 100 kB in a second, in order, and loses what does not fit its queue", () => {
  const clock = new ManualClock();
  const sent: number[] = [];
  const wire: EthernetPort = { send: ({ bytes }) => sent.push(bytes[0]!), onFrame: () => {} };
  const port = new RateLimitedPort(wire, clock, 100_000);
  for (let i = 0; i < 1000; i++) port.send({ bytes: new Uint8Array(1000).fill(i & 0xff) });
  clock.advance(1e9);
  expect(sent.length).toBeGreaterThanOrEqual(99);
  expect(sent.length).toBeLessThanOrEqual(105);
  expect(sent).toEqual(Array.from(sent, (_, i) => i & 0xff));
  clock.advance(60e9);
  expect(sent.length).toBeLessThan(530);
});
