import { beforeEach, expect, test } from "vitest";
import { ManualClock } from "../../src/bus/manual-clock.ts";
import { formatIp } from "../../src/network/ip/ip-address.ts";
import { parseAccessRule } from "../../src/network/nat/access-rules.ts";
import { UserNetwork, type UserNetworkOptions } from "../../src/network/nat/user-network.ts";
import { RST } from "../../src/network/tcp/segment.ts";
import { concat, FakeGuest } from "./fake-guest.ts";
import { FakeHost } from "./fake-host.ts";

const text = (value: string) => new TextEncoder().encode(value);
const SECOND_NS = 1e9;

let clock: ManualClock;
let host: FakeHost;
let network: UserNetwork;
let guest: FakeGuest;

function start(options: Partial<UserNetworkOptions> = {}): void {
  clock = new ManualClock();
  host = new FakeHost();
  network = new UserNetwork({ clock, host, random: () => 0xfffff000, ...options });
  guest = new FakeGuest(network, clock);
}

/** Lets the host and the timers of the next `ns` do what they have to. */
function run(ns = 50e6): void {
  for (let step = 0; step < 10; step++) {
    for (let round = 0; round < 20; round++) {
      host.settle();
      guest.settle();
    }
    clock.advance(ns / 10);
  }
}

const rules = (...lines: string[]) => lines.map((line) => parseAccessRule(line)!);

beforeEach(() => start());

/** A host service that sends back what it gets, and ends when its peer does. */
function echo(key: string): void {
  host.services.set(key, (program) => {
    program.onData = (bytes) => {
      program.send(bytes);
      return "taken";
    };
    program.onEnd = () => program.end();
  });
}

test("a connection is carried to the same address and port, both ways, and ends in order", () => {
  echo("198.51.100.7 80");
  const connection = guest.connect("198.51.100.7", 80);
  run();
  expect(connection.state).toBe("open");
  connection.tcp.write(text("hello"));
  run();
  expect(new TextDecoder().decode(connection.bytes)).toBe("hello");
  connection.tcp.end();
  run();
  expect(connection.ended).toBe(true);
  expect(host.programs[0]!.reset).toBe(false);
  run(5 * SECOND_NS);
  expect(connection.state).toBe("done");
  expect(network.load.connections).toBe(0);
});

test("the gateway's address leads to the host's own loopback", () => {
  echo("127.0.0.1 8080");
  const connection = guest.connect("10.0.2.2", 8080);
  run();
  expect(connection.state).toBe("open");
});

test("a port where nobody listens answers with a reset", () => {
  const connection = guest.connect("198.51.100.7", 81);
  run();
  expect(connection.state).toBe("reset");
  expect(network.load.connections).toBe(0);
});

test("an address that cannot be reached is told by ICMP, code 0", () => {
  host.failures.set("198.51.100.7 80", "unreachable");
  guest.connect("198.51.100.7", 80);
  run();
  const icmp = guest.packets.find(({ protocol }) => protocol === 1);
  expect([...icmp!.payload.subarray(0, 2)]).toEqual([3, 0]);
});

test.each(["127.0.0.1", "127.1.2.3", "0.0.0.0", "169.254.169.254", "10.0.2.99", "10.0.2.3"])(
  "nothing connects to %s",
  (address) => {
    const connection = guest.connect(address, 22);
    run();
    expect(host.connects).toEqual([]);
    expect(connection.state).toBe("reset");
  },
);

