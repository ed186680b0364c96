import { describe, expect, test } from "vitest";
import {
  CODE_BITS,
  CPL,
  CR0,
  CR2,
  CR3,
  CR4,
  EXIT_REASON,
  EXIT_SHUTDOWN,
  IDTR_BASE,
  IDTR_LIMIT,
  RFLAGS_SYSTEM,
  RIP,
  RSP,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_GS,
  SEG_SS,
  SEG_TR,
  SEGMENT_ATTRIBUTES,
  STATUS_EXIT,
  STATUS_FAULT,
  STATUS_JUMP,
} from "../../../src/layout/cpu-state.ts";
import { descriptor, gate } from "./descriptor-builder.ts";
import {
  CODE,
  CODE16,
  DATA,
  doublewords,
  enterUser,
  GDT,
  HANDLER,
  IDT,
  INNER_STACK,
  protectedSystem,
  realSystem,
  SHORT_DATA,
  STACK,
  STACK16,
  setGate,
  TSS,
  TSS_SELECTOR,
  USER_CODE,
  USER_DATA,
  USER_STACK,
  virtualSystem,
} from "./protected-system.ts";

describe("protected mode", () => {
  test("an interrupt at the same privilege pushes three doublewords", () => {
    const machine = protectedSystem();
    expect(machine.core.deliverInterrupt(0x20)).toBe(STATUS_JUMP);
    expect(machine.get64(RIP)).toBe(HANDLER);
    expect(machine.get64(RSP)).toBe(BigInt(STACK - 12));
    expect(doublewords(machine, STACK - 12, 3)).toEqual([0x5000, CODE, 0x202]);
    expect(machine.get64(RFLAGS_SYSTEM)).toBe(2n);
  });

  test("a fault pushes its code; a trap gate keeps IF", () => {
    const machine = protectedSystem();
    setGate(machine, 13, 0x8f);
    machine.core.raiseGP(0x18);
    machine.core.deliverFault();
    expect(doublewords(machine, STACK - 16, 4)).toEqual([0x18, 0x5000, CODE, 0x1_0202]);
    expect(machine.get64(RFLAGS_SYSTEM)).toBe(0x202n);
  });

  test("from CPL 3 takes SS:ESP from the TSS", () => {
    const machine = protectedSystem();
    enterUser(machine);
    expect(machine.core.deliverInterrupt(0x20)).toBe(STATUS_JUMP);
    expect(doublewords(machine, INNER_STACK - 20, 5)).toEqual([
      0x6000,
      USER_CODE,
      0x202,
      USER_STACK,
      USER_DATA,
    ]);
    expect(machine.get32(CPL)).toBe(0);
    expect(machine.get64(RSP)).toBe(BigInt(INNER_STACK - 20));
    expect(machine.segment(SEG_SS)).toEqual({
      selector: DATA,
      base: 0n,
      limit: 0xffff_ffff,
      attributes: 0xc093,
    });
  });

  test("a 16-bit TSS holds words", () => {
    const machine = protectedSystem();
    machine.set32(SEG_TR + SEGMENT_ATTRIBUTES, 0x83);
    machine.write16(TSS + 2, 0x8000);
    machine.write16(TSS + 4, DATA);
    enterUser(machine);
    machine.core.deliverInterrupt(0x20);
    expect(machine.get64(RSP)).toBe(0x8000n - 20n);
  });

  test("a 16-bit gate pushes words and enters 16-bit code", () => {
    const machine = protectedSystem();
    setGate(machine, 13, 0x86, CODE16);
    machine.core.raiseGP(0x18);
    machine.core.deliverFault();
    expect(machine.get64(RSP)).toBe(BigInt(STACK - 8));
    expect(doublewords(machine, STACK - 8, 2)).toEqual([0x5000_0018, 0x0202_0008]);
    expect(machine.get32(CODE_BITS)).toBe(16);
  });

  test("a stack of 16 bits uses SP alone", () => {
    const machine = protectedSystem();
    machine.setSegment(SEG_SS, STACK16, 0x4_0000n, 0xffff, 0x93);
    machine.set64(RSP, 0x7777_1000n);
    machine.core.updateMode();
    machine.core.deliverInterrupt(0x20);
    expect(machine.get64(RSP)).toBe(0x7777_0ff4n);
    expect(doublewords(machine, 0x4_0ff4, 3)).toEqual([0x5000, CODE, 0x202]);
  });

  test("INT n checks the gate's privilege", () => {
    const machine = protectedSystem();
    enterUser(machine);
    expect(machine.core.softwareInterrupt(0x80)).toBe(STATUS_FAULT);
    expect(machine.takeFault()).toBe("13(402)");
    setGate(machine, 0x80, 0xee);
    expect(machine.core.softwareInterrupt(0x80)).toBe(STATUS_JUMP);
  });

  test("a task gate to a busy TSS is #GP of the TSS", () => {
    const machine = protectedSystem();
    machine.write64(IDT + 8 * 8, gate({ selector: TSS_SELECTOR, offset: 0n, access: 0x85 }));
    machine.write8(GDT + TSS_SELECTOR + 5, 0x8b);
    expect(machine.core.softwareInterrupt(8)).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe("13(38)");
  });

  const wrongStacks: [name: string, selector: number, code: number][] = [
    ["null", 0, 0],
    ["of the user", USER_DATA, USER_DATA & ~3],
    ["code", CODE, CODE],
    ["beyond the GDT", 0x68, 0x68],
  ];
  test.each(wrongStacks)("an inner stack that is %s: #TS", (_name, selector, code) => {
    const machine = protectedSystem();
    setGate(machine, 0x80, 0xee);
    machine.write32(TSS + 8, selector);
    enterUser(machine);
    expect(machine.core.softwareInterrupt(0x80)).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe(`10(${code.toString(16)})`);
    expect(machine.get32(CPL)).toBe(3);
  });

  test("an absent inner stack: #SS with its selector", () => {
    const machine = protectedSystem();
    setGate(machine, 0x80, 0xee);
    machine.write64(GDT + DATA, descriptor({ access: 0x13 }));
    enterUser(machine);
    machine.core.softwareInterrupt(0x80);
    expect(machine.fault()).toBe("12(10)");
  });

  test("an inner stack without room: #SS with its selector", () => {
    const machine = protectedSystem();
    setGate(machine, 0x80, 0xee);
    machine.write32(TSS + 8, SHORT_DATA);
    machine.write32(TSS + 4, 0x1004);
    enterUser(machine);
    machine.core.softwareInterrupt(0x80);
    expect(machine.fault()).toBe("12(60)");
  });

  test("a stack without room is a double fault in the end, and then shutdown", () => {
    const machine = protectedSystem();
    machine.set64(RSP, 4n);
    machine.setSegment(SEG_SS, DATA, 0n, 0xffff, 0x4093);
    machine.core.raiseGP(0);
    expect(machine.core.deliverFault()).toBe(STATUS_EXIT);
    expect(machine.get32(EXIT_REASON)).toBe(EXIT_SHUTDOWN);
  });

  test("an IDT on an absent page is a page fault of the system's", () => {
    const machine = protectedSystem();
    // One 4 MiB page at 0, and nothing behind it.
    machine.write32(0x10_0000, 0x83);
    machine.set64(CR3, 0x10_0000n);
    machine.set64(CR4, 0x10n);
    machine.set64(CR0, 0x8000_0011n);
    machine.set64(IDTR_BASE, 0x40_0000n);
    enterUser(machine);
    expect(machine.core.softwareInterrupt(0x80)).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe("14(0) at 400400");
  });

  test("a handler beyond the limit of its code segment: #GP with EXT", () => {
    const machine = protectedSystem();
    machine.write64(IDT + 0x80 * 8, gate({ selector: CODE16, offset: 0x1_0000n, access: 0x8e }));
    machine.core.softwareInterrupt(0x80);
    expect(machine.fault()).toBe("13(0)");
  });
});

