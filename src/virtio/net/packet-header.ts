import type { Frame, Offload } from "../../host/ethernet-port.ts";

/** struct virtio_net_hdr, with the field that counts buffers, which virtio 1 always has. */
export const HEADER_BYTES = 12;

const ETHERNET_HEADER_BYTES = 14;
const ETHERTYPE_IPV6 = 0x86dd;
const NEEDS_CSUM = 1;
const GSO_TCPV4 = 1;
const GSO_TCPV6 = 4;
const GSO_ECN = 0x80;

/**
 * Reads what the driver says of a frame it sends: undefined when nothing is
 * left undone, "broken" when it does not fit the frame.
 *
 * Source: virtio 1.2, "Packet Transmission".
 */
export function readPacketHeader(header: Uint8Array, frame: Uint8Array): Offload | undefined | "broken" {
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  const gsoType = view.getUint8(1) & ~GSO_ECN;
  if ((view.getUint8(0) & NEEDS_CSUM) === 0) return gsoType === 0 ? undefined : "broken";
  const checksumStart = view.getUint16(6, true);
  const checksumOffset = view.getUint16(8, true);
  if (checksumStart < ETHERNET_HEADER_BYTES || checksumStart + checksumOffset + 2 > frame.length)
    return "broken";
  if (gsoType === 0) return { checksumStart, checksumOffset, segmentBytes: 0 };
  const segmentBytes = view.getUint16(4, true);
  if (segmentBytes === 0 || checksumOffset !== 16) return "broken";
  return gsoType === (isIpv6(frame) ? GSO_TCPV6 : GSO_TCPV4)
    ? { checksumStart, checksumOffset, segmentBytes }
    : "broken";
}

/** The header of a frame for the driver, which spreads over `buffers`. */
export function packetHeader({ bytes, offload }: Frame, buffers: number): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint16(10, buffers, true);
  if (offload === undefined) return header;
  const { checksumStart, checksumOffset, segmentBytes } = offload;
  view.setUint8(0, NEEDS_CSUM);
  view.setUint16(6, checksumStart, true);
  view.setUint16(8, checksumOffset, true);
  if (segmentBytes === 0) return header;
  view.setUint8(1, isIpv6(bytes) ? GSO_TCPV6 : GSO_TCPV4);
  view.setUint16(2, checksumStart + ((bytes[checksumStart + 12] ?? 0) >> 4) * 4, true);
  view.setUint16(4, segmentBytes, true);
  return header;
}

export function isIpv6(frame: Uint8Array): boolean {
  return ((frame[12]! << 8) | frame[13]!) === ETHERTYPE_IPV6;
}
