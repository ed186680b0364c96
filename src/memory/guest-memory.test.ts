import { expect, test } from "vitest";
import { GUEST_RAM } from "../layout/memory-map.ts";
import { VmError } from "../layout/vm-error.ts";
import { GuestMemory } from "./guest-memory.ts";

const RAM_BYTES = 0x200000;
const fresh = () => {
  const buffer = new ArrayBuffer(GUEST_RAM + RAM_BYTES);
  return { buffer, memory: new GuestMemory(buffer, RAM_BYTES) };
};

test("guest physical address 0 lies at GUEST_RAM, little-endian", () => {
  const { buffer, memory } = fresh();
  memory.writeU64(0x1000, 0x8877665544332211n);
  expect([...new Uint8Array(buffer, GUEST_RAM + 0x1000, 8)]).toEqual([
    0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
  ]);
  expect(memory.readU8(0x1001)).toBe(0x22);
  expect(memory.readU16(0x1001)).toBe(0x3322);
  expect(memory.readU32(0x1004)).toBe(0x88776655);
  expect(memory.readU64(0x1000)).toBe(0x8877665544332211n);
});

test("read copies, view does not", () => {
  const { memory } = fresh();
  const copy = memory.read(0x1000, 1);
  const view = memory.view(0x1000, 1);
  memory.writeU8(0x1000, 7);
  expect([copy[0], view[0]]).toEqual([0, 7]);
});

test.each([
  ["behind the end", RAM_BYTES - 3, 4],
  ["before the start", -1, 1],
])("an access %s throws and changes nothing", (_what, address, length) => {
  const { memory } = fresh();
  expect(() => memory.write(address, new Uint8Array(length).fill(1))).toThrow(VmError);
  expect(() => memory.read(address, length)).toThrow("are not all RAM");
  expect(memory.readU32(RAM_BYTES - 4)).toBe(0);
});

test.each([
  ["not whole pages", 0x200001],
  ["too small", 0x100000],
  ["larger than the buffer", 0x400000],
])("a size that is %s is refused", (_what, ramBytes) => {
  expect(() => new GuestMemory(new ArrayBuffer(GUEST_RAM + RAM_BYTES), ramBytes)).toThrow(
    "whole number of pages",
  );
});
