import type { Frame } from "../../host/ethernet-port.ts";
import { writeU16, writeU32 } from "../big-endian.ts";
import { MTU } from "../link/ethernet.ts";
import { isMulticastMac, type MacAddress } from "../link/mac-address.ts";
import { icmpFrame } from "./icmp.ts";
import type { AddressRange, IpAddress } from "./ip-address.ts";
import type { IpPacket } from "./ip-packet.ts";

// Types of ICMPv6 messages, and options, of RFC 4861.
const ROUTER_SOLICITATION = 133;
const ROUTER_ADVERTISEMENT = 134;
const NEIGHBOUR_SOLICITATION = 135;
const NEIGHBOUR_ADVERTISEMENT = 136;
const SOURCE_LINK_ADDRESS = 1;
const TARGET_LINK_ADDRESS = 2;
const PREFIX_INFORMATION = 3;
const MTU_OPTION = 5;
/** RFC 8106. */
const RECURSIVE_DNS_SERVER = 25;

/** All of neighbour discovery travels with it, so that nothing from behind a router passes. */
const HOP_LIMIT = 255;
const ROUTER_LIFETIME_S = 1800;
const PREFIX_LIFETIME_S = 86400;

/** A message of IPv6 neighbour discovery that a router has to answer or learn from. */
export type NeighbourMessage =
  | { readonly kind: "router-solicitation" }
  | { readonly kind: "solicitation"; readonly target: IpAddress; readonly senderMac: MacAddress | undefined }
  | {
      readonly kind: "advertisement";
      readonly target: IpAddress;
      readonly targetMac: MacAddress | undefined;
    };

/** Reads an ICMPv6 message; undefined when it is none of these, or malformed. */
export function parseNeighbourMessage(packet: IpPacket, message: Uint8Array): NeighbourMessage | undefined {
  if (packet.hopLimit !== HOP_LIMIT || message[1] !== 0) return undefined;
  if (message[0] === ROUTER_SOLICITATION) return { kind: "router-solicitation" };
  if (message.length < 24) return undefined;
  const target = message.slice(8, 24);
  if (message[0] === NEIGHBOUR_SOLICITATION) {
    return { kind: "solicitation", target, senderMac: linkAddressOption(message, SOURCE_LINK_ADDRESS) };
  }
  if (message[0] !== NEIGHBOUR_ADVERTISEMENT) return undefined;
  return { kind: "advertisement", target, targetMac: linkAddressOption(message, TARGET_LINK_ADDRESS) };
}

function linkAddressOption(message: Uint8Array, wanted: number): MacAddress | undefined {
  for (let at = 24; at + 8 <= message.length; ) {
    const lengthBytes = message[at + 1]! * 8;
    if (lengthBytes === 0) return undefined;
    if (message[at] === wanted) {
      const mac = message.slice(at + 2, at + 8);
      return isMulticastMac(mac) ? undefined : mac;
    }
    at += lengthBytes;
  }
  return undefined;
}

/** A router, as its neighbours are told of it. */
export interface Ipv6Router {
  readonly mac: MacAddress;
  readonly linkLocal: IpAddress;
  /** Of which every station makes an address of its own. */
  readonly prefix: AddressRange;
  readonly dnsServer: IpAddress;
}

const ALL_NODES = Uint8Array.of(0xff, 2, ...new Array<number>(13).fill(0), 1);

/** The Ethernet group for an IPv6 group (RFC 2464). */
function groupMac(address: IpAddress): MacAddress {
  return Uint8Array.of(0x33, 0x33, ...address.subarray(12));
}

/** Tells all stations of the router, the prefix, the link's MTU and the name server. */
export function routerAdvertisement(router: Ipv6Router): Frame {
  const message = new Uint8Array(16 + 8 + 32 + 8 + 24);
  message[0] = ROUTER_ADVERTISEMENT;
  message[4] = 64;
  writeU16(message, 6, ROUTER_LIFETIME_S);
  message.set([SOURCE_LINK_ADDRESS, 1], 16);
  message.set(router.mac, 18);
  message.set([PREFIX_INFORMATION, 4, router.prefix.prefixBits, 0xc0], 24); // on-link, for addresses
  writeU32(message, 28, PREFIX_LIFETIME_S);
  writeU32(message, 32, PREFIX_LIFETIME_S);
  message.set(router.prefix.address, 40);
  message.set([MTU_OPTION, 1], 56);
  writeU32(message, 60, MTU);
  message.set([RECURSIVE_DNS_SERVER, 3], 64);
  writeU32(message, 68, ROUTER_LIFETIME_S);
  message.set(router.dnsServer, 72);
  const link = { sourceMac: router.mac, destinationMac: groupMac(ALL_NODES) };
  return icmpFrame(link, router.linkLocal, ALL_NODES, message, HOP_LIMIT);
}

/** Answers a solicitation for `address`, which is the router's. A station that only tries an address has no own one yet. */
export function neighbourAdvertisement(
  mac: MacAddress,
  address: IpAddress,
  asker: { readonly mac: MacAddress; readonly address: IpAddress },
): Frame {
  const isProbe = asker.address.every((byte) => byte === 0);
  const message = new Uint8Array(32);
  message[0] = NEIGHBOUR_ADVERTISEMENT;
  message[4] = isProbe ? 0xa0 : 0xe0; // router, solicited, override
  message.set(address, 8);
  message.set([TARGET_LINK_ADDRESS, 1], 24);
  message.set(mac, 26);
  const destination = isProbe ? ALL_NODES : asker.address;
  const link = { sourceMac: mac, destinationMac: isProbe ? groupMac(ALL_NODES) : asker.mac };
  return icmpFrame(link, address, destination, message, HOP_LIMIT);
}

/** Asks who has `target`. */
export function neighbourSolicitation(mac: MacAddress, source: IpAddress, target: IpAddress): Frame {
  const group = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, ...target.subarray(13));
  const message = new Uint8Array(32);
  message[0] = NEIGHBOUR_SOLICITATION;
  message.set(target, 8);
  message.set([SOURCE_LINK_ADDRESS, 1], 24);
  message.set(mac, 26);
  return icmpFrame({ sourceMac: mac, destinationMac: groupMac(group) }, source, group, message, HOP_LIMIT);
}
