import { expect, test } from "vitest";
import { Board } from "./board.ts";

function rig() {
  const log: string[] = [];
  let nowNs = 0;
  const board = new Board({
    nowNs: () => nowNs,
    unixTimeMs: () => 0,
    serialOutput: { write: (byte) => log.push(`serial ${byte}`) },
    debugExitPort: undefined,
    onTimerScheduled() {},
    onInterruptPending: (pending) => log.push(pending ? "INTR" : "no INTR"),
    onNonMaskableInterrupt: () => log.push("NMI"),
    onA20: (enabled) => log.push(`A20 ${enabled}`),
    onReset: () => log.push("reset"),
    onPowerOff: () => log.push("power-off"),
    onDebugExit() {},
  });
  /** I/O APIC input to vector; level-triggered if asked for. */
  const redirect = (input: number, vector: number, level = false) => {
    board.writeDevice(0xfec00000, 4, 0x10 + input * 2);
    board.writeDevice(0xfec00010, 4, vector | (level ? 0x8000 : 0));
  };
  const advanceTo = (ns: number) => {
    nowNs = ns;
    board.timers.runDue();
  };
  return { board, log, redirect, advanceTo };
}

test("the power button raises the SCI of a guest in ACPI mode, level-triggered until it is cleared", () => {
  const { board, redirect } = rig();
  redirect(9, 0x59, true);
  board.ports.write(0xb2, 1, 0xf1); // ACPI enable
  board.ports.write(0x602, 2, 0x0100); // PM1 enable: power button
  board.pressPowerButton();
  expect(board.localApic.acknowledge()).toBe(0x59);
  board.ports.write(0x600, 2, 0x0100); // clear the status
  board.writeDevice(0xfee000b0, 4, 0); // EOI
  expect(board.localApic.pendingVector()).toBe(-1);
});

test("entering S5 turns the machine off", () => {
  const { board, log } = rig();
  board.ports.write(0x604, 2, 1 << 13); // SLP_EN with SLP_TYP 0
  expect(log).toContain("power-off");
});

test("the real-time clock interrupts at input 8, until the HPET takes its place", () => {
  const { board, redirect, advanceTo } = rig();
  redirect(8, 0x48);
  board.ports.write(0x70, 1, 0x0b);
  board.ports.write(0x71, 1, 0x42); // periodic interrupt, 1024 Hz
  advanceTo(1_000_000);
  expect(board.localApic.acknowledge()).toBe(0x48);
  board.writeDevice(0xfee000b0, 4, 0);
  board.writeDevice(0xfed00010, 4, 2); // HPET: legacy replacement
  board.ports.write(0x70, 1, 0x0c);
  board.ports.read(0x71, 1);
  advanceTo(3_000_000);
  expect(board.localApic.pendingVector()).toBe(-1);
});

test("COM1 interrupts at input 4 and through the 8259s", () => {
  const { board, log } = rig();
  for (const [port, value] of [
    [0x20, 0x11],
    [0x21, 0x20],
    [0x21, 0x04],
    [0x21, 0x01],
  ] as const) {
    board.ports.write(port, 1, value);
  }
  board.ports.write(0x3fc, 1, 0x08); // OUT2
  board.ports.write(0x3f9, 1, 0x02); // THR empty
  expect(log).toEqual(["INTR"]);
  expect(board.localApic.acknowledge()).toBe(0x24);
});

test("the chipset is on PCI bus 0", () => {
  const { board } = rig();
  const id = (device: number, pciFunction: number) => {
    board.ports.write(0xcf8, 4, (0x80000000 | (device << 11) | (pciFunction << 8)) >>> 0);
    return board.ports.read(0xcfc, 4);
  };
  expect([id(0, 0), id(1, 0), id(1, 3), id(2, 0)]).toEqual([0x12378086, 0x70008086, 0x71138086, 0xffffffff]);
});

test("addresses nobody claims read as all ones and are counted", () => {
  const { board } = rig();
  expect(board.readDevice(0xd0000004, 4)).toBe(0xffffffff);
  expect(board.accessStatistics().unclaimedPages).toEqual([[0xd0000000, 1]]);
});

test("in x2APIC mode the local APIC's page is gone", () => {
  const { board } = rig();
  expect(board.readDevice(0xfee00030, 4)).toBe(0x00050014);
  board.localApic.setApicBase(0xfee00d00);
  expect(board.readDevice(0xfee00030, 4)).toBe(0xffffffff);
});

test("A20 is masked while neither port 0x92 nor the keyboard controller asks for it", () => {
  const { board, log } = rig();
  board.ports.write(0x92, 1, 0x00);
  expect(log).toEqual([]);
  board.ports.write(0x64, 1, 0xdd); // A20 off
  expect(log).toEqual(["A20 false"]);
  board.ports.write(0x92, 1, 0x02);
  board.ports.write(0x64, 1, 0xdf); // A20 on
  expect(log).toEqual(["A20 false", "A20 true"]);
});
