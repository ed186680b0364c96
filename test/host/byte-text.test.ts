import { expect, test } from "vitest";
import { bytesOfText, hasLoneBytes, textOfBytes } from "../../src/host/node/byte-text.ts";

test.each([
  ["a é € 😀", [0x61, 0x20, 0xc3, 0xa9, 0x20, 0xe2, 0x82, 0xac, 0x20, 0xf0, 0x9f, 0x98, 0x80]],
  ["\ufffd", [0xef, 0xbf, 0xbd]],
  ["", []],
])("text %j is its UTF-8", (text, bytes) => {
  expect(textOfBytes(Uint8Array.from(bytes))).toBe(text);
  expect([...bytesOfText(text)]).toEqual(bytes);
  expect(hasLoneBytes(text)).toBe(false);
});

test.each([
  ["a byte that begins nothing", [0x61, 0xff, 0x62], "a\udcffb"],
  ["a character's end alone", [0x80, 0xc3, 0xa9], "\udc80é"],
  ["a character cut off", [0xe2, 0x82], "\udce2\udc82"],
  ["a character cut off by another", [0xe2, 0xc3, 0xa9], "\udce2é"],
  ["an overlong form", [0xc0, 0xaf], "\udcc0\udcaf"],
  ["a surrogate", [0xed, 0xb2, 0x80], "\udced\udcb2\udc80"],
  ["what is beyond Unicode", [0xf4, 0x90, 0x80, 0x80], "\udcf4\udc90\udc80\udc80"],
])("%s is kept byte by byte", (_, bytes, text) => {
  expect(textOfBytes(Uint8Array.from(bytes))).toBe(text);
  expect([...bytesOfText(text)]).toEqual(bytes);
  expect(hasLoneBytes(text)).toBe(true);
});
