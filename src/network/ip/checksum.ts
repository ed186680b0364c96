import type { IpAddress } from "./ip-address.ts";

/**
 * The ones' complement sum of RFC 1071 over `bytes[from..to)`, not folded and
 * not complemented, added to `sum`. At most 64 KiB, so that it stays exact.
 */
export function addToSum(sum: number, bytes: Uint8Array, from: number, to: number): number {
  let total = sum;
  let at = from;
  for (; at + 1 < to; at += 2) total += (bytes[at]! << 8) | bytes[at + 1]!;
  if (at < to) total += bytes[at]! << 8;
  return total;
}

/** Folds a sum to 16 bits; a checksum field is its complement. */
export function foldSum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000);
  return folded;
}

/** The checksum field for `bytes[from..to)`, in which the field itself is 0. */
export function checksum(bytes: Uint8Array, from: number, to: number, sum = 0): number {
  return ~foldSum(addToSum(sum, bytes, from, to)) & 0xffff;
}

/** The sum of the pseudo-header that UDP, TCP and ICMPv6 include; the same for IPv4 and IPv6 (RFC 8200, 8.1). */
export function pseudoHeaderSum(
  source: IpAddress,
  destination: IpAddress,
  protocol: number,
  lengthBytes: number,
): number {
  const addresses = addToSum(addToSum(0, source, 0, source.length), destination, 0, destination.length);
  return addresses + protocol + (lengthBytes >>> 16) + (lengthBytes & 0xffff);
}
