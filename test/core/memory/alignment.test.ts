import { beforeEach, describe, expect, test } from "vitest";
import { CPL, CR0, RFLAGS_SYSTEM, TLB_BASE } from "../../../src/layout/cpu-state.ts";
import { TLB_BANK_USER, TLB_BANK_USER_ALIGNED } from "../../../src/layout/memory-map.ts";
import type { CoreMachine } from "./core-machine.ts";
import { longModeMachine, mapPage, P, RW, US } from "./long-mode-paging.ts";

const AM = 1n << 18n;
const AC = 1n << 18n;

let machine: CoreMachine;
beforeEach(() => {
  machine = longModeMachine();
  mapPage(machine, 5, 0x20, P | RW | US);
  machine.set64(CR0, machine.get64(CR0) | AM);
  machine.set64(RFLAGS_SYSTEM, machine.get64(RFLAGS_SYSTEM) | AC);
  machine.set32(CPL, 3);
  machine.core.updateMode();
});

describe("with CR0.AM and EFLAGS.AC, at CPL 3", () => {
  test.each([
    [2, 0x5001n],
    [4, 0x5002n],
    [8, 0x5004n],
    [10, 0x5004n],
    [16, 0x5008n],
  ])("a read of %i bytes at 0x%x is #AC(0)", (bytes, va) => {
    expect(machine.core.readSlow(va, bytes)).toBe(0);
    expect(machine.fault()).toBe("17(0)");
  });

  test("writes and modifications are checked as reads are", () => {
    expect(machine.core.writeSlow(0x5001n, 4, 0n)).toBe(0);
    expect(machine.takeFault()).toBe("17(0)");
    expect(machine.core.modifySlow(0x5001n, 4)).toBe(0);
    expect(machine.fault()).toBe("17(0)");
  });

  test("aligned accesses go on, and leave the bank empty", () => {
    expect(machine.core.writeSlow(0x5008n, 8, 7n)).toBe(1);
    expect(machine.read64(0x20008)).toBe(7n);
    expect(machine.core.writeSlow(0x5001n, 1, 7n)).toBe(1);
    expect(machine.get32(TLB_BASE)).toBe(TLB_BANK_USER_ALIGNED);
  });

  test("#AC comes before #PF and behind #GP for a non-canonical address", () => {
    machine.core.readSlow(0x9001n, 4);
    expect(machine.takeFault()).toBe("17(0)");
    machine.core.readSlow((1n << 47n) + 1n, 4);
    expect(machine.fault()).toBe("13(0)");
  });
});

test.each<[string, () => void]>([
  ["CR0.AM is clear", () => machine.set64(CR0, machine.get64(CR0) & ~AM)],
  ["EFLAGS.AC is clear", () => machine.set64(RFLAGS_SYSTEM, machine.get64(RFLAGS_SYSTEM) & ~AC)],
])("nothing is checked when %s", (_, change) => {
  change();
  machine.core.updateMode();
  expect(machine.get32(TLB_BASE)).toBe(TLB_BANK_USER);
  expect(machine.core.readSlow(0x5001n, 4)).not.toBe(0);
});

test("nothing is checked at CPL 2", () => {
  machine.set32(CPL, 2);
  machine.core.updateMode();
  expect(machine.core.readSlow(0x5001n, 4)).not.toBe(0);
});
