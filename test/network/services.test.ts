import { expect, test } from "vitest";
import { ManualClock } from "../../src/bus/manual-clock.ts";
import { parseAccessRule } from "../../src/network/nat/access-rules.ts";
import { UserNetwork } from "../../src/network/nat/user-network.ts";
import { parseDnsAnswer } from "../../src/network/services/dns-message.ts";
import { FakeGuest } from "./fake-guest.ts";
import { FakeHost } from "./fake-host.ts";

const A = 1;
const AAAA = 28;
const deny = [parseAccessRule("*")!];

function start(names: readonly string[]) {
  const clock = new ManualClock();
  const host = new FakeHost();
  const services = names.map((name, i) => ({ name, port: 80, to: { path: `/run/${i}` } }));
  const network = new UserNetwork({ clock, host, random: () => 7, deny, services });
  return { clock, host, network, guest: new FakeGuest(network, clock) };
}

function question(name: string, type: number): Uint8Array {
  const labels = name.split(".").flatMap((label) => [label.length, ...new TextEncoder().encode(label)]);
  return Uint8Array.of(0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, type, 0, 1);
}

test("the name of a service has an address, and none of IPv6", () => {
  const { guest, host } = start(["one.test", "two.test"]);
  guest.sendUdp(3333, "10.0.2.3", 53, question("TWO.test", A));
  guest.sendUdp(3333, "10.0.2.3", 53, question("two.test", AAAA));
  const [found, none] = guest.datagrams.map(({ payload }) => parseDnsAnswer(payload)!);
  expect(found!.name).toBe("two.test");
  expect(found!.addresses.map(({ address }) => [...address])).toEqual([[10, 0, 2, 221]]);
  expect(none!.addresses).toEqual([]);
  expect(guest.datagrams[1]!.payload[3]! & 15).toBe(0);
  expect(host.datagrams).toEqual([]);
});

test("other names are asked elsewhere as ever", () => {
  const { guest, host } = start(["one.test"]);
  guest.sendUdp(3333, "10.0.2.3", 53, question("one.test.example", A));
  expect(host.datagrams.map(({ to }) => to.port)).toEqual([53]);
});

test("a connection to a service goes where it leads, whatever the rules; other ports are refused", () => {
  const { clock, guest, host } = start(["one.test"]);
  host.services.set("/run/0", (program) => {
    program.onData = (bytes) => {
      program.send(bytes);
      return "taken";
    };
  });
  const service = guest.connect("10.0.2.220", 80);
  const other = guest.connect("10.0.2.220", 81);
  const nobody = guest.connect("10.0.2.221", 80);
  for (let i = 0; i < 20; i++) {
    host.settle();
    guest.settle();
    clock.advance(5e6);
  }
  expect([service.state, other.state, nobody.state]).toEqual(["open", "reset", "reset"]);
  expect(host.connects).toEqual([{ path: "/run/0" }]);
});

test("there is room for 32 names", () => {
  const names = Array.from({ length: 33 }, (_, i) => `host${i}.test`);
  expect(() => start(names.slice(1))).not.toThrow();
  expect(() => start(names)).toThrow(RangeError);
});
