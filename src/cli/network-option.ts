import type { HostEndpoint, StreamAddress } from "../host/network.ts";
import { type SwitchPlan, switchAddress, type UserNetworkPlan } from "../host/node/guest-network.ts";
import { formatIp, parseIp } from "../network/ip/ip-address.ts";
import { parseMac } from "../network/link/mac-address.ts";
import { type AccessRule, parseAccessRule } from "../network/nat/access-rules.ts";
import { parseNameServer } from "../network/nat/name-servers.ts";
import type { PortForward } from "../network/nat/user-network.ts";
import { nearest } from "./suggestion.ts";
import { UsageError } from "./usage-error.ts";

/** What one `--network` asks for. */
export type NetworkOption = UserNetworkOption | SwitchOption;

interface CardOption {
  /** Undefined: one is chosen. */
  readonly mac: Uint8Array | undefined;
  readonly bytesPerSecond: number | undefined;
}

export interface UserNetworkOption extends CardOption, UserNetworkPlan {}

export interface SwitchOption extends CardOption, SwitchPlan {}

const KINDS = ["user", "switch:NAME", "none"];
const SETTINGS = { user: ["mac", "rate", "allow", "deny", "dns", "ipv6"], switch: ["mac", "rate"] };
const RULE = "[tcp:|udp:]HOST[:PORT[-PORT]], HOST an address, a block, [IPv6], NAME, *.NAME or *";

/** Reads all `--network` options; none given means `byDefault`. */
export function parseNetworks(
  texts: readonly string[] | undefined,
  byDefault: readonly string[],
): NetworkOption[] {
  const given = texts ?? byDefault;
  if (!given.includes("none")) return given.map(parseNetwork);
  if (given.length > 1) throw new UsageError("--network none excludes every other --network");
  return [];
}

/** What `--network user` asks for. */
export function userNetwork(): NetworkOption {
  return parseNetwork("user");
}

function parseNetwork(text: string): NetworkOption {
  const [what = "", ...settings] = text.split(",");
  const kind =
    what === "user" ? "user" : what.startsWith("switch:") && what.length > 7 ? "switch" : undefined;
  if (kind === undefined) {
    const guess = nearest(what, ["user", "none"]);
    const hint = guess === undefined ? `expected ${KINDS.join(", ")}` : `did you mean ${guess}?`;
    throw new UsageError(`--network ${text}: unknown network ${what}; ${hint}`);
  }
  const values = new Map<string, string[]>();
  for (const setting of settings) {
    const [name = "", value = ""] = setting.split(/=(.*)/s);
    if (!SETTINGS[kind].includes(name)) throw unknownSetting(text, name, SETTINGS[kind]);
    if (value === "") throw new UsageError(`--network ${text}: ${name} needs a value, such as ${name}=...`);
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  const card = { mac: readMac(text, values.get("mac")), bytesPerSecond: readRate(text, values.get("rate")) };
  if (kind === "switch") return { kind, at: parseSwitchAddress(text, what.slice(7)), ...card };
  return {
    kind,
    ...card,
    allow: (values.get("allow") ?? []).map((rule) => readRule(text, rule)),
    deny: (values.get("deny") ?? []).map((rule) => readRule(text, rule)),
    nameServers: (values.get("dns") ?? []).map((server) => readNameServer(text, server)),
    ipv6: readSwitch(text, "ipv6", values.get("ipv6")),
  };
}

/** A name, a path of a Unix-domain socket, or a TCP port as HOST:PORT. */
function parseSwitchAddress(text: string, where: string): StreamAddress {
  const tcp = /^([^/]+):(\d{1,5})$/.exec(where);
  if (tcp !== null) {
    const address = parseIp(tcp[1]!.replace(/^\[(.*)\]$/, "$1"));
    const port = Number(tcp[2]);
    if (address === undefined || port === 0 || port > 65535) {
      throw new UsageError(`--network ${text}: expected switch:ADDRESS:PORT, such as switch:127.0.0.1:7000`);
    }
    return { address: formatIp(address), port };
  }
  if (where.includes("/")) return { path: where };
  const address = switchAddress(where);
  if (address === undefined) throw new UsageError(`--network ${text}: not a name for a switch`);
  return address;
}

function readMac(text: string, values: readonly string[] | undefined): Uint8Array | undefined {
  const value = single(text, "mac", values);
  if (value === undefined) return undefined;
  const mac = parseMac(value);
  if (mac === undefined) {
    throw new UsageError(`--network ${text}: mac is six bytes of one station, such as 52:54:00:12:34:56`);
  }
  return mac;
}

/** Bits a second; returns bytes. */
function readRate(text: string, values: readonly string[] | undefined): number | undefined {
  const value = single(text, "rate", values);
  if (value === undefined) return undefined;
  const match = /^(\d+(?:\.\d+)?)([KMG])?$/i.exec(value);
  const unit = { "": 1, K: 1e3, M: 1e6, G: 1e9 }[(match?.[2] ?? "").toUpperCase()] ?? Number.NaN;
  const bitsPerSecond = Number(match?.[1]) * unit;
  if (bitsPerSecond >= 8000) return bitsPerSecond / 8;
  throw new UsageError(`--network ${text}: rate is in bits a second, at least 8K, such as 10M`);
}

function readRule(text: string, value: string): AccessRule {
  const rule = parseAccessRule(value);
  if (rule === undefined) throw new UsageError(`--network ${text}: ${value} is not ${RULE}`);
  return rule;
}

function readNameServer(text: string, value: string): HostEndpoint {
  const server = parseNameServer(value);
  if (server !== undefined) return server;
  throw new UsageError(
    `--network ${text}: dns is an address, such as 192.0.2.1, 192.0.2.1:5353 or [fd00::1]:53`,
  );
}

function readSwitch(text: string, name: string, values: readonly string[] | undefined): boolean {
  const value = single(text, name, values) ?? "on";
  if (value === "on" || value === "off") return value === "on";
  throw new UsageError(`--network ${text}: ${name} is on or off`);
}

function single(text: string, name: string, values: readonly string[] | undefined): string | undefined {
  if ((values?.length ?? 0) > 1) throw new UsageError(`--network ${text}: ${name} is given twice`);
  return values?.[0];
}

function unknownSetting(text: string, name: string, known: readonly string[]): UsageError {
  const guess = nearest(name, known);
  const hint = guess === undefined ? `known: ${known.join(", ")}` : `did you mean ${guess}?`;
  return new UsageError(`--network ${text}: unknown option ${name}; ${hint}`);
}

/** Reads `tcp|udp:[ADDRESS:]HOSTPORT:GUESTPORT`. Without an address only this host can connect. */
export function parseForward(text: string): PortForward {
  const match = /^(tcp|udp):(?:(\[[^\]]+\]|[^:]+):)?(\d{1,5}):(\d{1,5})$/.exec(text);
  const address = match?.[2] === undefined ? "127.0.0.1" : match[2].replace(/^\[(.*)\]$/, "$1");
  const [hostPort, guestPort] = [Number(match?.[3]), Number(match?.[4])];
  const portsFit = [hostPort, guestPort].every((port) => port > 0 && port <= 65535);
  if (match === null || !portsFit || parseIp(address) === undefined) {
    throw new UsageError(
      `--forward ${text}: expected tcp|udp:[ADDRESS:]HOSTPORT:GUESTPORT, such as tcp:8080:80`,
    );
  }
  return { protocol: match[1] as "tcp" | "udp", host: { address, port: hostPort }, guestPort };
}