describe("real mode", () => {
  test("pushes three words and goes through the vector table", () => {
    const machine = realSystem();
    machine.set64(RFLAGS_SYSTEM, 0x4_0302n);
    expect(machine.core.softwareInterrupt(0x21)).toBe(STATUS_JUMP);
    expect(machine.get64(RIP)).toBe(0x21n);
    expect(machine.segment(SEG_CS)).toMatchObject({ selector: 0x3000, base: 0x3_0000n });
    expect(machine.get64(RSP)).toBe(0xffan);
    expect(machine.read16(0x2_0ffa)).toBe(0x200);
    expect(machine.read16(0x2_0ffc)).toBe(0x1000);
    expect(machine.read16(0x2_0ffe)).toBe(0x302);
    expect(machine.get64(RFLAGS_SYSTEM)).toBe(2n);
  });

  test("a fault has no error code there", () => {
    const machine = realSystem();
    machine.core.raiseGP(0x123);
    expect(machine.core.deliverFault()).toBe(STATUS_JUMP);
    expect(machine.get64(RSP)).toBe(0xffan);
    expect(machine.get64(RIP)).toBe(13n);
  });

  test("SP wraps within its 16 bits", () => {
    const machine = realSystem();
    machine.set64(RSP, 0x5555_0002n);
    machine.core.deliverInterrupt(8);
    expect(machine.get64(RSP)).toBe(0x5555_fffcn);
    expect(machine.read16(0x2_0000)).toBe(0x202);
    expect(machine.read16(0x2_fffe)).toBe(0x1000);
  });

  test("an odd SP of 1 cannot push: shutdown", () => {
    const machine = realSystem();
    machine.set64(RSP, 1n);
    expect(machine.core.deliverInterrupt(8)).toBe(STATUS_EXIT);
    expect(machine.get64(RSP)).toBe(1n);
  });

  test("a vector beyond IDTR's limit is #GP, which is delivered", () => {
    const machine = realSystem();
    machine.set32(IDTR_LIMIT, 0x7f);
    expect(machine.core.deliverInterrupt(0x21)).toBe(STATUS_JUMP);
    expect(machine.get64(RIP)).toBe(13n);
  });
});

