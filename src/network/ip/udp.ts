import type { Frame } from "../../host/ethernet-port.ts";
import { readU16, writeU16 } from "../big-endian.ts";
import { MTU } from "../link/ethernet.ts";
import { addToSum, checksum, foldSum, pseudoHeaderSum } from "./checksum.ts";
import type { IpAddress } from "./ip-address.ts";
import { createIpFrame, type IpPacket, type LinkAddresses, PROTOCOL_UDP } from "./ip-packet.ts";

const HEADER_BYTES = 8;

/** A datagram as its receiver sees it. */
export interface UdpDatagram {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

/** Reads a datagram; undefined when it is malformed. `checksumLeft`: it is not computed, so it is not checked. */
export function parseUdp(packet: IpPacket, checksumLeft: boolean): UdpDatagram | undefined {
  const { payload } = packet;
  if (payload.length < HEADER_BYTES) return undefined;
  const length = readU16(payload, 4);
  if (length < HEADER_BYTES || length > payload.length) return undefined;
  const given = readU16(payload, 6);
  // Without a checksum only IPv4 may send (RFC 8200, 8.1).
  if (given === 0 && packet.source.length === 16 && !checksumLeft) return undefined;
  if (given !== 0 && !checksumLeft) {
    const pseudo = pseudoHeaderSum(packet.source, packet.destination, PROTOCOL_UDP, length);
    if (checksum(payload, 0, length, pseudo) !== 0) return undefined;
  }
  return {
    sourcePort: readU16(payload, 0),
    destinationPort: readU16(payload, 2),
    payload: payload.subarray(HEADER_BYTES, length),
  };
}

/** An address with a port. */
export interface UdpEndpoint {
  readonly address: IpAddress;
  readonly port: number;
}

let identification = 0;

/** The frames of a datagram: one, or the fragments of one that is too long for the wire. */
export function udpFrames(
  link: LinkAddresses,
  from: UdpEndpoint,
  to: UdpEndpoint,
  payload: Uint8Array,
): Frame[] {
  const length = HEADER_BYTES + payload.length;
  const header = { source: from.address, destination: to.address, protocol: PROTOCOL_UDP };
  const datagram = new Uint8Array(length);
  writeU16(datagram, 0, from.port);
  writeU16(datagram, 2, to.port);
  writeU16(datagram, 4, length);
  datagram.set(payload, HEADER_BYTES);
  const pseudo = pseudoHeaderSum(from.address, to.address, PROTOCOL_UDP, length);
  const sum = ~foldSum(addToSum(pseudo, datagram, 0, length)) & 0xffff;
  writeU16(datagram, 6, sum === 0 ? 0xffff : sum);
  const roomBytes = MTU - (from.address.length === 16 ? 40 : 20);
  if (length <= roomBytes) {
    const { bytes, payloadAt } = createIpFrame(link, header, length);
    bytes.set(datagram, payloadAt);
    return [{ bytes }];
  }
  identification = (identification + 1) & 0xffff;
  // Fragments begin at multiples of eight bytes; IPv6 needs eight more for its header.
  const pieceBytes = (roomBytes - 8) & ~7;
  const frames: Frame[] = [];
  for (let offsetBytes = 0; offsetBytes < length; offsetBytes += pieceBytes) {
    const piece = datagram.subarray(offsetBytes, offsetBytes + pieceBytes);
    const fragment = { identification, offsetBytes, moreFollow: offsetBytes + pieceBytes < length };
    const { bytes, payloadAt } = createIpFrame(link, { ...header, fragment }, piece.length);
    bytes.set(piece, payloadAt);
    frames.push({ bytes });
  }
  return frames;
}
