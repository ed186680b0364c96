import { beforeEach, describe, expect, test } from "vitest";
import {
  BUDGET,
  BUDGET_START,
  CODE_BITS,
  CPL,
  INTERRUPT_PENDING,
  RFLAGS_SYSTEM,
  RIP,
  RSP,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_SS,
  SEGMENT_BASE,
  STACK_BITS,
  STATUS_FAULT,
  STATUS_JUMP,
  TLB_BASE,
} from "../../../src/layout/cpu-state.ts";
import { TLB_BANK_USER } from "../../../src/layout/memory-map.ts";
import type { CoreMachine } from "../memory/core-machine.ts";
import { mapPage } from "../memory/long-mode-paging.ts";
import { descriptor } from "./descriptor-builder.ts";
import {
  CONFORMING_CODE,
  enterCompatibility,
  enterUser,
  GDT,
  KERNEL_CODE,
  KERNEL_DATA,
  KERNEL_STACK,
  longModeSystem,
  USER_CODE,
  USER_CODE32,
  USER_DATA,
  USER_STACK,
} from "./long-mode-system.ts";

const FRAME = Number(KERNEL_STACK) - 40;

let machine: CoreMachine;
beforeEach(() => {
  machine = longModeSystem();
  machine.set64(RSP, BigInt(FRAME));
});

function writeFrame(rip: bigint, cs: number, flags: bigint, rsp: bigint, ss: number): void {
  [rip, BigInt(cs), flags, rsp, BigInt(ss)].forEach((value, index) => {
    machine.write64(FRAME + index * 8, value);
  });
}

