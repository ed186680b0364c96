import { expect, test } from "vitest";
import { parseIp } from "../../src/network/ip/ip-address.ts";
import { parseIpFrame } from "../../src/network/ip/ip-packet.ts";
import { plainFrames } from "../../src/network/link/segmentation.ts";
import { ACK, FIN, PSH, parseTcp, tcpFrame } from "../../src/network/tcp/segment.ts";
import { concat } from "./fake-guest.ts";

const link = { sourceMac: new Uint8Array(6).fill(2), destinationMac: new Uint8Array(6).fill(4) };
const payload = Uint8Array.from({ length: 4000 }, (_, i) => i & 0xff);

function frame(from: string, to: string, bytes: Uint8Array, segmentBytes: number) {
  const segment = {
    sequence: 0xffff_fc00,
    acknowledgement: 9,
    flags: ACK | PSH | FIN,
    window: 7,
    payload: bytes,
  };
  const [source, destination] = [parseIp(from)!, parseIp(to)!];
  return tcpFrame(
    link,
    { address: source, port: 80 },
    { address: destination, port: 90 },
    segment,
    segmentBytes,
  );
}

test.each([
  ["10.0.2.2", "10.0.2.15"],
  ["fd10:0:2::2", "fd10:0:2::15"],
])(
  "a long segment from %s is cut to segments with lengths, sequence numbers and checksums of their own",
  (from, to) => {
    const frames = plainFrames(frame(from, to, payload, 1460));
    const segments = frames.map((bytes) => parseTcp(parseIpFrame(bytes)!, false)!);
    expect(segments.map((segment) => segment.payload.length)).toEqual([1460, 1460, 1080]);
    expect(segments.map(({ sequence }) => sequence)).toEqual([0xffff_fc00, 0x1b4, 0x768]);
    expect(segments.map(({ flags }) => flags)).toEqual([ACK, ACK, ACK | PSH | FIN]);
    expect(concat(segments.map((segment) => segment.payload))).toEqual(payload);
  },
);

test("one that fits only gets its checksum", () => {
  const frames = plainFrames(frame("10.0.2.2", "10.0.2.15", payload.subarray(0, 100), 1460));
  expect(frames.length).toBe(1);
  expect(parseTcp(parseIpFrame(frames[0]!)!, false)!.payload.length).toBe(100);
});

test("the frame itself stays as it is", () => {
  const original = frame("10.0.2.2", "10.0.2.15", payload, 1460);
  const before = original.bytes.slice();
  plainFrames(original);
  expect(original.bytes).toEqual(before);
});

test.each([
  { checksumStart: 0, checksumOffset: 0, segmentBytes: 0 },
  { checksumStart: 4053, checksumOffset: 16, segmentBytes: 0 },
  { checksumStart: 34, checksumOffset: 65535, segmentBytes: 0 },
  { checksumStart: 4050, checksumOffset: 1, segmentBytes: 5 },
  { checksumStart: 20, checksumOffset: 16, segmentBytes: 100 },
])("an offload that does not fit its frame gives no frame: %o", (offload) => {
  const { bytes } = frame("10.0.2.2", "10.0.2.15", payload, 1460);
  expect(plainFrames({ bytes, offload })).toEqual([]);
});
