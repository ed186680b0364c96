import type { Frame } from "../../host/ethernet-port.ts";
import { readU16, readU32, writeU16, writeU32 } from "../big-endian.ts";
import { checksum, foldSum, pseudoHeaderSum } from "../ip/checksum.ts";
import { createIpFrame, type IpPacket, type LinkAddresses, PROTOCOL_TCP } from "../ip/ip-packet.ts";
import type { UdpEndpoint } from "../ip/udp.ts";

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;

const HEADER_BYTES = 20;
/** Data of so many bytes are not copied into the frame. */
const LEAST_SEPARATE_BYTES = 1024;

/** One segment (RFC 9293, 3.1). Urgent data is taken as ordinary data. */
export interface TcpSegment {
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly flags: number;
  /** As it stands in the header: not scaled. */
  readonly window: number;
  readonly payload: Uint8Array;
  /** Only with SYN. */
  readonly maximumSegmentBytes?: number;
  /** The shift count of RFC 7323; only with SYN. */
  readonly windowScale?: number;
}

export interface TcpPorts {
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** Reads a segment; undefined when it is malformed. `checksumLeft`: it is not computed yet, so it is not checked. */
export function parseTcp(packet: IpPacket, checksumLeft: boolean): (TcpSegment & TcpPorts) | undefined {
  const { payload: bytes } = packet;
  if (bytes.length < HEADER_BYTES) return undefined;
  const headerBytes = (bytes[12]! >> 4) * 4;
  if (headerBytes < HEADER_BYTES || headerBytes > bytes.length) return undefined;
  if (!checksumLeft) {
    const pseudo = pseudoHeaderSum(packet.source, packet.destination, PROTOCOL_TCP, bytes.length);
    if (checksum(bytes, 0, bytes.length, pseudo) !== 0) return undefined;
  }
  const flags = bytes[13]!;
  return {
    sourcePort: readU16(bytes, 0),
    destinationPort: readU16(bytes, 2),
    sequence: readU32(bytes, 4),
    acknowledgement: readU32(bytes, 8),
    flags,
    window: readU16(bytes, 14),
    payload: bytes.subarray(headerBytes),
    ...((flags & SYN) === 0 ? undefined : parseOptions(bytes.subarray(HEADER_BYTES, headerBytes))),
  };
}

function parseOptions(options: Uint8Array): Pick<TcpSegment, "maximumSegmentBytes" | "windowScale"> {
  const found: { maximumSegmentBytes?: number; windowScale?: number } = {};
  for (let at = 0; at < options.length; ) {
    const kind = options[at]!;
    if (kind === 0) break;
    if (kind === 1) {
      at++;
      continue;
    }
    const length = options[at + 1] ?? 0;
    if (length < 2 || at + length > options.length) break;
    if (kind === 2 && length === 4) found.maximumSegmentBytes = readU16(options, at + 2);
    if (kind === 3 && length === 3) found.windowScale = Math.min(14, options[at + 2]!);
    at += length;
  }
  return found;
}

/** The frame of a segment. Its checksum, and cutting a long payload to `segmentBytes` each, are left to the wire. */
export function tcpFrame(
  link: LinkAddresses,
  from: UdpEndpoint,
  to: UdpEndpoint,
  segment: TcpSegment,
  segmentBytes: number,
): Frame {
  const options = optionBytes(segment);
  const length = HEADER_BYTES + options.length + segment.payload.length;
  const header = { source: from.address, destination: to.address, protocol: PROTOCOL_TCP };
  const dataBytes = segment.payload.length >= LEAST_SEPARATE_BYTES ? segment.payload.length : 0;
  const { bytes, payloadAt: at } = createIpFrame(link, header, length, dataBytes);
  writeU16(bytes, at, from.port);
  writeU16(bytes, at + 2, to.port);
  writeU32(bytes, at + 4, segment.sequence);
  writeU32(bytes, at + 8, segment.acknowledgement);
  bytes[at + 12] = ((HEADER_BYTES + options.length) / 4) << 4;
  bytes[at + 13] = segment.flags;
  writeU16(bytes, at + 14, segment.window);
  writeU16(bytes, at + 16, foldSum(pseudoHeaderSum(from.address, to.address, PROTOCOL_TCP, length)));
  bytes.set(options, at + HEADER_BYTES);
  if (dataBytes === 0) bytes.set(segment.payload, at + HEADER_BYTES + options.length);
  const isLong = segment.payload.length > segmentBytes;
  return {
    bytes,
    ...(dataBytes > 0 && { data: segment.payload }),
    offload: { checksumStart: at, checksumOffset: 16, segmentBytes: isLong ? segmentBytes : 0 },
  };
}

function optionBytes({ maximumSegmentBytes: mss, windowScale }: TcpSegment): readonly number[] {
  const scale = windowScale === undefined ? [] : [1, 3, 3, windowScale];
  return mss === undefined ? scale : [2, 4, mss >> 8, mss & 0xff, ...scale];
}
