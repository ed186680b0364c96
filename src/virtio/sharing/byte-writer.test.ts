import { expect, test } from "vitest";
import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";

test("what is written is read again, however often the buffer had to grow", () => {
  const to = new ByteWriter(1);
  to.u8(1)
    .u16(2)
    .u32(3)
    .u64(4n)
    .bytes(Uint8Array.of(5, 6, 7))
    .text("caf\xe9\0")
    .zeroes(100)
    .u64(8)
    .u32(9);
  const from = new ByteReader(to.written);
  expect([from.u8(), from.u16(), from.u32(), from.u64()]).toEqual([1, 2, 3, 4n]);
  expect([...from.bytes(3)]).toEqual([5, 6, 7]);
  expect(from.terminatedText()).toBe("caf\xe9");
  from.skip(100);
  expect([from.size(), from.u32(), from.left]).toEqual([8, 9, 0]);
});

test("what is not there is refused", () => {
  const from = new ByteReader(Uint8Array.of(1, 2, 3));
  expect(() => from.u32()).toThrow("EINVAL");
  expect(() => from.terminatedText()).toThrow("EINVAL");
  expect(() => from.bytes(4)).toThrow("EINVAL");
  expect(from.left).toBe(3);
});
