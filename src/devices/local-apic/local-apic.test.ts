import { expect, test } from "vitest";
import { LocalApic } from "./local-apic.ts";
import { apicRig } from "./test-rig.ts";

const SELF = 1 << 18; // ICR shorthand "self"

test("a requested vector raises INTR, is acknowledged into service and ended", () => {
  const { apic, pending } = apicRig();
  apic.writeMemory(0x300, 4, SELF | 0x41);
  expect(pending[0]).toBe(true);
  expect(apic.readMemory(0x220, 4)).toBe(1 << 1); // IRR 0x40..0x5f
  expect(apic.acknowledge()).toBe(0x41);
  expect(pending[0]).toBe(false);
  expect(apic.readMemory(0x220, 4)).toBe(0);
  expect(apic.readMemory(0x120, 4)).toBe(1 << 1); // ISR
  apic.writeMemory(0x0b0, 4, 0); // EOI
  expect(apic.readMemory(0x120, 4)).toBe(0);
});

test("a vector of the priority class in service waits for EOI; a higher class does not", () => {
  const { apic, pending } = apicRig();
  apic.writeMemory(0x300, 4, SELF | 0x41);
  apic.acknowledge();
  apic.writeMemory(0x300, 4, SELF | 0x4f);
  expect(pending[0]).toBe(false);
  expect(apic.readMemory(0x0a0, 4)).toBe(0x40); // PPR
  apic.writeMemory(0x300, 4, SELF | 0x50);
  expect(apic.acknowledge()).toBe(0x50);
  apic.writeMemory(0x0b0, 4, 0);
  apic.writeMemory(0x0b0, 4, 0);
  expect(apic.pendingVector()).toBe(0x4f);
});

test("CR8 is the upper half of TPR and holds back its class and those below", () => {
  const { apic, pending } = apicRig();
  apic.taskPriorityClass = 5;
  expect(apic.readMemory(0x080, 4)).toBe(0x50);
  apic.writeMemory(0x300, 4, SELF | 0x5f);
  expect(pending[0]).toBe(false);
  expect(apic.acknowledge()).toBe(-1);
  apic.taskPriorityClass = 4;
  expect(pending[0]).toBe(true);
  apic.writeMemory(0x080, 4, 0x61);
  expect(apic.taskPriorityClass).toBe(6);
  expect(pending[0]).toBe(false);
});

test("EOI of a level-triggered vector is broadcast; of an edge it is not", () => {
  const { apic, fabric } = apicRig();
  const ended: number[] = [];
  fabric.addIoApic({ endOfInterrupt: (vector) => ended.push(vector) });
  const message = { deliveryMode: "fixed", destinationMode: "physical", destination: 0 } as const;
  fabric.send({ ...message, vector: 0x61, level: true });
  expect(apic.readMemory(0x1b0, 4)).toBe(1 << 1); // TMR 0x60..0x7f
  apic.acknowledge();
  apic.writeMemory(0x0b0, 4, 0);
  fabric.send({ ...message, vector: 0x61, level: false });
  apic.acknowledge();
  apic.writeMemory(0x0b0, 4, 0);
  expect(ended).toEqual([0x61]);
});

test("LINT0 as ExtINT passes the 8259's interrupt on, whatever the priority", () => {
  const { apic, pending } = apicRig();
  apic.enterVirtualWireMode();
  apic.taskPriorityClass = 15;
  apic.lint0.set(true);
  expect(pending[0]).toBe(true);
  expect(apic.acknowledge()).toBe(0x08);
  apic.lint0.set(false);
  expect(pending[0]).toBe(false);
});

test("LINT0 masked holds the 8259's interrupt back; a disabled APIC is a plain INTR pin", () => {
  const { apic, pending } = apicRig();
  apic.lint0.set(true);
  expect(pending[0]).not.toBe(true);
  expect(apic.setApicBase(0xfee00100)).toBe(true);
  expect(pending[0]).toBe(true);
  expect(apic.acknowledge()).toBe(0x08);
});

test("LINT1 as NMI interrupts on the rising edge only", () => {
  const { apic, log } = apicRig();
  apic.enterVirtualWireMode();
  apic.lint1.set(true);
  apic.lint1.set(true);
  apic.lint1.set(false);
  expect(log).toEqual(["0: NMI"]);
});

