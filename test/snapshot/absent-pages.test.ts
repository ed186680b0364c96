import { expect, test } from "vitest";
import { GUEST_RAM, PAGE_BYTES } from "../../src/layout/memory-map.ts";
import { GuestPages } from "../../src/machine/snapshot/guest-pages.ts";
import { PackedPages } from "../../src/machine/snapshot/packed-pages.ts";
import { AbsentPages } from "../../src/memory/absent-pages.ts";
import { GuestMemory } from "../../src/memory/guest-memory.ts";

const RAM_BYTES = 0x200000;

/** Memory in which chunks of pages, each filled with one byte, are packed; `unpacked` lists the bytes of those that were needed. */
function memoryWith(...chunks: readonly { byte: number; pages: readonly number[] }[]) {
  const buffer = new ArrayBuffer(GUEST_RAM + RAM_BYTES);
  const absent = new AbsentPages(buffer, RAM_BYTES);
  const packed = new PackedPages(new GuestPages(buffer, RAM_BYTES), absent);
  const unpacked: number[] = [];
  for (const { byte, pages } of chunks) {
    const count = pages.reduce((sum, value, i) => sum + (i % 2 === 1 ? value : 0), 0);
    const sizeBytes = count * PAGE_BYTES;
    const chunk = { at: 0, packedBytes: 0, sizeBytes, codec: "zstd" as const, crc32: 0, pages };
    const number = packed.expect(chunk);
    const unpack = () => {
      unpacked.push(byte);
      return new Uint8Array(sizeBytes).fill(byte);
    };
    packed.take(number, { chunk, unpack });
  }
  return { memory: new GuestMemory(buffer, RAM_BYTES, absent), absent, packed, unpacked };
}

test("a chunk is unpacked when one of its pages is needed, and only then", () => {
  const { memory, absent, packed, unpacked } = memoryWith(
    { byte: 1, pages: [2, 3] },
    { byte: 2, pages: [9, 1] },
  );
  packed.ready();
  expect(memory.readU8(0x1fff)).toBe(0);
  expect(unpacked).toEqual([]);
  expect(memory.readU16(0x1fff)).toBe(0x0100);
  memory.writeU8(0x4000, 7);
  expect([...memory.read(0x3fff, 3)]).toEqual([1, 7, 1]);
  expect(unpacked).toEqual([1]);
  expect(absent.count).toBe(1);
  memory.bringInAll();
  expect(memory.readU8(0x9fff)).toBe(2);
  expect(absent.count).toBe(0);
});

test("of two chunks with the same page the later one counts, whichever is needed first", () => {
  const { memory, packed } = memoryWith({ byte: 1, pages: [2, 2] }, { byte: 2, pages: [3, 2] });
  packed.ready();
  expect(memory.readU8(0x3000)).toBe(2);
  expect(memory.readU8(0x2000)).toBe(1);
  expect(memory.readU8(0x3000)).toBe(2);
  expect(memory.readU8(0x4000)).toBe(2);
});

test("a page that is forgotten stays as it is in memory", () => {
  const { memory, packed } = memoryWith({ byte: 1, pages: [2, 2] });
  packed.forget([3, 1]);
  packed.ready();
  expect(memory.readU8(0x3000)).toBe(0);
  expect(memory.readU8(0x2000)).toBe(1);
  expect(memory.readU8(0x3000)).toBe(0);
});

test("asking before the chunks have been read is a bug", () => {
  const { memory } = memoryWith({ byte: 1, pages: [2, 1] });
  expect(() => memory.readU8(0x2000)).toThrow(/before the snapshot has been read/);
});
