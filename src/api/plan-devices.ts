import { SECTOR_BYTES } from "../host/block-device.ts";
import { chooseMac, switchAddress } from "../host/node/guest-network.ts";
import { VmError } from "../layout/vm-error.ts";
import { parseIp } from "../network/ip/ip-address.ts";
import { parseMac } from "../network/link/mac-address.ts";
import { parseAccessRule } from "../network/nat/access-rules.ts";
import { MOST_SERVICES } from "../network/nat/addresses.ts";
import { parseNameServer } from "../network/nat/name-servers.ts";
import type { Service } from "../network/nat/services.ts";
import type { PortForward } from "../network/nat/user-network.ts";
import type {
  DiskOptions,
  ForwardOptions,
  HttpHandler,
  NetworkOptions,
  SocketHandler,
  SocketOptions,
  UserNetworkOptions,
} from "./device-options.ts";
import type { DiskRequest, NetworkRequest } from "./device-request.ts";

const LEAST_BITS_PER_SECOND = 8000;
const HTTP_PORT = 80;
const MOST_SOCKET_PORT = 0xffff_fffe;

/** @throws {VmError} `option-invalid`. */
export function planDisk(options: DiskOptions, index: number): DiskRequest {
  const { snapshot = false, serial = `disk${index}` } = options;
  const writable = !("content" in options) || options.content.write !== undefined;
  const readOnly = options.readOnly ?? !(writable || snapshot);
  if (readOnly && snapshot) refuse("disks.snapshot", "true", "a disk without readOnly");
  if (!/^[\x20-\x7e]{1,20}$/.test(serial)) refuse("disks.serial", serial, "1 to 20 ASCII characters");
  if (!("content" in options))
    return { from: { path: options.path, format: options.format }, readOnly, snapshot, serial };
  const { sizeBytes } = options.content;
  if (!(Number.isSafeInteger(sizeBytes) && sizeBytes > 0 && sizeBytes % SECTOR_BYTES === 0))
    refuse("disks.content.sizeBytes", sizeBytes, `a multiple of ${SECTOR_BYTES} above 0`);
  if (!(writable || readOnly || snapshot))
    refuse("disks.readOnly", "false", "a content with a write method, or snapshot");
  return { from: { sizeBytes }, readOnly, snapshot, serial };
}

/** @throws {VmError} `option-invalid`. */
export function planNetwork(
  options: NetworkOptions,
  index: number,
  services: readonly Service[],
): NetworkRequest {
  const { mac, bitsPerSecond } = options;
  if (bitsPerSecond !== undefined && !(bitsPerSecond >= LEAST_BITS_PER_SECOND))
    refuse("networks.bitsPerSecond", bitsPerSecond, `at least ${LEAST_BITS_PER_SECOND}`);
  const address = mac === undefined ? chooseMac(options.kind, index) : parseMac(mac);
  return {
    plan: planOf(options, services),
    mac: address ?? refuse("networks.mac", mac, "six bytes of one station, such as 52:54:00:12:34:56"),
    bytesPerSecond: bitsPerSecond === undefined ? undefined : bitsPerSecond / 8,
  };
}

/** The names at which a program answers. @throws {VmError} `option-invalid`. */
export function servicesOf(network: NetworkOptions): { name: string; port: number; handler: HttpHandler }[] {
  const entries = network.kind === "user" ? Object.entries(network.http ?? {}) : [];
  const services = entries.map(([key, handler]) => {
    const match = /^((?:[a-z0-9_][a-z0-9_-]{0,62}\.?)+)(?::(\d{1,5}))?$/i.exec(key);
    const port = Number(match?.[2] ?? HTTP_PORT);
    if (match?.[1] === undefined || !isPort(port) || parseIp(match[1]) !== undefined)
      refuse("networks.http", key, "a name with an optional port, such as api.test or api.test:8080");
    return { name: match[1].toLowerCase().replace(/\.$/, ""), port, handler };
  });
  const names = new Set(services.map(({ name }) => name));
  if (names.size > MOST_SERVICES) refuse("networks.http", names.size, `at most ${MOST_SERVICES} names`);
  return services;
}

/** The ports at which the guest finds somebody. @throws {VmError} `option-invalid`. */
export function servedPorts(
  options: SocketOptions,
): { port: number; to: SocketHandler | { readonly path: string } }[] {
  return Object.entries(options).map(([key, to]) => {
    const port = Number(key);
    checkSocketPort("sockets", port);
    if (typeof to !== "function" && typeof to?.path !== "string")
      refuse("sockets", String(to), "functions, or paths of Unix-domain sockets");
    return { port, to };
  });
}

/** @throws {VmError} `option-invalid`. */
export function checkSocketPort(option: string, port: number): void {
  if (!(Number.isInteger(port) && port >= 0 && port <= MOST_SOCKET_PORT))
    refuse(option, port, `ports from 0 to ${MOST_SOCKET_PORT}`);
}

function planOf(options: NetworkOptions, services: readonly Service[]): NetworkRequest["plan"] {
  switch (options.kind) {
    case "user":
      return { ...planUser(options), services };
    case "switch": {
      const expected = "letters, digits, `_`, `.` and `-`; at most 60";
      return {
        kind: "switch",
        at: switchAddress(options.name) ?? refuse("networks.name", options.name, expected),
      };
    }
    case "program":
      return { kind: "program" };
    default:
      return refuse(
        "networks.kind",
        (options as { readonly kind: unknown }).kind,
        '"user", "switch" or "program"',
      );
  }
}

function planUser(options: UserNetworkOptions) {
  const { allow = [], deny = [], nameServers = [], ipv6 = true, forwards = [] } = options;
  const rule = (option: string) => (text: string) =>
    parseAccessRule(text) ??
    refuse(
      option,
      text,
      "[tcp:|udp:]HOST[:PORT[-PORT]], HOST an address, a block, [IPv6], NAME, *.NAME or *",
    );
  return {
    kind: "user" as const,
    allow: allow.map(rule("networks.allow")),
    deny: deny.map(rule("networks.deny")),
    nameServers: nameServers.map(
      (text) =>
        parseNameServer(text) ??
        refuse("networks.nameServers", text, "an address, such as 192.0.2.1, 192.0.2.1:5353 or [fd00::1]:53"),
    ),
    ipv6,
    forwards: forwards.map(planForward),
  };
}

function planForward(options: ForwardOptions): PortForward {
  const { protocol = "tcp", hostAddress = "127.0.0.1", hostPort, guestPort } = options;
  for (const port of [hostPort, guestPort])
    if (!isPort(port)) refuse("networks.forwards", port, "ports from 1 to 65535");
  if (parseIp(hostAddress) === undefined)
    refuse("networks.forwards.hostAddress", hostAddress, "an IP address");
  return { protocol, host: { address: hostAddress, port: hostPort }, guestPort };
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port > 0 && port <= 65535;
}

function refuse(option: string, value: unknown, expected: string): never {
  throw new VmError({ code: "option-invalid", option, value: String(value), expected });
}
