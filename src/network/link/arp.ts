import type { Frame } from "../../host/ethernet-port.ts";
import { readU16, writeU16 } from "../big-endian.ts";
import { type IpAddress, sameAddress } from "../ip/ip-address.ts";
import { ETHERNET_HEADER_BYTES, ETHERTYPE_ARP, ETHERTYPE_IPV4 } from "./ethernet.ts";
import { BROADCAST_MAC, isMulticastMac, type MacAddress } from "./mac-address.ts";

export const ARP_REQUEST = 1;
export const ARP_REPLY = 2;
const ARP_BYTES = 28;

/** A message of the Address Resolution Protocol for IPv4 on Ethernet (RFC 826). */
export interface ArpMessage {
  readonly operation: number;
  readonly senderMac: MacAddress;
  readonly senderIp: IpAddress;
  readonly targetMac: MacAddress;
  readonly targetIp: IpAddress;
}

/** Reads the message in an Ethernet frame; undefined when it is malformed, or claims a group's address. */
export function parseArp(frame: Uint8Array): ArpMessage | undefined {
  const arp = frame.subarray(ETHERNET_HEADER_BYTES);
  if (arp.length < ARP_BYTES || readU16(arp, 0) !== 1 || readU16(arp, 2) !== ETHERTYPE_IPV4) return undefined;
  if (arp[4] !== 6 || arp[5] !== 4 || isMulticastMac(arp.subarray(8, 14))) return undefined;
  return {
    operation: readU16(arp, 6),
    senderMac: arp.slice(8, 14),
    senderIp: arp.slice(14, 18),
    targetMac: arp.slice(18, 24),
    targetIp: arp.slice(24, 28),
  };
}

/** A reply goes to its target; a request to everybody. */
export function arpFrame(message: ArpMessage): Frame {
  const bytes = new Uint8Array(ETHERNET_HEADER_BYTES + ARP_BYTES);
  bytes.set(message.operation === ARP_REPLY ? message.targetMac : BROADCAST_MAC, 0);
  bytes.set(message.senderMac, 6);
  writeU16(bytes, 12, ETHERTYPE_ARP);
  const arp = bytes.subarray(ETHERNET_HEADER_BYTES);
  writeU16(arp, 0, 1);
  writeU16(arp, 2, ETHERTYPE_IPV4);
  arp[4] = 6;
  arp[5] = 4;
  writeU16(arp, 6, message.operation);
  arp.set(message.senderMac, 8);
  arp.set(message.senderIp, 14);
  arp.set(message.targetMac, 18);
  arp.set(message.targetIp, 24);
  return { bytes };
}

/** The answer of a station with `mac` and `ip`; undefined when it was not asked. */
export function answerArp(message: ArpMessage, mac: MacAddress, ip: IpAddress): Frame | undefined {
  if (message.operation !== ARP_REQUEST || !sameAddress(message.targetIp, ip)) return undefined;
  return arpFrame({
    operation: ARP_REPLY,
    senderMac: mac,
    senderIp: ip,
    targetMac: message.senderMac,
    targetIp: message.senderIp,
  });
}
