/** Four bytes for IPv4, sixteen for IPv6. */
export type IpAddress = Uint8Array;

/** Reads "10.0.2.2" or "fd00::2"; undefined for anything else. A zone is not taken. */
export function parseIp(text: string): IpAddress | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

function parseIpv4(text: string): IpAddress | undefined {
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) return undefined;
  const parts = text.split(".").map(Number);
  return parts.every((part) => part <= 255) ? Uint8Array.from(parts) : undefined;
}

function parseIpv6(text: string): IpAddress | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail] = [groups(halves[0]!), groups(halves[1] ?? "")];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 16 - head.length - tail.length;
  if (halves.length === 2 ? missing < 2 : missing !== 0) return undefined;
  return Uint8Array.from([...head, ...new Array<number>(missing).fill(0), ...tail]);
}

/** Bytes of groups between colons; the last may be an IPv4 address. */
function groups(text: string): number[] | undefined {
  if (text === "") return [];
  const bytes: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (part.includes(".")) {
      const embedded = index === parts.length - 1 ? parseIpv4(part) : undefined;
      if (embedded === undefined) return undefined;
      bytes.push(...embedded);
    } else {
      if (!/^[0-9a-f]{1,4}$/i.test(part)) return undefined;
      const group = Number.parseInt(part, 16);
      bytes.push(group >> 8, group & 0xff);
    }
  }
  return bytes;
}

/** The text form; for IPv6 that of RFC 5952. */
export function formatIp(address: IpAddress): string {
  if (address.length === 4) return address.join(".");
  const parts = Array.from({ length: 8 }, (_, i) =>
    ((address[2 * i]! << 8) | address[2 * i + 1]!).toString(16),
  );
  const zeros = longestZeroRun(parts);
  if (zeros.length < 2) return parts.join(":");
  const head = parts.slice(0, zeros.start).join(":");
  return `${head}::${parts.slice(zeros.start + zeros.length).join(":")}`;
}

function longestZeroRun(parts: readonly string[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < parts.length; start++) {
    let length = 0;
    while (parts[start + length] === "0") length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}

export function sameAddress(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** What a Map can have as its key. */
export function addressKey(address: IpAddress): string {
  return String.fromCharCode.apply(null, address as unknown as number[]);
}

/** The reverse of `addressKey`. */
export function addressOfKey(key: string): IpAddress {
  return Uint8Array.from(key, (letter) => letter.charCodeAt(0));
}

/** A block of addresses, such as 10.0.2.0/24. */
export interface AddressRange {
  readonly address: IpAddress;
  readonly prefixBits: number;
}

/** Reads "10.0.0.0/8", or one address. */
export function parseRange(text: string): AddressRange | undefined {
  const [addressText = "", bitsText, ...rest] = text.split("/");
  const address = parseIp(addressText);
  if (address === undefined || rest.length > 0) return undefined;
  if (bitsText === undefined) return { address, prefixBits: address.length * 8 };
  if (!/^\d{1,3}$/.test(bitsText) || Number(bitsText) > address.length * 8) return undefined;
  return { address, prefixBits: Number(bitsText) };
}

export function inRange(address: IpAddress, range: AddressRange): boolean {
  if (address.length !== range.address.length) return false;
  const whole = range.prefixBits >> 3;
  for (let i = 0; i < whole; i++) if (address[i] !== range.address[i]) return false;
  const rest = range.prefixBits & 7;
  return rest === 0 || (address[whole]! ^ range.address[whole]!) >> (8 - rest) === 0;
}

/**
 * Ranges in which no host stands that a guest could mean: this machine itself, multicast, link-local, and
 * IPv6 forms of IPv4 addresses, by which rules on IPv4 addresses could be passed by.
 */
const NOT_ROUTABLE = [
  ..."0.0.0.0/8 127.0.0.0/8 169.254.0.0/16 224.0.0.0/3".split(" "),
  ..."::/96 ::ffff:0:0/96 64:ff9b::/96 64:ff9b:1::/48 2002::/16 fe80::/10 ff00::/8".split(" "),
].map((text) => parseRange(text)!);

/** False for addresses that a gateway must never connect to on a guest's behalf. */
export function isRoutable(address: IpAddress): boolean {
  return !NOT_ROUTABLE.some((range) => inRange(address, range));
}
