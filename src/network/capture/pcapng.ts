/**
 * Blocks of the pcapng format (IETF draft-ietf-opsawg-pcapng), in little-endian
 * byte order, as tcpdump and Wireshark read them.
 */

const SECTION_HEADER = 0x0a0d0d0a;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const INTERFACE_DESCRIPTION = 1;
const ENHANCED_PACKET = 6;
const LINKTYPE_ETHERNET = 1;
const OPTION_TIME_RESOLUTION = 9;
/** Negative powers of ten: nanoseconds. */
const NANOSECONDS = 9;
const OPTION_FLAGS = 2;

/** What a capture file begins with: a section with one Ethernet interface whose times count nanoseconds. */
export function captureHeader(longestFrameBytes: number): Uint8Array {
  const section = block(SECTION_HEADER, 16, (view) => {
    view.setUint32(0, BYTE_ORDER_MAGIC, true);
    view.setUint16(4, 1, true);
    view.setUint16(6, 0, true);
    view.setBigInt64(8, -1n, true); // the section's length is not told
  });
  const description = block(INTERFACE_DESCRIPTION, 20, (view) => {
    view.setUint16(0, LINKTYPE_ETHERNET, true);
    view.setUint32(4, longestFrameBytes, true);
    view.setUint16(8, OPTION_TIME_RESOLUTION, true);
    view.setUint16(10, 1, true);
    view.setUint8(12, NANOSECONDS);
  });
  const header = new Uint8Array(section.length + description.length);
  header.set(section);
  header.set(description, section.length);
  return header;
}

/** One frame. `timeNs` counts from 1970. `inbound`: it goes to the guest. */
export function captureFrame(frame: Uint8Array, timeNs: bigint, inbound: boolean): Uint8Array {
  const paddedBytes = (frame.length + 3) & ~3;
  return block(ENHANCED_PACKET, 20 + paddedBytes + 12, (view, bytes) => {
    view.setUint32(4, Number(timeNs >> 32n), true);
    view.setUint32(8, Number(timeNs & 0xffff_ffffn), true);
    view.setUint32(12, frame.length, true);
    view.setUint32(16, frame.length, true);
    bytes.set(frame, 20);
    view.setUint16(20 + paddedBytes, OPTION_FLAGS, true);
    view.setUint16(22 + paddedBytes, 4, true);
    view.setUint32(24 + paddedBytes, inbound ? 1 : 2, true);
  });
}

/** A block of `type` around a body of `bodyBytes`, a multiple of 4. */
function block(
  type: number,
  bodyBytes: number,
  fill: (view: DataView, bytes: Uint8Array) => void,
): Uint8Array {
  const bytes = new Uint8Array(12 + bodyBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, bytes.length, true);
  fill(new DataView(bytes.buffer, 8, bodyBytes), bytes.subarray(8, 8 + bodyBytes));
  view.setUint32(8 + bodyBytes, bytes.length, true);
  return bytes;
}
