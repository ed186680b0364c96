import { expect, test } from "vitest";
import type { InterruptMessage } from "../local-apic/interrupt-message.ts";
import { IoApic, resetState } from "./io-apic.ts";

function rig() {
  const sent: InterruptMessage[] = [];
  const fabric = {
    taken: true,
    send(message: InterruptMessage) {
      sent.push(message);
      return this.taken;
    },
    sendToOthers() {},
    endOfInterrupt() {},
  };
  const ioApic = new IoApic(fabric, resetState(0));
  const write = (register: number, value: number) => {
    ioApic.writeMemory(0x00, 4, register);
    ioApic.writeMemory(0x10, 4, value);
  };
  const read = (register: number) => {
    ioApic.writeMemory(0x00, 1, register);
    return ioApic.readMemory(0x10, 4);
  };
  return { ioApic, sent, fabric, write, read };
}

test("reset: version 0x20 with 24 inputs, all masked", () => {
  const { read } = rig();
  expect(read(0x01)).toBe(0x00170020);
  expect(read(0x10)).toBe(0x00010000);
  expect(read(0x3e)).toBe(0x00010000);
  expect(read(0x40)).toBe(0);
});

test("an edge sends one message with the entry's vector and destination", () => {
  const { ioApic, sent, write } = rig();
  write(0x15, 0x03000000);
  write(0x14, 0x00000830); // input 2: logical, fixed, edge, 0x30
  ioApic.line(2).set(true);
  ioApic.line(2).set(true);
  ioApic.line(2).set(false);
  expect(sent).toEqual([
    { deliveryMode: "fixed", vector: 0x30, level: false, destinationMode: "logical", destination: 3 },
  ]);
});

test("an edge on a masked input is lost", () => {
  const { ioApic, sent, write } = rig();
  ioApic.line(4).set(true);
  write(0x18, 0x34);
  expect(sent).toEqual([]);
});

test("a level is sent once, and again after EOI while it is asserted", () => {
  const { ioApic, sent, write, read } = rig();
  write(0x22, 0x8039); // input 9: level
  ioApic.line(9).set(true);
  expect(sent.length).toBe(1);
  expect(sent[0]?.level).toBe(true);
  expect(read(0x22)).toBe(0xc039); // remote IRR
  ioApic.endOfInterrupt(0x39);
  expect(sent.length).toBe(2);
  ioApic.line(9).set(false);
  ioApic.endOfInterrupt(0x39);
  expect(read(0x22)).toBe(0x8039);
  expect(sent.length).toBe(2);
});

test("a level that waits behind the mask is sent when the mask falls", () => {
  const { ioApic, sent, write } = rig();
  write(0x22, 0x18039);
  ioApic.line(9).set(true);
  expect(sent.length).toBe(0);
  write(0x22, 0x8039);
  expect(sent.length).toBe(1);
});

test("the EOI register ends a level like an APIC's EOI", () => {
  const { ioApic, write, read } = rig();
  write(0x22, 0x8039);
  ioApic.line(9).set(true);
  ioApic.line(9).set(false);
  ioApic.writeMemory(0x40, 4, 0x39);
  expect(read(0x22)).toBe(0x8039);
});

test("turning an entry to edge clears remote IRR", () => {
  const { ioApic, write, read } = rig();
  write(0x22, 0x8039);
  ioApic.line(9).set(true);
  write(0x22, 0x10039);
  write(0x22, 0x18039);
  expect(read(0x22)).toBe(0x18039);
});

test("a level nobody takes leaves remote IRR clear", () => {
  const { ioApic, fabric, write, read } = rig();
  fabric.taken = false;
  write(0x22, 0x8039);
  ioApic.line(9).set(true);
  expect(read(0x22)).toBe(0x8039);
});

test.each([
  [0x000, "fixed"],
  [0x100, "lowest-priority"],
  [0x400, "nmi"],
  [0x500, "init"],
  [0x700, "external"],
])("delivery mode bits 0x%s", (bits, deliveryMode) => {
  const { ioApic, sent, write } = rig();
  write(0x10, bits | 0x30);
  ioApic.line(0).set(true);
  expect(sent[0]?.deliveryMode).toBe(deliveryMode);
});

test("read-only bits of an entry stay as they are", () => {
  const { write, read } = rig();
  write(0x12, 0xffffffff);
  expect(read(0x12)).toBe(0x0001afff);
  write(0x13, 0xffffffff);
  expect(read(0x13)).toBe(0xff000000);
});
