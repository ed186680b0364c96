import {
  type AddressRange,
  type IpAddress,
  inRange,
  isRoutable,
  parseIp,
  parseRange,
  sameAddress,
} from "../ip/ip-address.ts";
import { type MacAddress, parseMac } from "../link/mac-address.ts";

/**
 * The layout that users of QEMU's user-mode network know. The IPv6 prefix is ours: QEMU's, fec0::/64, is of a kind
 * that RFC 3879 has withdrawn, and fd00::/64 is what many a real network has.
 *
 *     10.0.2.2    fd10:0:2::2    the gateway; to the guest, also the host itself
 *     10.0.2.3    fd10:0:2::3    the name server
 *     10.0.2.15   by prefix      the first guest
 *     10.0.2.220                 the first service, see services.ts
 */
export const GATEWAY_MAC: MacAddress = parseMac("52:55:0a:00:02:02")!;
export const SUBNET: AddressRange = parseRange("10.0.2.0/24")!;
export const SUBNET_MASK: IpAddress = parseIp("255.255.255.0")!;
export const GATEWAY: IpAddress = parseIp("10.0.2.2")!;
export const NAME_SERVER: IpAddress = parseIp("10.0.2.3")!;
export const FIRST_GUEST: IpAddress = parseIp("10.0.2.15")!;
export const GUEST_COUNT = 200;
const FIRST_SERVICE: IpAddress = parseIp("10.0.2.220")!;
export const MOST_SERVICES = 32;

export const PREFIX: AddressRange = parseRange("fd10:0:2::/64")!;
export const GATEWAY_V6: IpAddress = parseIp("fd10:0:2::2")!;
export const NAME_SERVER_V6: IpAddress = parseIp("fd10:0:2::3")!;
export const GATEWAY_LINK_LOCAL: IpAddress = parseIp("fe80::2")!;
const LINK_LOCAL: AddressRange = parseRange("fe80::/10")!;

const OWN = [GATEWAY, NAME_SERVER, GATEWAY_V6, NAME_SERVER_V6, GATEWAY_LINK_LOCAL];

/** True for the addresses at which the gateway itself answers. */
export function isOwnAddress(address: IpAddress): boolean {
  return OWN.some((own) => sameAddress(own, address)) || isService(address);
}

/** True for the addresses that are kept for services. */
export function isService(address: IpAddress): boolean {
  const number = address.length === 4 && inRange(address, SUBNET) ? address[3]! - FIRST_SERVICE[3]! : -1;
  return number >= 0 && number < MOST_SERVICES;
}

/** @param number From 0. */
export function serviceAddress(number: number): IpAddress {
  const address = FIRST_SERVICE.slice();
  address[3]! += number;
  return address;
}

export function isGateway(address: IpAddress): boolean {
  return sameAddress(address, address.length === 4 ? GATEWAY : GATEWAY_V6);
}

export function isNameServer(address: IpAddress): boolean {
  return sameAddress(address, address.length === 4 ? NAME_SERVER : NAME_SERVER_V6);
}

/** True for addresses that stand on the guest's own side of the gateway. */
export function isLocal(address: IpAddress): boolean {
  return inRange(address, SUBNET) || inRange(address, PREFIX);
}

/** True for an address that a guest may send from. */
export function isGuestAddress(address: IpAddress): boolean {
  return (isLocal(address) || inRange(address, LINK_LOCAL)) && !isOwnAddress(address);
}

/** True for an address out in the world, to which the gateway may connect. */
export function isOutside(address: IpAddress): boolean {
  return !isLocal(address) && isRoutable(address);
}
