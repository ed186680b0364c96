import { expect, test } from "vitest";
import { readApicMsr, writeApicMsr } from "./apic-msrs.ts";
import { apicRig } from "./test-rig.ts";

test("one-shot: counts down at the divided bus clock and interrupts once", () => {
  const { apic, clock } = apicRig();
  apic.writeMemory(0x320, 4, 0x30);
  apic.writeMemory(0x3e0, 4, 0b0011); // divide by 16
  apic.writeMemory(0x380, 4, 100); // 1600 ns
  clock.advanceTo(800);
  expect(apic.readMemory(0x390, 4)).toBe(50);
  clock.advanceTo(1599);
  expect(apic.pendingVector()).toBe(-1);
  clock.advanceTo(1600);
  expect(apic.acknowledge()).toBe(0x30);
  expect(apic.readMemory(0x390, 4)).toBe(0);
  clock.advanceTo(10_000);
  expect(apic.readMemory(0x230, 4)).toBe(0);
});

test.each([
  [0b0000, 2],
  [0b0001, 4],
  [0b0010, 8],
  [0b0011, 16],
  [0b1000, 32],
  [0b1001, 64],
  [0b1010, 128],
  [0b1011, 1],
])("divide configuration %i divides by %i", (configuration, divisor) => {
  const { apic, clock } = apicRig();
  apic.writeMemory(0x3e0, 4, configuration);
  apic.writeMemory(0x380, 4, 1000);
  clock.advanceTo(100 * divisor);
  expect(apic.readMemory(0x390, 4)).toBe(900);
});

test("periodic: reloads without drift", () => {
  const { apic, clock } = apicRig();
  apic.writeMemory(0x3e0, 4, 0b1011);
  apic.writeMemory(0x320, 4, (1 << 17) | 0x30);
  apic.writeMemory(0x380, 4, 1000);
  for (const atNs of [1000, 2000, 3000]) {
    clock.advanceTo(atNs);
    expect(apic.acknowledge()).toBe(0x30);
    apic.writeMemory(0x0b0, 4, 0);
  }
  expect(apic.readMemory(0x390, 4)).toBe(1000);
});

test("writing 0 to the initial count stops the timer", () => {
  const { apic, clock } = apicRig();
  apic.writeMemory(0x320, 4, 0x30);
  apic.writeMemory(0x380, 4, 100);
  apic.writeMemory(0x380, 4, 0);
  clock.advanceTo(10_000);
  expect(apic.pendingVector()).toBe(-1);
});

test("a masked timer expires without an interrupt", () => {
  const { apic, clock } = apicRig();
  apic.writeMemory(0x320, 4, 0x10030);
  apic.writeMemory(0x380, 4, 100);
  clock.advanceTo(10_000);
  expect(apic.pendingVector()).toBe(-1);
  expect(apic.readMemory(0x390, 4)).toBe(0);
});

test("TSC deadline: interrupts when the TSC reaches it, and then reads as 0", () => {
  const { apic, clock } = apicRig();
  apic.writeMemory(0x320, 4, (2 << 17) | 0x30);
  expect(writeApicMsr(apic, 0x6e0, 5000n)).toBe(true);
  expect(readApicMsr(apic, 0x6e0)).toBe(5000n);
  clock.advanceTo(4999);
  expect(apic.pendingVector()).toBe(-1);
  clock.advanceTo(5000);
  expect(apic.pendingVector()).toBe(0x30);
  expect(readApicMsr(apic, 0x6e0)).toBe(0n);
});

test("TSC deadline: 0 disarms, and outside of the mode writes are ignored", () => {
  const { apic, clock } = apicRig();
  apic.writeMemory(0x320, 4, (2 << 17) | 0x30);
  writeApicMsr(apic, 0x6e0, 5000n);
  writeApicMsr(apic, 0x6e0, 0n);
  apic.writeMemory(0x320, 4, 0x30);
  writeApicMsr(apic, 0x6e0, 5000n);
  expect(readApicMsr(apic, 0x6e0)).toBe(0n);
  clock.advanceTo(10_000);
  expect(apic.pendingVector()).toBe(-1);
});