describe("virtual-8086 mode", () => {
  test("an interrupt pushes the data segments first and makes them null", () => {
    const machine = virtualSystem();
    expect(machine.core.deliverInterrupt(0x20)).toBe(STATUS_JUMP);
    expect(machine.get64(RSP)).toBe(BigInt(INNER_STACK - 36));
    expect(doublewords(machine, INNER_STACK - 36, 9)).toEqual([
      0x200, 0x1000, 0x2_0202, 0x1000, 0x2000, 0x5000, 0x4000, 0, 0,
    ]);
    expect(machine.get64(RFLAGS_SYSTEM)).toBe(2n);
    expect(machine.get32(CPL)).toBe(0);
    expect(machine.segment(SEG_DS)).toMatchObject({ selector: 0, attributes: 0x10000 });
  });

  test("IRETD returns there", () => {
    const machine = virtualSystem();
    machine.core.deliverInterrupt(0x20);
    expect(machine.core.interruptReturn(32)).toBe(STATUS_JUMP);
    expect(machine.get64(RFLAGS_SYSTEM)).toBe(0x2_0202n);
    expect(machine.get32(CPL)).toBe(3);
    expect(machine.get64(RIP)).toBe(0x200n);
    expect(machine.get64(RSP)).toBe(0x1000n);
    expect(machine.get32(CODE_BITS)).toBe(16);
    expect(machine.segment(SEG_CS)).toEqual({
      selector: 0x1000,
      base: 0x1_0000n,
      limit: 0xffff,
      attributes: 0xf3,
    });
    expect(machine.segment(SEG_ES)).toMatchObject({ selector: 0x5000, base: 0x5_0000n });
    expect(machine.segment(SEG_GS)).toMatchObject({ selector: 0, base: 0n });
  });

  test("INT n needs IOPL 3, INT3 does not", () => {
    const machine = virtualSystem();
    setGate(machine, 3, 0xee);
    setGate(machine, 0x21, 0xee);
    expect(machine.core.softwareInterrupt(0x21)).toBe(STATUS_FAULT);
    expect(machine.takeFault()).toBe("13(0)");
    expect(machine.core.softwareException(3)).toBe(STATUS_JUMP);
  });

  test("the handler must be of CPL 0", () => {
    const machine = virtualSystem();
    setGate(machine, 3, 0xee, USER_CODE);
    expect(machine.core.softwareException(3)).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe("13(18)");
  });
});

test("CR2 is not touched by faults other than #PF", () => {
  const machine = protectedSystem();
  machine.set64(CR2, 0x55n);
  machine.core.raiseGP(0);
  machine.core.deliverFault();
  expect(machine.get64(CR2)).toBe(0x55n);
});
