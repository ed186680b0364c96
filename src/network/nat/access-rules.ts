import {
  type AddressRange,
  addressKey,
  type IpAddress,
  inRange,
  isRoutable,
  parseRange,
  sameAddress,
} from "../ip/ip-address.ts";

/** One line of an allow or deny list. */
export interface AccessRule {
  readonly protocol: "tcp" | "udp" | undefined;
  /** Absent: every address. */
  readonly target: { readonly range: AddressRange } | { readonly name: string } | undefined;
  readonly firstPort: number;
  readonly lastPort: number;
}

/**
 * Reads `[tcp:|udp:]HOST[:PORT[-PORT]]`, where HOST is an IPv4 address or
 * block, an IPv6 one in brackets, a name, `*.name` for all names below it, or
 * `*`. Undefined for anything else.
 */
export function parseAccessRule(text: string): AccessRule | undefined {
  const match =
    /^(?:(tcp|udp):)?(\[[0-9a-fA-F:./]+\](?:\/\d+)?|[^:[\]]+)(?::(\d{1,5})(?:-(\d{1,5}))?)?$/.exec(text);
  if (match === null) return undefined;
  const [, protocol, host = "", first, last] = match;
  const firstPort = first === undefined ? 0 : Number(first);
  const lastPort = first === undefined ? 65535 : Number(last ?? first);
  if (lastPort > 65535 || firstPort > lastPort) return undefined;
  const target = parseTarget(host);
  if (target === "invalid") return undefined;
  return { protocol: protocol as "tcp" | "udp" | undefined, target, firstPort, lastPort };
}

function parseTarget(host: string): AccessRule["target"] | "invalid" {
  if (host === "*") return undefined;
  const range = parseRange(host.replace(/[[\]]/g, ""));
  if (range !== undefined) return { range };
  // What looks like an address and is none is a slip, not a name.
  if (/^[\d./]+$/.test(host) || host.startsWith("[")) return "invalid";
  const name = /^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,62})\.?)+$/i.test(host) ? host.toLowerCase() : undefined;
  return name === undefined ? "invalid" : { name: name.replace(/\.$/, "") };
}

function nameMatches(pattern: string, name: string): boolean {
  return pattern.startsWith("*.") ? name.endsWith(pattern.slice(1)) : name === pattern;
}

/** How many addresses of names are remembered; the oldest gives way. */
const MAXIMUM_LEARNED = 4096;
/** A guest may use an address longer than its DNS record says. */
const MINIMUM_LIFETIME_NS = 300e9;

/**
 * Decides where a guest may connect to. Denied is what the deny list names,
 * and, when there is an allow list, what that does not name. Names count by
 * the addresses that the guest's own DNS answers gave for them.
 */
export class AccessRules {
  readonly #allow: readonly AccessRule[];
  readonly #deny: readonly AccessRule[];
  readonly #nowNs: () => number;
  /** Address -> names, with their end. */
  readonly #names = new Map<string, { name: string; untilNs: number }[]>();
  /** True when a rule is about a name. */
  readonly usesNames: boolean;

  constructor(allow: readonly AccessRule[], deny: readonly AccessRule[], nowNs: () => number) {
    this.#allow = allow;
    this.#deny = deny;
    this.#nowNs = nowNs;
    this.usesNames = [...allow, ...deny].some(({ target }) => target !== undefined && "name" in target);
  }

  permits(protocol: "tcp" | "udp", address: IpAddress, port: number): boolean {
    const matches = (rule: AccessRule) =>
      (rule.protocol === undefined || rule.protocol === protocol) &&
      port >= rule.firstPort &&
      port <= rule.lastPort &&
      this.#targetMatches(rule.target, address);
    return !this.#deny.some(matches) && (this.#allow.length === 0 || this.#allow.some(matches));
  }

  /** False for a name whose every port is denied: its addresses need not be told. */
  permitsName(name: string): boolean {
    return !this.#deny.some(
      ({ target, protocol, firstPort, lastPort }) =>
        target !== undefined &&
        "name" in target &&
        protocol === undefined &&
        firstPort === 0 &&
        lastPort === 65535 &&
        nameMatches(target.name, name),
    );
  }

  /** Takes note of what a name server has told the guest. */
  learn(name: string, address: IpAddress, lifetimeNs: number): void {
    if (!this.usesNames || !isRoutable(address)) return;
    const key = addressKey(address);
    const nowNs = this.#nowNs();
    const known = (this.#names.get(key) ?? []).filter(
      (entry) => entry.name !== name && entry.untilNs > nowNs,
    );
    this.#names.delete(key);
    const untilNs = nowNs + Math.max(MINIMUM_LIFETIME_NS, lifetimeNs);
    this.#names.set(key, [...known.slice(-15), { name, untilNs }]);
    if (this.#names.size <= MAXIMUM_LEARNED) return;
    const [oldest] = this.#names.keys();
    if (oldest !== undefined) this.#names.delete(oldest);
  }

  #targetMatches(target: AccessRule["target"], address: IpAddress): boolean {
    if (target === undefined) return true;
    if ("range" in target) {
      const { range } = target;
      return range.prefixBits === address.length * 8
        ? sameAddress(address, range.address)
        : inRange(address, range);
    }
    const nowNs = this.#nowNs();
    const names = this.#names.get(addressKey(address)) ?? [];
    return names.some(({ name, untilNs }) => untilNs > nowNs && nameMatches(target.name, name));
  }
}
