import { expect, test } from "vitest";
import { parseCommandLine } from "../../src/cli/command-line.ts";
import { parseForward, parseNetworks } from "../../src/cli/network-option.ts";
import { formatIp } from "../../src/network/ip/ip-address.ts";

const one = (text: string) => parseNetworks([text], [])[0]!;

function runOptions(...argv: string[]) {
  const command = parseCommandLine(["run", ...argv]);
  if (command.command !== "run") throw new Error("not a run");
  return command.options;
}

test("a machine is on the user network, unless it is deterministic or told otherwise", () => {
  expect(runOptions().networks?.map(({ kind }) => kind)).toEqual(["user"]);
  expect(runOptions("--deterministic").networks).toEqual([]);
  expect(runOptions("--network", "none").networks).toEqual([]);
  expect(runOptions("--deterministic", "--network", "user").networks?.map(({ kind }) => kind)).toEqual([
    "user",
  ]);
});

test("a user network has rules, name servers and a rate", () => {
  const network = one(
    "user,mac=52:54:00:00:00:01,rate=10M,allow=tcp:*.example.org:443,allow=192.0.2.0/24,deny=*,dns=192.0.2.1,dns=[fd00::1]:5353,ipv6=off",
  );
  expect(network).toMatchObject({
    kind: "user",
    mac: Uint8Array.of(0x52, 0x54, 0, 0, 0, 1),
    bytesPerSecond: 1_250_000,
    nameServers: [
      { address: "192.0.2.1", port: 53 },
      { address: "fd00::1", port: 5353 },
    ],
    ipv6: false,
  });
  if (network.kind !== "user") throw new Error("not a user network");
  expect([network.allow.length, network.deny.length]).toEqual([2, 1]);
});

test("a switch is named, or is a path or a TCP port", () => {
  expect(one("switch:lab")).toMatchObject({
    at: { path: expect.stringMatching(/\/ringfence-\d+-switch-lab$/) },
  });
  expect(one("switch:./socket")).toMatchObject({ at: { path: "./socket" } });
  expect(one("switch:127.0.0.1:7000,rate=1G")).toMatchObject({
    at: { address: "127.0.0.1", port: 7000 },
    bytesPerSecond: 125_000_000,
  });
  expect(one("switch:[::1]:7000")).toMatchObject({ at: { address: "::1", port: 7000 } });
});

test("a forward is open to this host only unless it names an address", () => {
  expect(parseForward("tcp:8080:80")).toEqual({
    protocol: "tcp",
    host: { address: "127.0.0.1", port: 8080 },
    guestPort: 80,
  });
  expect(parseForward("udp:0.0.0.0:5000:7").host.address).toBe("0.0.0.0");
  expect(parseForward("tcp:[::1]:5000:7").host.address).toBe("::1");
  expect(formatIp(Uint8Array.of(10, 0, 2, 15))).toBe("10.0.2.15");
});

test.each([
  ["usr", "did you mean user?"],
  ["bridge", "expected user, switch:NAME, none"],
  ["switch:", "unknown network switch:"],
  ["switch:a b", "not a name for a switch"],
  ["switch:localhost:7000", "expected switch:ADDRESS:PORT"],
  ["user,denny=1.2.3.4", "did you mean deny?"],
  ["switch:lab,dns=1.2.3.4", "unknown option dns"],
  ["user,mac=1:2", "mac is six bytes"],
  ["user,mac=52:54:00:00:00:01,mac=52:54:00:00:00:02", "mac is given twice"],
  ["user,rate=fast", "rate is in bits a second"],
  ["user,rate=10", "rate is in bits a second"],
  ["user,allow=10.0.0.0/40", "10.0.0.0/40 is not [tcp:|udp:]HOST"],
  ["user,deny", "deny needs a value"],
  ["user,dns=example.org", "dns is an address"],
  ["user,ipv6=maybe", "ipv6 is on or off"],
])("--network %s is refused: %s", (text, message) => {
  expect(() => one(text)).toThrow(message);
});

test("none stands alone", () => {
  expect(() => parseNetworks(["user", "none"], [])).toThrow("--network none excludes every other --network");
});

test.each(["tcp:80", "tcp:80:0", "tcp:99999:1", "icmp:1:1", "tcp:host:80:80", "8080:80"])(
  "--forward %s is refused",
  (text) => {
    expect(() => parseForward(text)).toThrow("expected tcp|udp:[ADDRESS:]HOSTPORT:GUESTPORT");
  },
);
