import { expect, test } from "vitest";
import { ManualClock } from "../../src/bus/manual-clock.ts";
import { checksum } from "../../src/network/ip/checksum.ts";
import { plainFrames } from "../../src/network/link/segmentation.ts";
import { parseAccessRule } from "../../src/network/nat/access-rules.ts";
import { UserNetwork } from "../../src/network/nat/user-network.ts";
import { parseDnsAnswer } from "../../src/network/services/dns-message.ts";
import { FakeGuest } from "./fake-guest.ts";
import { FakeHost } from "./fake-host.ts";

/** A longer run: npm run test:fuzz-devices */
const CASES = Number(process.env["RINGFENCE_FRAME_CASES"] ?? 60_000);

function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** Frames of every kind, as a well-behaved guest sends them. */
function wellFormed(): Uint8Array[] {
  const clock = new ManualClock();
  const sent: Uint8Array[] = [];
  const host = new FakeHost();
  host.services.set("198.51.100.7 80", (program) => program.send(new Uint8Array(3000)));
  const network = new UserNetwork({ clock, host, random: () => 77 });
  const tap = {
    send(frame: { bytes: Uint8Array }) {
      sent.push(frame.bytes.slice());
      network.send(frame);
    },
    onFrame() {},
  };
  const guest = new FakeGuest(tap, clock);
  network.onFrame = (frame) => tap.onFrame.call(tap, ...([frame] as unknown as []));
  guest.ping("10.0.2.2");
  guest.sendUdp(68, "10.0.2.2", 67, dhcpDiscover());
  guest.sendUdp(
    1000,
    "10.0.2.3",
    53,
    Uint8Array.of(1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 97, 0, 0, 1, 0, 1),
  );
  guest.sendUdp(1000, "198.51.100.7", 9, new Uint8Array(5000));
  const connection = guest.connect("198.51.100.7", 80);
  for (let i = 0; i < 20; i++) {
    host.settle();
    guest.settle();
    if (i === 5) connection.tcp.write(new Uint8Array(2000));
    if (i === 10) connection.tcp.end();
    clock.advance(10e6);
  }
  // An ARP request, a router and a neighbour solicitation.
  const arp = "ffffffffffff525400123456080600010800060400015254001234560a00020f0000000000000a000202";
  const solicitation =
    "333300000002525400123456 86dd 6000000000103aff fe800000000000005054 00fffe123456 ff020000000000000000000000000002 8500 0000 00000000 0101525400123456";
  const neighbour =
    "3333ff000002525400123456 86dd 6000000000203aff fe800000000000005054 00fffe123456 ff0200000000000000000001ff000002 8700 0000 00000000 fd100000000200000000000000000002 0101525400123456";
  for (const hex of [arp, solicitation, neighbour])
    sent.push(Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex")));
  return sent;
}

function dhcpDiscover(): Uint8Array {
  const bytes = new Uint8Array(300);
  bytes.set([1, 1, 6, 0, 1, 2, 3, 4]);
  bytes.set([0x52, 0x54, 0, 0x12, 0x34, 0x56], 28);
  bytes.set([0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255], 236);
  return bytes;
}

/** Makes header checksums right again, so that what was changed behind them is looked at. */
function repair(bytes: Uint8Array): void {
  if (bytes.length < 34 || bytes[12] !== 8 || bytes[13] !== 0) return;
  const length = Math.min((bytes[14]! & 15) * 4, bytes.length - 14);
  bytes[24] = 0;
  bytes[25] = 0;
  const sum = checksum(bytes, 14, 14 + length);
  bytes[24] = sum >> 8;
  bytes[25] = sum & 0xff;
}

test(`${CASES} damaged frames neither stop the network nor make it grow, and it serves on`, {
  timeout: 3_600_000,
}, () => {
  const seeds = wellFormed();
  expect(seeds.length).toBeGreaterThan(12);
  const random = randomNumbers(0x5eed);
  const clock = new ManualClock();
  const host = new FakeHost();
  host.services.set("198.51.100.7 80", () => {});
  const deny = [parseAccessRule("*.test")!];
  const network = new UserNetwork({ clock, host, deny, random });
  let answered = 0;
  network.onFrame = (frame) => {
    answered++;
    for (const bytes of plainFrames(frame))
      if (bytes.length > 1514) throw new Error("a frame too long for the wire");
  };
  for (let i = 0; i < CASES; i++) {
    const bytes = seeds[random() % seeds.length]!.slice(0, random() % 8 === 0 ? random() % 1600 : undefined);
    for (let changes = random() % 6; changes > 0 && bytes.length > 0; changes--) {
      bytes[random() % Math.min(bytes.length, 120)] = random() % 3 === 0 ? 0xff * (random() & 1) : random();
    }
    if (random() % 4 !== 0) repair(bytes);
    // Mostly with checksums left out, or else nearly everything would end there.
    const offload = {
      checksumStart: random() % 64,
      checksumOffset: random() % 32,
      segmentBytes: random() % 2000,
    };
    network.send(random() % 4 === 0 ? { bytes } : { bytes, offload });
    plainFrames({ bytes, offload });
    if (i % 50 === 0) {
      host.settle();
      clock.advance(random() % 100e6);
    }
    host.datagrams.length = 0;
    host.connects.length = 0;
    host.programs.length = 0;
  }
  expect(answered).toBeGreaterThan(CASES / 50);
  expect(network.load.connections).toBeLessThanOrEqual(1024);
  expect(network.load.datagramPorts).toBeLessThanOrEqual(256);
  expect(network.load.fragments).toBeLessThanOrEqual(16);
  expect(host.datagramSockets.size).toBeLessThanOrEqual(256);

  // From a port of which no damaged frame has left half a connection.
  const guest = new FakeGuest(network, clock, 50_000);
  guest.ping("10.0.2.2");
  const connection = guest.connect("198.51.100.7", 80);
  for (let i = 0; i < 10; i++) {
    host.settle();
    guest.settle();
    clock.advance(300e6);
  }
  expect(guest.packets.some(({ protocol, payload }) => protocol === 1 && payload[0] === 0)).toBe(true);
  expect(connection.state).toBe("open");
});

test("random DNS messages are read to an end", () => {
  const random = randomNumbers(0xd45);
  for (let i = 0; i < 30_000; i++) {
    const bytes = Uint8Array.from({ length: random() % 80 }, () => random());
    if (bytes.length > 12) bytes.set([0x81, 0x80, 0, 1, 0, random() % 5], 2);
    // Many pointers, since they could lead round in circles.
    if (bytes.length > 20) bytes.set([0xc0, random() % bytes.length], 12 + (random() % (bytes.length - 14)));
    parseDnsAnswer(bytes);
  }
});
