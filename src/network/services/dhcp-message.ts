import { readU16, readU32, writeU16, writeU32 } from "../big-endian.ts";
import type { IpAddress } from "../ip/ip-address.ts";
import type { MacAddress } from "../link/mac-address.ts";

export const DHCP_SERVER_PORT = 67;
export const DHCP_CLIENT_PORT = 68;

/** Message types of RFC 2132, 9.6. */
export const DISCOVER = 1;
export const OFFER = 2;
export const REQUEST = 3;
export const DECLINE = 4;
export const ACKNOWLEDGE = 5;
export const REFUSE = 6;
export const RELEASE = 7;
export const INFORM = 8;

/** Options of RFC 2132. */
export const OPTION_SUBNET_MASK = 1;
export const OPTION_ROUTER = 3;
export const OPTION_DNS = 6;
export const OPTION_MTU = 26;
const OPTION_REQUESTED_ADDRESS = 50;
export const OPTION_LEASE_TIME = 51;
const OPTION_MESSAGE_TYPE = 53;
const OPTION_SERVER = 54;
const END = 255;

const OPTIONS_AT = 240;
const MAGIC_COOKIE = 0x63825363;
/** Old clients take no shorter message (RFC 1542, 2.1). */
const MINIMUM_BYTES = 300;

/** A client's message (RFC 2131). */
export interface DhcpRequest {
  readonly type: number;
  readonly transaction: number;
  readonly flags: number;
  readonly clientAddress: IpAddress;
  readonly mac: MacAddress;
  readonly requested: IpAddress | undefined;
  readonly server: IpAddress | undefined;
}

/** Reads a client's message; undefined when it is malformed. */
export function parseDhcp(bytes: Uint8Array): DhcpRequest | undefined {
  if (bytes.length < OPTIONS_AT || bytes[0] !== 1 || bytes[1] !== 1 || bytes[2] !== 6) return undefined;
  if (readU32(bytes, 236) !== MAGIC_COOKIE) return undefined;
  const options = new Map<number, Uint8Array>();
  for (let at = OPTIONS_AT; at < bytes.length && bytes[at] !== END; ) {
    if (bytes[at] === 0) {
      at++;
      continue;
    }
    const length = bytes[at + 1];
    if (length === undefined || at + 2 + length > bytes.length) return undefined;
    options.set(bytes[at]!, bytes.slice(at + 2, at + 2 + length));
    at += 2 + length;
  }
  const type = options.get(OPTION_MESSAGE_TYPE);
  if (type?.length !== 1) return undefined;
  const address = (option: number) => {
    const value = options.get(option);
    return value?.length === 4 ? value : undefined;
  };
  return {
    type: type[0]!,
    transaction: readU32(bytes, 4),
    flags: readU16(bytes, 10),
    clientAddress: bytes.slice(12, 16),
    mac: bytes.slice(28, 34),
    requested: address(OPTION_REQUESTED_ADDRESS),
    server: address(OPTION_SERVER),
  };
}

/** The server's answer to `request`. */
export function writeDhcp(
  request: DhcpRequest,
  type: number,
  server: IpAddress,
  address: IpAddress | undefined,
  options: readonly (readonly [option: number, value: ArrayLike<number>])[],
): Uint8Array {
  const all = [[OPTION_MESSAGE_TYPE, [type]] as const, [OPTION_SERVER, server] as const, ...options];
  const length = OPTIONS_AT + 1 + all.reduce((sum, [, value]) => sum + 2 + value.length, 0);
  const bytes = new Uint8Array(Math.max(MINIMUM_BYTES, length));
  bytes.set([2, 1, 6, 0]);
  writeU32(bytes, 4, request.transaction);
  writeU16(bytes, 10, request.flags);
  bytes.set(request.clientAddress, 12);
  if (address !== undefined) bytes.set(address, 16);
  bytes.set(server, 20);
  bytes.set(request.mac, 28);
  writeU32(bytes, 236, MAGIC_COOKIE);
  let at = OPTIONS_AT;
  for (const [option, value] of all) {
    bytes[at] = option;
    bytes[at + 1] = value.length;
    bytes.set(value, at + 2);
    at += 2 + value.length;
  }
  bytes[at] = END;
  return bytes;
}
