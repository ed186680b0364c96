import { isIP } from "node:net";
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatIp, inRange, isRoutable, parseIp, parseRange } from "../../src/network/ip/ip-address.ts";
import { formatMac, parseMac } from "../../src/network/link/mac-address.ts";
import { parseAccessRule } from "../../src/network/nat/access-rules.ts";

test("IPv6 addresses are written as RFC 5952 has it, and read back", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.nat(15),
      fc.nat(15),
      (bytes, from, length) => {
        const address = bytes.slice().fill(0, from, from + length);
        const text = formatIp(address);
        expect(text).toBe(new URL(`http://[${text}]/`).hostname.slice(1, -1));
        expect(parseIp(text)).toEqual(address);
      },
    ),
  );
});

test("what Node.js takes for an address is read, and nothing else", () => {
  const part = fc.constantFrom("0", "1", "ff", "fff1", "12345", "256", "10", ":", "::", ".", "g", "");
  fc.assert(
    fc.property(fc.array(part, { maxLength: 20 }), (parts) => {
      const text = parts.join("");
      const family = isIP(text);
      expect(parseIp(text)?.length).toBe(family === 0 ? undefined : family === 4 ? 4 : 16);
    }),
    { numRuns: 5000 },
  );
});

test.each([
  ["10.1.2.3", "10.0.0.0/8", true],
  ["11.1.2.3", "10.0.0.0/8", false],
  ["10.0.2.129", "10.0.2.128/25", true],
  ["10.0.2.127", "10.0.2.128/25", false],
  ["fd00::1", "fd00::/7", true],
  ["10.0.0.1", "::/0", false],
])("%s in %s: %s", (address, range, expected) => {
  expect(inRange(parseIp(address)!, parseRange(range)!)).toBe(expected);
});

test.each([
  "127.0.0.1",
  "::1",
  "::ffff:127.0.0.1",
  "::",
  "64:ff9b::7f00:1",
  "224.0.0.1",
  "fe80::1",
  "255.255.255.255",
])("%s is nowhere a guest may be connected to", (address) => {
  expect(isRoutable(parseIp(address)!)).toBe(false);
});

test.each(["192.168.1.1", "2001:db8::1", "fd00::1", "8.8.8.8"])("%s is", (address) => {
  expect(isRoutable(parseIp(address)!)).toBe(true);
});

test("a MAC address is of one station", () => {
  expect(formatMac(parseMac("52:54:00:12:34:56")!)).toBe("52:54:00:12:34:56");
  for (const text of [
    "52:54:00:12:34",
    "53:54:00:12:34:56",
    "00:00:00:00:00:00",
    "ff:ff:ff:ff:ff:ff",
    "zz",
  ]) {
    expect(parseMac(text)).toBeUndefined();
  }
});

test.each([
  "10.0.0.0/8",
  "tcp:10.0.0.1:80",
  "udp:*:53",
  "[fd00::1]:80-90",
  "[fd00::]/8",
  "*.example.org:443",
  "example.org",
])("%s is a rule", (text) => {
  expect(parseAccessRule(text)).toBeDefined();
});

test.each([
  "",
  "10.0.0.0/33",
  "10.0.0:80",
  "host:99999",
  "host:9-8",
  "icmp:10.0.0.1",
  "fd00::1",
  "a..b",
  "[nonsense]",
])("'%s' is none", (text) => {
  expect(parseAccessRule(text)).toBeUndefined();
});
