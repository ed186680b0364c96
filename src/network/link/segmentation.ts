import { type Frame, frameLength } from "../../host/ethernet-port.ts";
import { readU16, readU32, writeU16, writeU32 } from "../big-endian.ts";
import { addToSum, checksum, foldSum } from "../ip/checksum.ts";
import { ETHERNET_HEADER_BYTES, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "./ethernet.ts";

const TCP_HEADER_BYTES = 20;
const FIN_AND_PSH = 0x09;
const CWR = 0x80;

/**
 * Does what a frame's sender has left undone: the frames as they would be on
 * a wire. A frame without an offload comes back as it is; one whose offload
 * does not fit its bytes gives none.
 */
export function plainFrames(frame: Frame): readonly Uint8Array[] {
  const { offload } = frame;
  const bytes = wholeFrame(frame);
  if (offload === undefined) return [bytes];
  const { checksumStart, checksumOffset, segmentBytes } = offload;
  const field = checksumStart + checksumOffset;
  if (checksumStart < ETHERNET_HEADER_BYTES || field + 2 > bytes.length) return [];
  if (segmentBytes === 0) return [withChecksum(bytes.slice(), checksumStart, field)];
  if (checksumStart + TCP_HEADER_BYTES > bytes.length) return [];
  const payload = checksumStart + (bytes[checksumStart + 12]! >> 4) * 4;
  if (payload < checksumStart + TCP_HEADER_BYTES || payload > bytes.length) return [];
  if (payload + segmentBytes >= bytes.length) return [withChecksum(bytes.slice(), checksumStart, field)];
  return cut(bytes, checksumStart, payload, segmentBytes);
}

function wholeFrame(frame: Frame): Uint8Array {
  if (frame.data === undefined) return frame.bytes;
  const whole = new Uint8Array(frameLength(frame));
  whole.set(frame.bytes);
  whole.set(frame.data, frame.bytes.length);
  return whole;
}

function cut(bytes: Uint8Array, tcp: number, payload: number, segmentBytes: number): Uint8Array[] {
  const etherType = readU16(bytes, 12);
  const isIpv4 = etherType === ETHERTYPE_IPV4 && tcp >= ETHERNET_HEADER_BYTES + 20;
  const isIpv6 = etherType === ETHERTYPE_IPV6 && tcp >= ETHERNET_HEADER_BYTES + 40;
  if (!isIpv4 && !isIpv6) return [];
  // The pseudo-header's sum has the length of the whole; each segment has its own.
  const wholeLength = bytes.length - tcp;
  const sequence = readU32(bytes, tcp + 4);
  const frames: Uint8Array[] = [];
  for (let from = payload; from < bytes.length; from += segmentBytes) {
    const to = Math.min(bytes.length, from + segmentBytes);
    const segment = new Uint8Array(payload + to - from);
    segment.set(bytes.subarray(0, payload));
    segment.set(bytes.subarray(from, to), payload);
    writeU32(segment, tcp + 4, sequence + from - payload);
    // Only the last segment ends the stream or is pushed, only the first tells of a reduced window (RFC 3168).
    if (to < bytes.length) segment[tcp + 13]! &= ~FIN_AND_PSH;
    if (from > payload) segment[tcp + 13]! &= ~CWR;
    const length = segment.length - tcp;
    // In ones' complement, what is added to the complement of a length takes the length away.
    const pseudo = foldSum(readU16(bytes, tcp + 16) + (~foldSum(wholeLength) & 0xffff) + length);
    writeU16(segment, tcp + 16, pseudo);
    if (isIpv4) correctIpv4(segment, frames.length);
    else writeU16(segment, ETHERNET_HEADER_BYTES + 4, segment.length - ETHERNET_HEADER_BYTES - 40);
    frames.push(withChecksum(segment, tcp, tcp + 16));
  }
  return frames;
}

function correctIpv4(segment: Uint8Array, index: number): void {
  const ip = ETHERNET_HEADER_BYTES;
  writeU16(segment, ip + 2, segment.length - ip);
  writeU16(segment, ip + 4, readU16(segment, ip + 4) + index);
  writeU16(segment, ip + 10, 0);
  writeU16(segment, ip + 10, checksum(segment, ip, ip + (segment[ip]! & 15) * 4));
}

/** The field takes part in its own sum: it has the pseudo-header's. */
function withChecksum(bytes: Uint8Array, from: number, field: number): Uint8Array {
  const value = ~foldSum(addToSum(0, bytes, from, bytes.length)) & 0xffff;
  // UDP writes 0xffff for 0, which means "none"; to TCP both are the same.
  writeU16(bytes, field, value === 0 ? 0xffff : value);
  return bytes;
}
