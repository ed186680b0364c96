import { readU16, readU32, writeU16, writeU32 } from "../big-endian.ts";
import { ETHERNET_HEADER_BYTES, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "../link/ethernet.ts";
import type { MacAddress } from "../link/mac-address.ts";
import { checksum } from "./checksum.ts";
import type { IpAddress } from "./ip-address.ts";

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const PROTOCOL_ICMPV6 = 58;

/** An IPv4 or IPv6 packet, its header and any extension headers taken off. */
export interface IpPacket {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** Of the payload: IPv4's protocol, or the last next header of IPv6. */
  readonly protocol: number;
  readonly hopLimit: number;
  /** What follows the headers; shares its memory with the frame. */
  readonly payload: Uint8Array;
  /** From the IP header on, as it came: what an ICMP error quotes. */
  readonly whole: Uint8Array;
  /** Absent for a whole packet. */
  readonly fragment?: Fragment;
}

/** Where a fragment's payload belongs. */
export interface Fragment {
  readonly identification: number;
  readonly offsetBytes: number;
  readonly moreFollow: boolean;
}

/** Reads the packet in an Ethernet frame; undefined when it is malformed. IPv4's header checksum is checked. */
export function parseIpFrame(frame: Uint8Array): IpPacket | undefined {
  const whole = frame.subarray(ETHERNET_HEADER_BYTES);
  if (whole.length === 0) return undefined;
  const version = whole[0]! >> 4;
  const etherType = readU16(frame, 12);
  if (version === 4 && etherType === ETHERTYPE_IPV4) return parseIpv4(whole);
  if (version === 6 && etherType === ETHERTYPE_IPV6) return parseIpv6(whole);
  return undefined;
}

function parseIpv4(bytes: Uint8Array): IpPacket | undefined {
  if (bytes.length < 20) return undefined;
  const headerBytes = (bytes[0]! & 15) * 4;
  const totalBytes = readU16(bytes, 2);
  if (headerBytes < 20 || totalBytes < headerBytes || totalBytes > bytes.length) return undefined;
  if (checksum(bytes, 0, headerBytes) !== 0) return undefined;
  const flags = readU16(bytes, 6);
  const packet: IpPacket = {
    source: bytes.subarray(12, 16),
    destination: bytes.subarray(16, 20),
    protocol: bytes[9]!,
    hopLimit: bytes[8]!,
    payload: bytes.subarray(headerBytes, totalBytes),
    whole: bytes.subarray(0, totalBytes),
  };
  const offsetBytes = (flags & 0x1fff) * 8;
  const moreFollow = (flags & 0x2000) !== 0;
  if (offsetBytes === 0 && !moreFollow) return packet;
  return { ...packet, fragment: { identification: readU16(bytes, 4), offsetBytes, moreFollow } };
}

const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION_OPTIONS = 60;

function parseIpv6(bytes: Uint8Array): IpPacket | undefined {
  if (bytes.length < 40) return undefined;
  const end = 40 + readU16(bytes, 4);
  if (end > bytes.length) return undefined;
  let next = bytes[6]!;
  let at = 40;
  let fragment: Fragment | undefined;
  while (next === HOP_BY_HOP || next === ROUTING || next === FRAGMENT || next === DESTINATION_OPTIONS) {
    if (at + 8 > end) return undefined;
    const lengthBytes = next === FRAGMENT ? 8 : (bytes[at + 1]! + 1) * 8;
    if (next === FRAGMENT) {
      if (fragment !== undefined) return undefined;
      const field = readU16(bytes, at + 2);
      fragment = {
        identification: readU32(bytes, at + 4),
        offsetBytes: field & 0xfff8,
        moreFollow: (field & 1) !== 0,
      };
    }
    next = bytes[at]!;
    at += lengthBytes;
    if (at > end) return undefined;
    // What follows a fragment's header is only a piece; further headers are in the whole.
    if (fragment !== undefined) break;
  }
  const packet: IpPacket = {
    source: bytes.subarray(8, 24),
    destination: bytes.subarray(24, 40),
    protocol: next,
    hopLimit: bytes[7]!,
    payload: bytes.subarray(at, end),
    whole: bytes.subarray(0, end),
  };
  // A packet of one fragment is whole (RFC 6946).
  if (fragment === undefined || (fragment.offsetBytes === 0 && !fragment.moreFollow)) return packet;
  return { ...packet, fragment };
}

/** Who sends a frame and who is to have it. */
export interface LinkAddresses {
  readonly sourceMac: MacAddress;
  readonly destinationMac: MacAddress;
}

/** What a new packet's headers say. */
export interface IpHeader {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: number;
  /** 64 if absent. */
  readonly hopLimit?: number;
  readonly fragment?: Fragment;
}

/**
 * A new frame with its Ethernet and IP headers written and room for `payloadBytes` from `payloadAt` on, but for the
 * last `separateBytes` of them.
 */
export function createIpFrame(
  link: LinkAddresses,
  header: IpHeader,
  payloadBytes: number,
  separateBytes = 0,
): { bytes: Uint8Array; payloadAt: number } {
  const isIpv6 = header.source.length === 16;
  const extensionBytes = isIpv6 && header.fragment !== undefined ? 8 : 0;
  const payloadAt = ETHERNET_HEADER_BYTES + (isIpv6 ? 40 : 20) + extensionBytes;
  const bytes = new Uint8Array(payloadAt + payloadBytes - separateBytes);
  bytes.set(link.destinationMac, 0);
  bytes.set(link.sourceMac, 6);
  writeU16(bytes, 12, isIpv6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
  if (isIpv6) writeIpv6Header(bytes, header, payloadBytes);
  else writeIpv4Header(bytes, header, payloadBytes);
  return { bytes, payloadAt };
}

function writeIpv4Header(bytes: Uint8Array, header: IpHeader, payloadBytes: number): void {
  const { fragment } = header;
  const at = ETHERNET_HEADER_BYTES;
  bytes[at] = 0x45;
  writeU16(bytes, at + 2, 20 + payloadBytes);
  if (fragment === undefined) writeU16(bytes, at + 6, 0x4000);
  else {
    writeU16(bytes, at + 4, fragment.identification);
    writeU16(bytes, at + 6, (fragment.offsetBytes / 8) | (fragment.moreFollow ? 0x2000 : 0));
  }
  bytes[at + 8] = header.hopLimit ?? 64;
  bytes[at + 9] = header.protocol;
  bytes.set(header.source, at + 12);
  bytes.set(header.destination, at + 16);
  writeU16(bytes, at + 10, checksum(bytes, at, at + 20));
}

function writeIpv6Header(bytes: Uint8Array, header: IpHeader, payloadBytes: number): void {
  const { fragment } = header;
  const at = ETHERNET_HEADER_BYTES;
  bytes[at] = 0x60;
  writeU16(bytes, at + 4, payloadBytes + (fragment === undefined ? 0 : 8));
  bytes[at + 6] = fragment === undefined ? header.protocol : FRAGMENT;
  bytes[at + 7] = header.hopLimit ?? 64;
  bytes.set(header.source, at + 8);
  bytes.set(header.destination, at + 24);
  if (fragment === undefined) return;
  bytes[at + 40] = header.protocol;
  writeU16(bytes, at + 42, fragment.offsetBytes | (fragment.moreFollow ? 1 : 0));
  writeU32(bytes, at + 44, fragment.identification);
}
