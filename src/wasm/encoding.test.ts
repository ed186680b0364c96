import { expect, test } from "vitest";
import { ByteReader } from "./decoding.ts";
import { ByteWriter } from "./encoding.ts";

function written(write: (out: ByteWriter) => void): number[] {
  const out = new ByteWriter(1);
  write(out);
  return [...out.toBytes()];
}

test.each([
  [0, [0x00]],
  [127, [0x7f]],
  [128, [0x80, 0x01]],
  [624485, [0xe5, 0x8e, 0x26]],
  [0xffff_ffff, [0xff, 0xff, 0xff, 0xff, 0x0f]],
])("u32 %d", (value, bytes) => {
  expect(written((out) => out.u32(value))).toEqual(bytes);
});

test.each([
  [0, [0x00]],
  [63, [0x3f]],
  [64, [0xc0, 0x00]],
  [-64, [0x40]],
  [-65, [0xbf, 0x7f]],
  [-123456, [0xc0, 0xbb, 0x78]],
  [-0x8000_0000, [0x80, 0x80, 0x80, 0x80, 0x78]],
])("s32 %d", (value, bytes) => {
  expect(written((out) => out.s32(value))).toEqual(bytes);
});

const bits = Array.from({ length: 64 }, (_, i) => 1n << BigInt(i));

test.each(bits.flatMap((bit) => [bit - 1n, bit, -bit, -bit - 1n, bit + 12345n]))(
  "s64 %d is read back, and is as short as can be",
  (value) => {
    const expected = BigInt.asIntN(64, value);
    const bytes = written((out) => out.s64(expected));
    expect(new ByteReader(Uint8Array.from(bytes)).s64()).toBe(expected);
    const magnitude = expected < 0n ? ~expected : expected;
    expect(bytes.length).toBe(Math.ceil((magnitude.toString(2).length + (magnitude === 0n ? 0 : 1)) / 7));
  },
);

test("floats are little-endian", () => {
  expect(written((out) => out.f32(-0.5))).toEqual([0, 0, 0, 0xbf]);
  expect(written((out) => out.f64(1))).toEqual([0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
});

test("strings are UTF-8 with their length in front", () => {
  const text = "aé€😀";
  expect(written((out) => out.string(text))).toEqual([10, ...new TextEncoder().encode(text)]);
});

test("a section has its id and its length in front", () => {
  const contents = new ByteWriter();
  contents.u8(0xaa);
  contents.u8(0xbb);
  expect(written((out) => out.section(7, contents))).toEqual([7, 2, 0xaa, 0xbb]);
});
