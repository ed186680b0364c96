import { beforeEach, describe, expect, test } from "vitest";
import {
  BUDGET,
  BUDGET_START,
  EXIT_HALT,
  EXIT_REASON,
  HALTED,
  INTERRUPT_PENDING,
  INTERRUPT_SHADOW,
  RFLAGS_SYSTEM,
  STATUS_EXIT,
  STATUS_FAULT,
  STATUS_JUMP,
  STATUS_OK,
  TLB_BASE,
} from "../../../src/layout/cpu-state.ts";
import { TLB_BANK_SUPERVISOR, TLB_BANK_SUPERVISOR_AC } from "../../../src/layout/memory-map.ts";
import type { CoreMachine } from "../memory/core-machine.ts";
import { CR4_PAE, CR4_SMAP, setControl4 } from "../memory/long-mode-paging.ts";
import { enterUser, longModeSystem } from "./long-mode-system.ts";
import { realSystem, virtualSystem } from "./protected-system.ts";

let machine: CoreMachine;
beforeEach(() => {
  machine = longModeSystem();
});

describe("CLI and STI", () => {
  test("at CPL 0", () => {
    expect(machine.core.cli()).toBe(STATUS_OK);
    expect(machine.get64(RFLAGS_SYSTEM)).toBe(2n);
    expect(machine.core.sti()).toBe(STATUS_OK);
    expect(machine.get64(RFLAGS_SYSTEM)).toBe(0x202n);
    expect(machine.get32(INTERRUPT_SHADOW)).toBe(1);
  });

  test("STI with IF set casts no shadow", () => {
    machine.core.sti();
    expect(machine.get32(INTERRUPT_SHADOW)).toBe(0);
  });

  test("at CPL 3 are #GP(0) below IOPL 3", () => {
    enterUser(machine);
    machine.set64(RFLAGS_SYSTEM, 0x2202n);
    expect(machine.core.cli()).toBe(STATUS_FAULT);
    expect(machine.takeFault()).toBe("13(0)");
    expect(machine.core.sti()).toBe(STATUS_FAULT);
    expect(machine.takeFault()).toBe("13(0)");
    machine.set64(RFLAGS_SYSTEM, 0x3202n);
    expect(machine.core.cli()).toBe(STATUS_OK);
    expect(machine.get64(RFLAGS_SYSTEM)).toBe(0x3002n);
  });

  test("in virtual-8086 mode need IOPL 3, in real mode nothing", () => {
    const virtual = virtualSystem();
    expect(virtual.core.cli()).toBe(STATUS_FAULT);
    expect(virtual.fault()).toBe("13(0)");
    const real = realSystem();
    expect(real.core.cli()).toBe(STATUS_OK);
  });

  test("STI lets a waiting interrupt end the run, and the count of instructions stays", () => {
    machine.core.cli();
    machine.set32(INTERRUPT_PENDING, 1);
    machine.set32(BUDGET_START, 500);
    machine.set32(BUDGET, 420);
    machine.core.sti();
    expect(machine.get32(BUDGET)).toBe(0);
    expect(machine.get32(BUDGET_START)).toBe(80);
  });
});

describe("POPF", () => {
  const ALL = 0x3f_7fd7n;
  const rows: [name: string, cpl: number, system: bigint, bits: number, after: bigint][] = [
    ["64 bits at CPL 0", 0, 0x2n, 64, 0x24_7fd7n],
    ["16 bits at CPL 0", 0, 0x2n, 16, 0x7fd7n],
    ["64 bits at CPL 3, IOPL 0", 3, 0x2n, 64, 0x24_4dd7n],
    ["64 bits at CPL 3, IOPL 3", 3, 0x3002n, 64, 0x24_7fd7n],
  ];
  test.each(rows)("%s", (_name, cpl, system, bits, after) => {
    [() => undefined, undefined, undefined, enterUser][cpl]!(machine);
    machine.set64(RFLAGS_SYSTEM, system);
    machine.core.popFlags(ALL, bits);
    expect(machine.core.readFlags()).toBe(after);
  });

  test("cannot set IF at CPL 3", () => {
    enterUser(machine);
    machine.set64(RFLAGS_SYSTEM, 2n);
    expect(machine.core.popFlags(0x202n, 64)).toBe(STATUS_OK);
    expect(machine.get64(RFLAGS_SYSTEM)).toBe(2n);
  });

  test("that sets IF with an interrupt waiting, or TF, ends the block", () => {
    machine.set64(RFLAGS_SYSTEM, 2n);
    machine.set32(INTERRUPT_PENDING, 1);
    expect(machine.core.popFlags(0x202n, 64)).toBe(STATUS_JUMP);
    machine.set32(INTERRUPT_PENDING, 0);
    machine.set32(BUDGET, 420);
    expect(machine.core.popFlags(0x102n, 64)).toBe(STATUS_JUMP);
    expect(machine.get32(BUDGET)).toBe(0);
    expect(machine.core.popFlags(2n, 64)).toBe(STATUS_OK);
  });

  test("AC chooses the TLB bank under SMAP", () => {
    setControl4(machine, CR4_PAE | CR4_SMAP);
    expect(machine.get32(TLB_BASE)).toBe(TLB_BANK_SUPERVISOR);
    machine.core.popFlags(0x4_0002n, 64);
    expect(machine.get32(TLB_BASE)).toBe(TLB_BANK_SUPERVISOR_AC);
  });

  test("in virtual-8086 mode needs IOPL 3, as PUSHF does", () => {
    const virtual = virtualSystem();
    expect(virtual.core.checkPoppedFlags(2n, 16)).toBe(STATUS_FAULT);
    expect(virtual.takeFault()).toBe("13(0)");
    virtual.core.flagsForPush(32);
    expect(virtual.fault()).toBe("13(0)");
  });

  test("in virtual-8086 mode with IOPL 3 keeps VM and IOPL", () => {
    const virtual = virtualSystem();
    virtual.set64(RFLAGS_SYSTEM, 0x2_3202n);
    expect(virtual.core.popFlags(0x0n, 32)).toBe(STATUS_OK);
    expect(virtual.get64(RFLAGS_SYSTEM)).toBe(0x2_3002n);
  });
});

test("PUSHF shows neither RF nor VM", () => {
  machine.set64(RFLAGS_SYSTEM, 0x1_0202n);
  expect(machine.core.flagsForPush(32)).toBe(0x202n);
  const virtual = virtualSystem();
  virtual.set64(RFLAGS_SYSTEM, 0x2_3202n);
  expect(virtual.core.flagsForPush(32)).toBe(0x3202n);
});

describe("CLAC and STAC", () => {
  test("choose the TLB bank under SMAP", () => {
    setControl4(machine, CR4_PAE | CR4_SMAP);
    expect(machine.core.stac()).toBe(STATUS_OK);
    expect(machine.get32(TLB_BASE)).toBe(TLB_BANK_SUPERVISOR_AC);
    expect(machine.core.clac()).toBe(STATUS_OK);
    expect(machine.get32(TLB_BASE)).toBe(TLB_BANK_SUPERVISOR);
  });

  test("are #UD at CPL 3", () => {
    enterUser(machine);
    expect(machine.core.stac()).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe("6");
  });
});

describe("HLT", () => {
  test("returns to the machine", () => {
    expect(machine.core.halt()).toBe(STATUS_EXIT);
    expect(machine.get32(EXIT_REASON)).toBe(EXIT_HALT);
    expect(machine.get32(HALTED)).toBe(1);
  });

  test("is #GP(0) at CPL 3", () => {
    enterUser(machine);
    expect(machine.core.halt()).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe("13(0)");
  });
});