test("a performance event comes once as its entry says, which it masks", () => {
  const { apic, log } = apicRig();
  apic.performanceEvent();
  expect(log).toEqual([]);
  apic.writeMemory(0x340, 4, 0x400); // NMI
  apic.performanceEvent();
  expect(log).toEqual(["0: NMI"]);
  expect(apic.readMemory(0x340, 4)).toBe(0x1_0400);
  apic.performanceEvent();
  expect(log).toEqual(["0: NMI"]);
  apic.writeMemory(0x340, 4, 0x51);
  apic.performanceEvent();
  expect(apic.acknowledge()).toBe(0x51);
});

test("software disable masks every LVT entry, keeps them masked and refuses new interrupts", () => {
  const { apic } = apicRig();
  apic.writeMemory(0x350, 4, 0x700);
  apic.writeMemory(0x0f0, 4, 0x0ff);
  expect(apic.readMemory(0x350, 4)).toBe(0x10700);
  apic.writeMemory(0x350, 4, 0x700);
  expect(apic.readMemory(0x350, 4)).toBe(0x10700);
  apic.writeMemory(0x300, 4, SELF | 0x41);
  expect(apic.pendingVector()).toBe(-1);
});

test("sending a vector below 16 is an error, seen in ESR after a write to it", () => {
  const { apic } = apicRig();
  apic.writeMemory(0x370, 4, 0xfe); // LVT error
  apic.writeMemory(0x300, 4, SELF | 0x0f);
  expect(apic.acknowledge()).toBe(0xfe);
  expect(apic.readMemory(0x280, 4)).toBe(0);
  apic.writeMemory(0x280, 4, 0);
  expect(apic.readMemory(0x280, 4)).toBe(1 << 5);
});

test("the ICR reaches one processor, a logical set, and all others", () => {
  const { apics, apic, pending, log } = apicRig(3);
  apic.writeMemory(0x310, 4, 2 << 24);
  apic.writeMemory(0x300, 4, 0x41);
  expect(pending.map(Boolean)).toEqual([false, false, true]);
  for (const [id, other] of apics.entries()) other.writeMemory(0x0d0, 4, 1 << (24 + id)); // LDR, flat
  apic.writeMemory(0x310, 4, 0b010 << 24);
  apic.writeMemory(0x300, 4, (1 << 11) | 0x42);
  expect(pending.map(Boolean)).toEqual([false, true, true]);
  apic.writeMemory(0x300, 4, (3 << 18) | (1 << 14) | (5 << 8)); // INIT, all but self
  apic.writeMemory(0x300, 4, (3 << 18) | (1 << 14) | (6 << 8) | 0x9a); // startup
  expect(log).toEqual(["1: INIT", "2: INIT", "1: startup 154", "2: startup 154"]);
  expect(pending.map(Boolean)).toEqual([false, false, false]);
});

test("a lowest-priority message goes to the least busy of the addressed processors", () => {
  const { apics, fabric, pending } = apicRig(2);
  for (const [id, apic] of apics.entries()) apic.writeMemory(0x0d0, 4, 1 << (24 + id));
  apics[0]?.writeMemory(0x080, 4, 0x20);
  fabric.send({
    deliveryMode: "lowest-priority",
    destinationMode: "logical",
    destination: 0b11,
    vector: 0x51,
    level: false,
  });
  expect(pending.map(Boolean)).toEqual([false, true]);
});

test("a restored APIC continues where the saved one stopped", () => {
  const { apic, clock, fabric, pending } = apicRig();
  apic.writeMemory(0x320, 4, 0x30); // LVT timer, one-shot
  apic.writeMemory(0x380, 4, 500); // 1000 ns at divide by 2
  apic.writeMemory(0x300, 4, SELF | 0x41);
  const connections = {
    clock,
    fabric,
    tscToNs: (tsc: bigint) => Number(tsc),
    onInterruptPending: (on: boolean) => {
      pending[7] = on;
    },
    onNonMaskableInterrupt() {},
    onInit() {},
    onStartup() {},
    acknowledgeExternal: () => -1,
  };
  const restored = new LocalApic(connections, apic.state);
  expect(pending[7]).toBe(true);
  expect(restored.acknowledge()).toBe(0x41);
  restored.writeMemory(0x0b0, 4, 0);
  clock.advanceTo(1000);
  expect(restored.acknowledge()).toBe(0x30);
});
