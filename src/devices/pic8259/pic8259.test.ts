import { expect, test } from "vitest";
import { Pic8259 } from "./pic8259.ts";

/** A pair initialised as Linux does it: vectors 0x30 and 0x38, nothing masked. */
function initialised() {
  const levels: boolean[] = [];
  const pic = new Pic8259({ set: (on) => levels.push(on) });
  for (const [chip, base, cascade] of [
    [pic.master, 0x30, 4],
    [pic.slave, 0x38, 2],
  ] as const) {
    chip.writePort(0, 1, 0x11); // ICW1: edge, cascade, ICW4 follows
    chip.writePort(1, 1, base); // ICW2
    chip.writePort(1, 1, cascade); // ICW3
    chip.writePort(1, 1, 0x01); // ICW4: 8086 mode
  }
  return { pic, levels };
}

test("Linux's probe reads back the mask that it wrote", () => {
  const pic = new Pic8259({ set() {} });
  pic.slave.writePort(1, 1, 0xff);
  pic.master.writePort(1, 1, 0xfb);
  expect(pic.master.readPort(1, 1)).toBe(0xfb);
});

test("an edge requests once; the same level requests no second time", () => {
  const { pic, levels } = initialised();
  pic.irq(4).set(true);
  expect(levels.at(-1)).toBe(true);
  expect(pic.acknowledge()).toBe(0x34);
  expect(levels.at(-1)).toBe(false);
  pic.master.writePort(0, 1, 0x20); // OCW2: non-specific EOI
  expect(levels.at(-1)).toBe(false);
  pic.irq(4).set(false);
  pic.irq(4).set(true);
  expect(pic.acknowledge()).toBe(0x34);
});

test("a level-triggered input requests again until the device lets go", () => {
  const { pic, levels } = initialised();
  pic.edgeLevelControl.writePort(1, 1, 0xff);
  expect(pic.edgeLevelControl.readPort(1, 1)).toBe(0xde); // IRQ 8 and 13 stay edge-triggered
  pic.irq(11).set(true);
  expect(pic.acknowledge()).toBe(0x3b);
  pic.slave.writePort(0, 1, 0x20);
  pic.master.writePort(0, 1, 0x20);
  expect(levels.at(-1)).toBe(true);
  pic.irq(11).set(false);
  expect(levels.at(-1)).toBe(false);
});

test("a higher priority interrupts a lower one, not the other way round", () => {
  const { pic, levels } = initialised();
  pic.irq(4).set(true);
  expect(pic.acknowledge()).toBe(0x34);
  pic.irq(5).set(true);
  expect(levels.at(-1)).toBe(false);
  pic.irq(1).set(true);
  expect(pic.acknowledge()).toBe(0x31);
  pic.master.writePort(0, 1, 0x0b); // OCW3: read ISR
  expect(pic.master.readPort(0, 1)).toBe(0b0001_0010);
  pic.master.writePort(0, 1, 0x20); // ends IRQ 1
  pic.master.writePort(0, 1, 0x20); // ends IRQ 4
  expect(pic.acknowledge()).toBe(0x35);
});

test("the slave's requests come through IR2 and need an EOI to both chips", () => {
  const { pic, levels } = initialised();
  pic.irq(8).set(true);
  expect(pic.acknowledge()).toBe(0x38);
  pic.irq(12).set(true);
  pic.slave.writePort(0, 1, 0x20);
  expect(levels.at(-1)).toBe(false);
  pic.master.writePort(0, 1, 0x62); // OCW2: specific EOI of IR2
  expect(levels.at(-1)).toBe(true);
  expect(pic.acknowledge()).toBe(0x3c);
});

test("a request that goes away before the acknowledge becomes a spurious IRQ 7, not in service", () => {
  const { pic } = initialised();
  pic.irq(4).set(true);
  pic.master.writePort(1, 1, 0x10); // mask IRQ 4
  expect(pic.acknowledge()).toBe(0x37);
  pic.master.writePort(0, 1, 0x0b);
  expect(pic.master.readPort(0, 1)).toBe(0);
});

test("an acknowledge without any request gives IRQ 7's vector even after the slave withdrew", () => {
  const { pic } = initialised();
  pic.irq(10).set(true);
  pic.slave.writePort(1, 1, 0xff);
  expect(pic.acknowledge()).toBe(0x37);
});

test("with automatic EOI nothing stays in service", () => {
  const levels: boolean[] = [];
  const pic = new Pic8259({ set: (on) => levels.push(on) });
  for (const value of [0x30, 0x04, 0x03]) {
    if (value === 0x30) pic.master.writePort(0, 1, 0x11);
    pic.master.writePort(1, 1, value);
  }
  pic.irq(3).set(true);
  pic.irq(6).set(true);
  expect(pic.acknowledge()).toBe(0x33);
  expect(pic.acknowledge()).toBe(0x36);
  expect(levels.at(-1)).toBe(false);
});

test("rotation gives the input that was just served the lowest priority", () => {
  const { pic } = initialised();
  pic.irq(0).set(true);
  expect(pic.acknowledge()).toBe(0x30);
  pic.master.writePort(0, 1, 0xa0); // OCW2: rotate on non-specific EOI
  pic.irq(0).set(false);
  pic.irq(0).set(true);
  pic.irq(7).set(true);
  expect(pic.acknowledge()).toBe(0x37);
});

test("special mask mode lets lower priorities through while the masked one is in service", () => {
  const { pic, levels } = initialised();
  pic.irq(3).set(true);
  expect(pic.acknowledge()).toBe(0x33);
  pic.irq(6).set(true);
  expect(levels.at(-1)).toBe(false);
  pic.master.writePort(1, 1, 0b0000_1000);
  pic.master.writePort(0, 1, 0x68); // OCW3: set special mask
  expect(pic.acknowledge()).toBe(0x36);
});

test("a poll acknowledges and names the input", () => {
  const { pic, levels } = initialised();
  pic.irq(5).set(true);
  pic.master.writePort(0, 1, 0x0c); // OCW3: poll
  expect(pic.master.readPort(0, 1)).toBe(0x85);
  expect(levels.at(-1)).toBe(false);
  pic.master.writePort(0, 1, 0x0c);
  expect(pic.master.readPort(0, 1)).toBe(0);
});

test("a restored pair still holds its request", () => {
  const { pic } = initialised();
  pic.irq(9).set(true);
  const restored = new Pic8259({ set() {} }, pic.state);
  expect(restored.acknowledge()).toBe(0x39);
});