describe("IRETQ", () => {
  test("to the same privilege takes the stack pointer from the frame too", () => {
    writeFrame(0x7000n, KERNEL_CODE, 0x8d7n, 0x1_2340n, KERNEL_DATA);
    expect(machine.core.interruptReturn(64)).toBe(STATUS_JUMP);
    expect(machine.get64(RIP)).toBe(0x7000n);
    expect(machine.get64(RSP)).toBe(0x1_2340n);
    expect(machine.core.readFlags()).toBe(0x8d7n);
  });

  test("to the same privilege with a null SS", () => {
    writeFrame(0x7000n, KERNEL_CODE, 2n, KERNEL_STACK, 0);
    expect(machine.core.interruptReturn(64)).toBe(STATUS_JUMP);
    expect(machine.selector(SEG_SS)).toBe(0);
  });

  test("to the user", () => {
    machine.setSegment(SEG_GS, 0, 0x1234_0000n, 0, 0x10000);
    machine.setSegment(SEG_FS, USER_DATA, 0n, 0xffff_ffff, 0xc0f3);
    writeFrame(0x7000n, USER_CODE, 0x246n, USER_STACK, USER_DATA);
    expect(machine.core.interruptReturn(64)).toBe(STATUS_JUMP);
    expect(machine.get32(CPL)).toBe(3);
    expect(machine.get64(RIP)).toBe(0x7000n);
    expect(machine.get64(RSP)).toBe(USER_STACK);
    expect(machine.core.readFlags()).toBe(0x246n);
    expect(machine.get32(TLB_BASE)).toBe(TLB_BANK_USER);
    expect(machine.segment(SEG_SS)).toEqual({
      selector: USER_DATA,
      base: 0n,
      limit: 0xffff_ffff,
      attributes: 0xc0f3,
    });
    // The supervisor's data segments become null, those the user may have stay.
    expect(machine.segment(SEG_DS)).toMatchObject({ selector: 0, attributes: 0x10000 });
    expect(machine.segment(SEG_ES)).toMatchObject({ selector: 0, attributes: 0x10000 });
    expect(machine.selector(SEG_FS)).toBe(USER_DATA);
    expect(machine.get64(SEG_GS + SEGMENT_BASE)).toBe(0x1234_0000n);
  });

  test("to compatibility mode", () => {
    writeFrame(0x7000n, USER_CODE32, 0x202n, 0xffff_ffff_0001_5000n, USER_DATA);
    expect(machine.core.interruptReturn(64)).toBe(STATUS_JUMP);
    expect(machine.get32(CODE_BITS)).toBe(32);
    expect(machine.get32(STACK_BITS)).toBe(32);
    expect(machine.get64(RSP)).toBe(0x1_5000n);
  });

  test("to a 16-bit stack writes SP alone", () => {
    machine.write64(GDT + 0x20, descriptor({ access: 0xf3, flags: 0x8 }));
    writeFrame(0x7000n, USER_CODE32, 0x202n, 0x9999_5000n, USER_DATA);
    expect(machine.core.interruptReturn(64)).toBe(STATUS_JUMP);
    expect(machine.get64(RSP)).toBe(0x1_5000n);
  });

  test("keeps IF and IOPL outside of their privileges", () => {
    enterUser(machine);
    machine.set64(RSP, BigInt(FRAME));
    writeFrame(0x7000n, USER_CODE, 0x20_3000n | 0x400n, USER_STACK, USER_DATA);
    expect(machine.core.interruptReturn(64)).toBe(STATUS_JUMP);
    expect(machine.get64(RFLAGS_SYSTEM)).toBe(0x20_0602n);
  });

  test("drops RF and VM", () => {
    writeFrame(0x7000n, KERNEL_CODE, 0x3_0002n, KERNEL_STACK, KERNEL_DATA);
    machine.core.interruptReturn(64);
    expect(machine.get64(RFLAGS_SYSTEM)).toBe(2n);
  });

  test("ends the blocking of NMIs", () => {
    machine.core.deliverNmi();
    writeFrame(0x7000n, KERNEL_CODE, 2n, KERNEL_STACK, KERNEL_DATA);
    machine.core.interruptReturn(64);
    expect(machine.core.nmiBlocked()).toBe(0);
  });

  test("makes the engine return when an interrupt waits", () => {
    machine.set64(RFLAGS_SYSTEM, 2n);
    machine.set32(INTERRUPT_PENDING, 1);
    machine.set32(BUDGET_START, 1000);
    machine.set32(BUDGET, 900);
    writeFrame(0x7000n, KERNEL_CODE, 0x202n, KERNEL_STACK, KERNEL_DATA);
    machine.core.interruptReturn(64);
    expect(machine.get32(BUDGET)).toBe(0);
    expect(machine.get32(BUDGET_START)).toBe(100);
  });

  const refusals: [name: string, cs: number, ss: number, rip: bigint, fault: string][] = [
    ["a null CS", 3, USER_DATA, 0x7000n, "13(0)"],
    ["CS beyond the GDT", 0x8b, USER_DATA, 0x7000n, "13(88)"],
    ["CS that is data", USER_DATA, USER_DATA, 0x7000n, "13(20)"],
    ["RPL other than DPL", KERNEL_CODE | 3, USER_DATA, 0x7000n, "13(8)"],
    ["SS of another privilege", USER_CODE, KERNEL_DATA, 0x7000n, "13(10)"],
    ["a null SS for the user", USER_CODE, 3, 0x7000n, "13(0)"],
    ["SS that is code", USER_CODE, USER_CODE, 0x7000n, "13(28)"],
    ["a non-canonical RIP", USER_CODE, USER_DATA, 1n << 47n, "13(0)"],
    ["RIP beyond the limit of compatibility code", USER_CODE32, USER_DATA, 1n << 32n, "13(0)"],
  ];
  test.each(refusals)("refuses %s", (_name, cs, ss, rip, fault) => {
    writeFrame(rip, cs, 0x202n, USER_STACK, ss);
    expect(machine.core.interruptReturn(64)).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe(fault);
    expect(machine.get64(RSP)).toBe(BigInt(FRAME));
    expect(machine.get64(RIP)).toBe(0x5000n);
    expect(machine.selector(SEG_CS)).toBe(KERNEL_CODE);
  });

  test("refuses a return to an inner privilege", () => {
    enterUser(machine);
    machine.set64(RSP, BigInt(FRAME));
    writeFrame(0x7000n, KERNEL_CODE, 0x202n, USER_STACK, KERNEL_DATA);
    expect(machine.core.interruptReturn(64)).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe("13(8)");
  });

  test("refuses absent code with #NP and an absent stack with #SS", () => {
    machine.write64(GDT + 0x28, descriptor({ access: 0x7b, flags: 0xa }));
    writeFrame(0x7000n, USER_CODE, 0x202n, USER_STACK, USER_DATA);
    machine.core.interruptReturn(64);
    expect(machine.takeFault()).toBe("11(28)");
    machine.write64(GDT + 0x28, descriptor({ access: 0xfb, flags: 0xa }));
    machine.write64(GDT + 0x20, descriptor({ access: 0x73 }));
    machine.core.interruptReturn(64);
    expect(machine.fault()).toBe("12(20)");
  });

  test("with NT set is #GP(0)", () => {
    machine.set64(RFLAGS_SYSTEM, 0x4002n);
    expect(machine.core.interruptReturn(64)).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe("13(0)");
  });

  test("a frame on an absent page is a page fault, in the hole #SS(0)", () => {
    mapPage(machine, 0x10, 0, 0n);
    machine.core.interruptReturn(64);
    expect(machine.takeFault()).toBe("14(0) at 10fe8");
    machine.set64(RSP, 1n << 47n);
    machine.core.interruptReturn(64);
    expect(machine.fault()).toBe("12(0)");
  });

  test("to conforming code of an inner level keeps RPL", () => {
    writeFrame(0x7000n, CONFORMING_CODE | 3, 0x202n, USER_STACK, USER_DATA);
    expect(machine.core.interruptReturn(64)).toBe(STATUS_JUMP);
    expect(machine.selector(SEG_CS)).toBe(CONFORMING_CODE | 3);
    expect(machine.get32(CPL)).toBe(3);
  });
});

