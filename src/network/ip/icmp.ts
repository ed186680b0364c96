import type { Frame } from "../../host/ethernet-port.ts";
import { writeU16 } from "../big-endian.ts";
import { checksum, pseudoHeaderSum } from "./checksum.ts";
import type { IpAddress } from "./ip-address.ts";
import {
  createIpFrame,
  type IpPacket,
  type LinkAddresses,
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
} from "./ip-packet.ts";

/** Why a packet does not go on. */
export type Unreachable = "network" | "host" | "port" | "prohibited" | "hop-limit";

/** Type and code: of ICMP (RFC 792, RFC 1812) and of ICMPv6 (RFC 4443). */
const CODES: Record<Unreachable, { v4: readonly [number, number]; v6: readonly [number, number] }> = {
  network: { v4: [3, 0], v6: [1, 0] },
  host: { v4: [3, 1], v6: [1, 3] },
  port: { v4: [3, 3], v6: [1, 4] },
  prohibited: { v4: [3, 13], v6: [1, 1] },
  "hop-limit": { v4: [11, 0], v6: [3, 0] },
};

const ECHO_REQUEST = { v4: 8, v6: 128 };
const ECHO_REPLY = { v4: 0, v6: 129 };

/** Reads the message in a packet; undefined when it is malformed. `checksumLeft`: the checksum is not computed yet. */
export function parseIcmp(packet: IpPacket, checksumLeft = false): Uint8Array | undefined {
  const { payload, source, destination } = packet;
  const isIpv6 = source.length === 16;
  if (packet.protocol !== (isIpv6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP) || payload.length < 8) return undefined;
  const pseudo = isIpv6 ? pseudoHeaderSum(source, destination, PROTOCOL_ICMPV6, payload.length) : 0;
  return checksumLeft || checksum(payload, 0, payload.length, pseudo) === 0 ? payload : undefined;
}

export function isEchoRequest(packet: IpPacket, message: Uint8Array): boolean {
  return message[0] === (packet.source.length === 16 ? ECHO_REQUEST.v6 : ECHO_REQUEST.v4);
}

/** The answer to a ping. */
export function echoReply(link: LinkAddresses, request: IpPacket, message: Uint8Array): Frame {
  const reply = message.slice();
  reply[0] = request.source.length === 16 ? ECHO_REPLY.v6 : ECHO_REPLY.v4;
  return icmpFrame(link, request.destination, request.source, reply);
}

/**
 * Tells the sender of `packet` that it could not be delivered. `from` is who
 * says so; a network's stack takes a word about a connection from its peer or
 * any router.
 */
export function unreachable(link: LinkAddresses, from: IpAddress, packet: IpPacket, why: Unreachable): Frame {
  const isIpv6 = packet.source.length === 16;
  const [type, code] = CODES[why][isIpv6 ? "v6" : "v4"];
  const quoted = packet.whole.subarray(0, isIpv6 ? 1232 : 548);
  const message = new Uint8Array(8 + quoted.length);
  message[0] = type;
  message[1] = code;
  message.set(quoted, 8);
  return icmpFrame(link, from, packet.source, message);
}

/** A frame with `message`, whose checksum is computed here. */
export function icmpFrame(
  link: LinkAddresses,
  source: IpAddress,
  destination: IpAddress,
  message: Uint8Array,
  hopLimit = 64,
): Frame {
  const isIpv6 = source.length === 16;
  const protocol = isIpv6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP;
  const { bytes, payloadAt } = createIpFrame(
    link,
    { source, destination, protocol, hopLimit },
    message.length,
  );
  bytes.set(message, payloadAt);
  writeU16(bytes, payloadAt + 2, 0);
  const pseudo = isIpv6 ? pseudoHeaderSum(source, destination, protocol, message.length) : 0;
  writeU16(bytes, payloadAt + 2, checksum(bytes, payloadAt, bytes.length, pseudo));
  return { bytes };
}