test("a large transfer both ways arrives whole, through windows that close and open", () => {
  const data = Uint8Array.from({ length: 2_000_000 }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
  host.services.set("198.51.100.7 80", (program) => {
    program.onData = () => "keep";
    program.onEnd = () => {
      for (let at = 0; at < data.length; at += 65536) program.send(data.subarray(at, at + 65536));
      program.end();
    };
  });
  const connection = guest.connect("198.51.100.7", 80);
  run();
  connection.tcp.write(data);
  connection.tcp.end();
  const program = host.programs[0]!;
  for (let i = 0; i < 100 && !program.ended; i++) {
    run();
    program.takeKept();
  }
  expect(Buffer.compare(concat(program.received), data)).toBe(0);
  for (let i = 0; i < 200 && !connection.ended; i++) run();
  expect(Buffer.compare(connection.bytes, data)).toBe(0);
});

test("a host that does not read stops the guest: at most 1 MiB waits", () => {
  host.services.set("198.51.100.7 80", (program) => {
    program.onData = () => "keep";
  });
  const connection = guest.connect("198.51.100.7", 80);
  run();
  connection.tcp.write(new Uint8Array(5_000_000));
  for (let i = 0; i < 50; i++) run();
  const waiting = concat(host.programs[0]!.received).length;
  expect(waiting).toBeGreaterThan(500_000);
  expect(waiting).toBeLessThanOrEqual(2 ** 20);
  host.programs[0]!.takeKept();
  for (let i = 0; i < 50; i++) run();
  expect(concat(host.programs[0]!.received).length).toBeGreaterThan(waiting);
});

test("a guest that does not read pauses the host's socket, and reading resumes it", () => {
  host.services.set("198.51.100.7 80", (program) => {
    for (let i = 0; i < 64; i++) program.send(new Uint8Array(65536).fill(i));
  });
  const connection = guest.connect("198.51.100.7", 80);
  connection.taking = false;
  run();
  expect(host.programs[0]!.paused).toBe(true);
  expect(connection.bytes.length).toBeLessThanOrEqual(256 * 1024);
  connection.taking = true;
  connection.tcp.consumed(connection.bytes.length);
  for (let i = 0; i < 100; i++) run();
  expect(connection.bytes.length).toBe(64 * 65536);
  expect(host.programs[0]!.paused).toBe(false);
});

test("the host ends its direction: the guest can still send", () => {
  host.services.set("198.51.100.7 80", (program) => {
    program.send(text("greeting"));
    program.end();
  });
  const connection = guest.connect("198.51.100.7", 80);
  run();
  expect(connection.ended).toBe(true);
  connection.tcp.write(text("still here"));
  run();
  expect(new TextDecoder().decode(concat(host.programs[0]!.received))).toBe("still here");
  connection.tcp.end();
  run();
  expect(host.programs[0]!.ended).toBe(true);
  run(3 * SECOND_NS);
  expect(network.load.connections).toBe(0);
});

test("a reset from the host reaches the guest, and one from the guest the host", () => {
  host.services.set("198.51.100.7 80", () => {});
  const first = guest.connect("198.51.100.7", 80);
  const second = guest.connect("198.51.100.7", 80);
  run();
  host.programs[0]!.fail("reset");
  run();
  expect(first.state).toBe("reset");
  second.tcp.abort();
  run();
  expect(host.programs[1]!.reset).toBe(true);
  expect(network.load.connections).toBe(0);
});

test("connections are limited: the one unused for longest is broken off", () => {
  host.services.set("198.51.100.7 80", () => {});
  const first = guest.connect("198.51.100.7", 80);
  run();
  for (let i = 0; i < 1100; i++) {
    guest.connect("198.51.100.7", 80);
    if (i % 100 === 99) run();
  }
  run();
  expect(network.load.connections).toBeLessThanOrEqual(1024);
  expect(first.state).toBe("reset");
});

test("connections that the host has not made yet are limited", () => {
  for (let i = 0; i < 1000; i++) guest.connect("198.51.100.7", 80);
  expect(host.connects.length).toBe(256);
});

test("a forwarded port leads to the guest, from the gateway's address", () => {
  let failed: string | undefined = "not opened";
  const opened = () => {
    failed = undefined;
  };
  const forward = { protocol: "tcp", host: { address: "127.0.0.1", port: 8080 }, guestPort: 80 } as const;
  network.forward(forward, { opened, failed: (why) => (failed = why) });
  guest.listening.set(80, (connection) => {
    connection.data = (bytes) => {
      connection.tcp.consumed(bytes.length);
      connection.tcp.write(text("answer"));
      connection.tcp.end();
    };
  });
  run();
  expect(failed).toBeUndefined();
  const program = host.call(8080);
  program.send(text("question"));
  run();
  expect(new TextDecoder().decode(concat(program.received))).toBe("answer");
  expect(program.ended).toBe(true);
  expect(formatIp(guest.packets.at(-1)!.source)).toBe("10.0.2.2");
});

test("a forwarded datagram gets its answer back to the same client", () => {
  const forward = { protocol: "udp", host: { address: "127.0.0.1", port: 5000 }, guestPort: 7 } as const;
  network.forward(forward, { opened() {}, failed() {} });
  const [socket] = host.datagramSockets;
  guest.ping("10.0.2.2");
  socket!.deliver(text("a"), { address: "127.0.0.1", port: 1111 });
  socket!.deliver(text("b"), { address: "127.0.0.1", port: 2222 });
  const [a, b] = guest.datagrams;
  expect([a!.destinationPort, b!.destinationPort]).toEqual([7, 7]);
  guest.sendUdp(7, "10.0.2.2", b!.sourcePort, text("to b"));
  expect(host.datagrams.map(({ to }) => to.port)).toEqual([2222]);
});

test("a datagram goes out by a socket of its port, and only those it went to may answer", () => {
  guest.sendUdp(1234, "198.51.100.7", 9, text("out"));
  const [sent] = host.datagrams;
  expect(sent!.to).toEqual({ address: "198.51.100.7", port: 9 });
  sent!.socket.deliver(text("answer"), { address: "198.51.100.7", port: 9 });
  sent!.socket.deliver(text("stranger"), { address: "203.0.113.1", port: 9 });
  expect(guest.datagrams.map(({ payload }) => new TextDecoder().decode(payload))).toEqual(["answer"]);
  expect(guest.datagrams[0]).toMatchObject({ from: "198.51.100.7", sourcePort: 9, destinationPort: 1234 });
});

test("a socket closes after a minute without datagrams", () => {
  guest.sendUdp(1234, "198.51.100.7", 9, text("out"));
  clock.advance(45 * SECOND_NS);
  expect(network.load.datagramPorts).toBe(1);
  clock.advance(60 * SECOND_NS);
  expect(network.load.datagramPorts).toBe(0);
  expect(host.datagramSockets.size).toBe(0);
});

test("sockets for datagrams are limited", () => {
  for (let port = 1; port < 2000; port++) guest.sendUdp(port, "198.51.100.7", 9, text("x"));
  expect(host.datagramSockets.size).toBe(256);
});

test("a datagram longer than the wire takes travels in fragments, both ways", () => {
  const long = Uint8Array.from({ length: 9000 }, (_, i) => i & 0xff);
  guest.sendUdp(1234, "198.51.100.7", 9, long);
  expect(host.datagrams[0]!.bytes).toEqual(long);
  host.datagrams[0]!.socket.deliver(long, { address: "198.51.100.7", port: 9 });
  const fragments = guest.packets.filter(({ fragment }) => fragment !== undefined);
  expect(fragments.length).toBe(7);
  expect(Math.max(...guest.frames.map(({ length }) => length))).toBeLessThanOrEqual(1514);
});

test("the gateway answers pings; others are answered with 'prohibited'", () => {
  guest.ping("10.0.2.2", text("payload!"));
  guest.ping("198.51.100.7");
  const [reply, refusal] = guest.packets;
  expect([...reply!.payload.subarray(0, 1), ...reply!.payload.subarray(8)]).toEqual([0, ...text("payload!")]);
  expect([...refusal!.payload.subarray(0, 2)]).toEqual([3, 13]);
});

test("denied addresses are refused without a connection of the host", () => {
  start({ deny: rules("198.51.100.0/24", "tcp:203.0.113.1:22-25") });
  echo("198.51.100.7 80");
  echo("203.0.113.1 80");
  const denied = guest.connect("198.51.100.7", 80);
  const deniedPort = guest.connect("203.0.113.1", 23);
  const other = guest.connect("203.0.113.1", 80);
  guest.sendUdp(99, "198.51.100.7", 9, text("x"));
  run();
  expect([denied.state, deniedPort.state, other.state]).toEqual(["reset", "reset", "open"]);
  expect(host.connects).toEqual([{ address: "203.0.113.1", port: 80 }]);
  expect(host.datagrams).toEqual([]);
});

test("with an allow list only what it names is reached, the gateway included", () => {
  start({ allow: rules("tcp:198.51.100.7:80") });
  echo("198.51.100.7 80");
  echo("127.0.0.1 80");
  const allowed = guest.connect("198.51.100.7", 80);
  const gateway = guest.connect("10.0.2.2", 80);
  run();
  expect([allowed.state, gateway.state]).toEqual(["open", "reset"]);
});

/** A question for an A record, or with `address` its answer. */
function dns(name: string, address?: readonly number[]): Uint8Array {
  const labels = name.split(".").flatMap((label) => [label.length, ...text(label)]);
  const question = [...labels, 0, 0, 1, 0, 1];
  const answer = address === undefined ? [] : [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address];
  return Uint8Array.of(
    0xab,
    0xcd,
    address ? 0x81 : 1,
    0,
    0,
    1,
    0,
    address ? 1 : 0,
    0,
    0,
    0,
    0,
    ...question,
    ...answer,
  );
}

test("a DNS question goes to the host's name server, and its answer comes from 10.0.2.3", () => {
  guest.sendUdp(3333, "10.0.2.3", 53, dns("example.org"));
  expect(host.datagrams[0]!.to).toEqual({ address: "192.0.2.53", port: 53 });
  host.datagrams[0]!.socket.deliver(dns("example.org", [198, 51, 100, 7]), {
    address: "192.0.2.53",
    port: 53,
  });
  expect(guest.datagrams[0]).toMatchObject({ from: "10.0.2.3", sourcePort: 53, destinationPort: 3333 });
});

test("without a name server a question is answered with a failure", () => {
  host.servers = [];
  guest.sendUdp(3333, "10.0.2.3", 53, dns("example.org"));
  expect(guest.datagrams[0]!.payload[3]! & 15).toBe(2);
});

test("a name server that does not answer is asked after one that does", () => {
  host.servers = [
    { address: "192.0.2.1", port: 53 },
    { address: "192.0.2.2", port: 53 },
  ];
  guest.sendUdp(3333, "10.0.2.3", 53, dns("example.org"));
  guest.sendUdp(3333, "10.0.2.3", 53, dns("example.org"));
  expect(host.datagrams.map(({ to }) => to.address)).toEqual(["192.0.2.1", "192.0.2.2"]);
});

test("an allowed name is reached at the addresses that DNS gave for it, and nothing else", () => {
  start({ allow: rules("*.example.org:80") });
  echo("198.51.100.7 80");
  echo("198.51.100.8 80");
  const early = guest.connect("198.51.100.7", 80);
  guest.sendUdp(3333, "10.0.2.3", 53, dns("www.example.org"));
  host.datagrams[0]!.socket.deliver(dns("www.example.org", [198, 51, 100, 7]), {
    address: "192.0.2.53",
    port: 53,
  });
  guest.sendUdp(3333, "10.0.2.3", 53, dns("other.test"));
  host.datagrams[0]!.socket.deliver(dns("other.test", [198, 51, 100, 8]), {
    address: "192.0.2.53",
    port: 53,
  });
  const named = guest.connect("198.51.100.7", 80);
  const other = guest.connect("198.51.100.8", 80);
  run();
  expect([early.state, named.state, other.state]).toEqual(["reset", "open", "reset"]);
});

test("a denied name does not exist", () => {
  start({ deny: rules("ads.test") });
  guest.sendUdp(3333, "10.0.2.3", 53, dns("ADS.test"));
  expect(host.datagrams).toEqual([]);
  expect(guest.datagrams[0]!.payload[3]! & 15).toBe(3);
});

test("a segment of a connection that does not exist is answered with a reset", () => {
  const connection = guest.connect("198.51.100.7", 80);
  run();
  connection.state = "opening";
  expect(guest.segments.at(-1)!.flags & RST).toBe(RST);
});

test("close breaks off connections and sockets", () => {
  host.services.set("198.51.100.7 80", () => {});
  const connection = guest.connect("198.51.100.7", 80);
  guest.sendUdp(1, "198.51.100.7", 9, text("x"));
  run();
  network.close();
  guest.settle();
  expect(connection.state).toBe("reset");
  expect(host.programs[0]!.reset).toBe(true);
  expect(host.datagramSockets.size).toBe(0);
});