test("IRETD in 64-bit code pops five doublewords, IRET five words", () => {
  [0x7000, USER_CODE, 0x202, 0x1_5000, USER_DATA].forEach((value, index) => {
    machine.write32(FRAME + index * 4, value);
  });
  expect(machine.core.interruptReturn(32)).toBe(STATUS_JUMP);
  expect(machine.get64(RIP)).toBe(0x7000n);
  expect(machine.get64(RSP)).toBe(USER_STACK);
  expect(machine.get32(CPL)).toBe(3);
  machine = longModeSystem();
  machine.set64(RSP, BigInt(FRAME));
  [0x7000, KERNEL_CODE, 0x202, 0x8000, KERNEL_DATA].forEach((value, index) => {
    machine.write16(FRAME + index * 2, value);
  });
  expect(machine.core.interruptReturn(16)).toBe(STATUS_JUMP);
  expect(machine.get64(RIP)).toBe(0x7000n);
  expect(machine.get64(RSP)).toBe(0x8000n);
});

test("IRETD refuses what IRETQ refuses, and changes nothing", () => {
  enterCompatibility(machine);
  machine.set64(RSP, USER_STACK - 12n);
  machine.write32(Number(USER_STACK) - 12, 0x7000);
  machine.write32(Number(USER_STACK) - 8, USER_DATA);
  expect(machine.core.interruptReturn(32)).toBe(STATUS_FAULT);
  expect(machine.fault()).toBe("13(20)");
  expect(machine.get64(RIP)).toBe(0x6000n);
  expect(machine.get64(RSP)).toBe(USER_STACK - 12n);
});

test("IRETD in compatibility mode at the same privilege pops three doublewords", () => {
  enterCompatibility(machine);
  machine.set64(RSP, USER_STACK - 12n);
  machine.write32(Number(USER_STACK) - 12, 0x7000);
  machine.write32(Number(USER_STACK) - 8, USER_CODE32);
  machine.write32(Number(USER_STACK) - 4, 0x246);
  expect(machine.core.interruptReturn(32)).toBe(STATUS_JUMP);
  expect(machine.get64(RIP)).toBe(0x7000n);
  expect(machine.get64(RSP)).toBe(USER_STACK);
  expect(machine.core.readFlags()).toBe(0x246n);
});
