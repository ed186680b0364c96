import { expect, test } from "vitest";
import { readApicMsr, writeApicMsr } from "./apic-msrs.ts";
import { apicRig } from "./test-rig.ts";

const DISABLED = 0xfee00100n;
const XAPIC = 0xfee00900n;
const X2APIC = 0xfee00d00n;
const INVALID = 0xfee00500n;

test.each([
  ["xAPIC to x2APIC", [X2APIC], true],
  ["xAPIC to disabled", [DISABLED], true],
  ["disabled to xAPIC", [DISABLED, XAPIC], true],
  ["x2APIC to disabled", [X2APIC, DISABLED], true],
  ["x2APIC to xAPIC", [X2APIC, XAPIC], false],
  ["disabled to x2APIC", [DISABLED, X2APIC], false],
  ["xAPIC to invalid", [INVALID], false],
  ["a reserved bit", [XAPIC | 1n], false],
  ["a base above 4 GiB", [0x1_fee00900n], false],
])("IA32_APIC_BASE: %s", (_what, writes, legal) => {
  const { apic } = apicRig();
  const results = writes.map((value) => writeApicMsr(apic, 0x1b, value));
  expect(results.at(-1)).toBe(legal);
});

test("x2APIC registers exist in x2APIC mode only, and the page is then gone", () => {
  const { apic } = apicRig(3);
  expect(readApicMsr(apic, 0x802)).toBe(undefined);
  expect(writeApicMsr(apic, 0x80b, 0n)).toBe(false);
  expect(apic.pageAddress).toBe(0xfee00000);
  writeApicMsr(apic, 0x1b, X2APIC);
  expect(readApicMsr(apic, 0x802)).toBe(0n);
  expect(apic.pageAddress).toBe(-1);
});

test("x2APIC IDs: all 32 bits, and the logical ID is derived from them", () => {
  const { apics } = apicRig(3);
  const apic = apics[2];
  if (apic === undefined) throw new Error("unreachable");
  writeApicMsr(apic, 0x1b, 0xfee00c00n);
  expect(readApicMsr(apic, 0x802)).toBe(2n);
  expect(readApicMsr(apic, 0x80d)).toBe(0b100n);
});

test.each([
  ["reading EOI", 0x80b],
  ["reading SELF IPI", 0x83f],
  ["reading DFR, which is gone", 0x80e],
  ["reading the upper ICR, which is gone", 0x831],
  ["reading a reserved register", 0x840],
])("x2APIC: %s is refused", (_what, index) => {
  const { apic } = apicRig();
  writeApicMsr(apic, 0x1b, X2APIC);
  expect(readApicMsr(apic, index)).toBe(undefined);
});

test.each([
  ["a nonzero EOI", 0x80b, 1n],
  ["a nonzero ESR", 0x828, 1n],
  ["the ID", 0x802, 0n],
  ["the logical ID", 0x80d, 1n],
  ["a reserved bit of TPR", 0x808, 0x100n],
  ["a reserved bit of the LVT timer", 0x832, 1n << 19n],
  ["the upper ICR, which is gone", 0x831, 0n],
])("x2APIC: writing %s is refused", (_what, index, value) => {
  const { apic } = apicRig();
  writeApicMsr(apic, 0x1b, X2APIC);
  expect(writeApicMsr(apic, index, value)).toBe(false);
});

test("SELF IPI and EOI through MSRs", () => {
  const { apic, pending } = apicRig();
  writeApicMsr(apic, 0x1b, X2APIC);
  expect(writeApicMsr(apic, 0x83f, 0x71n)).toBe(true);
  expect(apic.acknowledge()).toBe(0x71);
  expect(readApicMsr(apic, 0x813)).toBe(1n << 17n); // ISR 0x60..0x7f
  expect(writeApicMsr(apic, 0x80b, 0n)).toBe(true);
  expect(readApicMsr(apic, 0x813)).toBe(0n);
  expect(pending[0]).toBe(false);
});

test("the ICR is one 64-bit register with a 32-bit destination", () => {
  const { apics, apic, pending } = apicRig(3);
  for (const other of apics) writeApicMsr(other, 0x1b, BigInt(other.apicBase) | 0x400n);
  writeApicMsr(apic, 0x830, 0x00000001_00000041n);
  expect(readApicMsr(apic, 0x830)).toBe(0x00000001_00000041n);
  expect(pending.map(Boolean)).toEqual([false, true, false]);
  writeApicMsr(apic, 0x830, 0x00000004_00000841n); // logical: cluster 0, member 2
  expect(pending.map(Boolean)).toEqual([false, true, true]);
});
