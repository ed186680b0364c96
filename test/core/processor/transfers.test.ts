import { beforeEach, describe, expect, test } from "vitest";
import {
  CODE_BITS,
  CPL,
  RIP,
  RIP_MASK,
  RSP,
  SEG_CS,
  SEG_DS,
  SEG_SS,
  STATUS_FAULT,
  STATUS_JUMP,
} from "../../../src/layout/cpu-state.ts";
import type { CoreMachine } from "../memory/core-machine.ts";
import { descriptor, gate, writeWideGate } from "./descriptor-builder.ts";
import {
  CALL_GATE,
  CODE32,
  CONFORMING_CODE,
  enterUser,
  GDT,
  HANDLER,
  KERNEL_CODE,
  KERNEL_DATA,
  KERNEL_STACK,
  longModeSystem,
  quadwords,
  RSP0_STACK,
  TSS_SELECTOR,
  USER_CODE,
  USER_DATA,
  USER_STACK,
} from "./long-mode-system.ts";
import * as legacySystem from "./protected-system.ts";

let machine: CoreMachine;
beforeEach(() => {
  machine = longModeSystem();
});

describe("far JMP in long mode", () => {
  test("to 64-bit code", () => {
    expect(machine.core.farJump(KERNEL_CODE, HANDLER, 64)).toBe(STATUS_JUMP);
    expect(machine.get64(RIP)).toBe(HANDLER);
  });

  test("to compatibility mode", () => {
    expect(machine.core.farJump(CODE32, 0xffff_0000_7000n, 32)).toBe(STATUS_JUMP);
    expect(machine.get64(RIP)).toBe(0x7000n);
    expect(machine.get32(CODE_BITS)).toBe(32);
    expect(machine.get32(RIP_MASK)).toBe(0xffff_ffff);
  });

  test("to conforming code keeps CPL in CS", () => {
    enterUser(machine);
    expect(machine.core.farJump(CONFORMING_CODE, 0x7000n, 64)).toBe(STATUS_JUMP);
    expect(machine.selector(SEG_CS)).toBe(CONFORMING_CODE | 3);
    expect(machine.get32(CPL)).toBe(3);
  });

  test("through a call gate of the same privilege", () => {
    expect(machine.core.farJump(CALL_GATE, 0x1234n, 64)).toBe(STATUS_JUMP);
    expect(machine.get64(RIP)).toBe(HANDLER);
  });

  const refusals: [name: string, selector: number, offset: bigint, fault: string][] = [
    ["a null selector", 0, 0n, "13(0)"],
    ["a selector beyond the GDT", 0x88, 0n, "13(88)"],
    ["data", KERNEL_DATA, 0n, "13(10)"],
    ["an inner level", KERNEL_CODE, 0n, "13(8)"],
    ["an inner level through a gate", CALL_GATE | 3, 0n, "13(8)"],
    ["a TSS", TSS_SELECTOR, 0n, "13(40)"],
    ["a non-canonical offset", USER_CODE, 1n << 47n, "13(0)"],
  ];
  test.each(refusals)("from CPL 3 refuses %s", (_name, selector, offset, fault) => {
    enterUser(machine);
    expect(machine.core.farJump(selector, offset, 64)).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe(fault);
    expect(machine.get64(RIP)).toBe(0x6000n);
  });

  test("refuses absent code with #NP, and code both 64-bit and 32-bit", () => {
    machine.write64(GDT + CODE32, descriptor({ access: 0x1b }));
    machine.core.farJump(CODE32, 0n, 32);
    expect(machine.takeFault()).toBe("11(60)");
    machine.write64(GDT + CODE32, descriptor({ access: 0x9b, flags: 0xe }));
    machine.core.farJump(CODE32, 0n, 32);
    expect(machine.fault()).toBe("13(60)");
  });

  test("refuses a call gate with a type in its upper half, or to code that is not 64-bit", () => {
    machine.write8(GDT + CALL_GATE + 13, 0x0c);
    machine.core.farJump(CALL_GATE, 0n, 64);
    expect(machine.takeFault()).toBe("13(78)");
    writeWideGate(machine, GDT + CALL_GATE, { selector: CODE32, offset: 0n, access: 0xec });
    machine.core.farJump(CALL_GATE, 0n, 64);
    expect(machine.fault()).toBe("13(60)");
  });
});

describe("far CALL and RET in long mode", () => {
  test("with an operand size of 64 bits", () => {
    expect(machine.core.farCall(KERNEL_CODE, 0x7000n, 64)).toBe(STATUS_JUMP);
    expect(machine.get64(RSP)).toBe(KERNEL_STACK - 16n);
    expect(quadwords(machine, KERNEL_STACK - 16n, 2)).toEqual([0x5000n, 8n]);
    expect(machine.core.farReturn(64, 8)).toBe(STATUS_JUMP);
    expect(machine.get64(RIP)).toBe(0x5000n);
    expect(machine.get64(RSP)).toBe(KERNEL_STACK + 8n);
  });

  test("with an operand size of 32 bits", () => {
    expect(machine.core.farCall(CODE32, 0x7000n, 32)).toBe(STATUS_JUMP);
    expect(machine.read64(Number(KERNEL_STACK) - 8)).toBe(0x0000_0008_0000_5000n);
    expect(machine.core.farReturn(32, 0)).toBe(STATUS_JUMP);
    expect(machine.get32(CODE_BITS)).toBe(64);
  });

  test("through a call gate to an inner level, and back", () => {
    enterUser(machine);
    expect(machine.core.farCall(CALL_GATE | 3, 0n, 32)).toBe(STATUS_JUMP);
    expect(machine.get64(RIP)).toBe(HANDLER);
    expect(machine.get32(CPL)).toBe(0);
    expect(machine.selector(SEG_SS)).toBe(0);
    expect(machine.get64(RSP)).toBe(RSP0_STACK - 32n);
    expect(quadwords(machine, RSP0_STACK - 32n, 4)).toEqual([
      0x6000n,
      BigInt(USER_CODE),
      USER_STACK,
      BigInt(USER_DATA),
    ]);
    machine.setSegment(SEG_DS, KERNEL_DATA, 0n, 0xffff_ffff, 0xc093);
    expect(machine.core.farReturn(64, 0)).toBe(STATUS_JUMP);
    expect(machine.get32(CPL)).toBe(3);
    expect(machine.get64(RSP)).toBe(USER_STACK);
    expect(machine.get64(RIP)).toBe(0x6000n);
    expect(machine.selector(SEG_SS)).toBe(USER_DATA);
    expect(machine.selector(SEG_DS)).toBe(0);
  });

  test("a gate that the privilege does not reach is #GP with the gate's selector", () => {
    writeWideGate(machine, GDT + CALL_GATE, { selector: KERNEL_CODE, offset: HANDLER, access: 0x8c });
    enterUser(machine);
    expect(machine.core.farCall(CALL_GATE, 0n, 64)).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe("13(78)");
  });

  test("RET refuses an inner level", () => {
    enterUser(machine);
    machine.write64(Number(USER_STACK) + 8, BigInt(KERNEL_CODE));
    expect(machine.core.farReturn(64, 0)).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe("13(8)");
    expect(machine.get64(RSP)).toBe(USER_STACK);
  });
});

describe("protected mode", () => {
  test("a gate copies parameters between the stacks, and RET releases both", () => {
    const legacy = legacySystem.protectedSystem();
    legacySystem.enterUser(legacy);
    legacy.write32(legacySystem.USER_STACK, 0x1111);
    legacy.write32(legacySystem.USER_STACK + 4, 0x2222);
    expect(legacy.core.farCall(legacySystem.CALL_GATE | 3, 0n, 32)).toBe(STATUS_JUMP);
    const top = legacySystem.INNER_STACK;
    expect(legacy.get64(RSP)).toBe(BigInt(top - 24));
    expect(legacySystem.doublewords(legacy, top - 24, 6)).toEqual([
      0x6000,
      0x1b,
      0x1111,
      0x2222,
      legacySystem.USER_STACK,
      0x23,
    ]);
    expect(legacy.core.farReturn(32, 8)).toBe(STATUS_JUMP);
    expect(legacy.get64(RSP)).toBe(BigInt(legacySystem.USER_STACK + 8));
    expect(legacy.get64(RIP)).toBe(0x6000n);
    expect(legacy.get32(CPL)).toBe(3);
  });

  test("a 16-bit gate pushes words", () => {
    const legacy = legacySystem.protectedSystem();
    legacySystem.enterUser(legacy);
    legacy.write16(legacySystem.USER_STACK, 0x1111);
    expect(legacy.core.farCall(legacySystem.CALL_GATE16, 0n, 32)).toBe(STATUS_JUMP);
    expect(legacy.get64(RIP)).toBe(0x4321n);
    expect(legacy.get64(RSP)).toBe(BigInt(legacySystem.INNER_STACK - 10));
    expect(legacy.read16(legacySystem.INNER_STACK - 6)).toBe(0x1111);
  });

  test("a busy TSS is #GP, and a task gate to it is #GP of the TSS", () => {
    const legacy = legacySystem.protectedSystem();
    legacy.write8(legacySystem.GDT + legacySystem.TSS_SELECTOR + 5, 0x8b);
    legacy.core.farJump(legacySystem.TSS_SELECTOR, 0n, 32);
    expect(legacy.takeFault()).toBe("13(38)");
    legacy.core.farCall(legacySystem.TASK_GATE, 0n, 32);
    expect(legacy.fault()).toBe("13(38)");
  });

  test("a jump beyond the limit is #GP(0)", () => {
    const legacy = legacySystem.protectedSystem();
    legacy.write64(legacySystem.GDT + 0x08, descriptor({ access: 0x9b, limit: 0x0fff, flags: 0x4 }));
    expect(legacy.core.farJump(8, 0x1000n, 32)).toBe(STATUS_FAULT);
    expect(legacy.fault()).toBe("13(0)");
    legacy.core.clearFault();
    expect(legacy.core.farJump(8, 0xfffn, 32)).toBe(STATUS_JUMP);
  });

  test("a call gate of long mode's width is an ordinary one here", () => {
    const legacy = legacySystem.protectedSystem();
    legacy.write64(legacySystem.GDT + 0x60, gate({ selector: 8, offset: 0xabcd_1234n, access: 0x8c }));
    expect(legacy.core.farCall(0x60, 0n, 32)).toBe(STATUS_JUMP);
    expect(legacy.get64(RIP)).toBe(0xabcd_1234n);
    expect(legacy.get64(RSP)).toBe(BigInt(legacySystem.STACK - 8));
  });
});

describe("real mode", () => {
  test("far JMP, CALL and RET", () => {
    const real = legacySystem.realSystem();
    expect(real.core.farCall(0x3000, 0x1_0044n, 16)).toBe(STATUS_JUMP);
    expect(real.segment(SEG_CS)).toMatchObject({ selector: 0x3000, base: 0x3_0000n, limit: 0xffff });
    expect(real.get64(RIP)).toBe(0x44n);
    expect(real.read32(0x2_0ffc)).toBe(0x1000_0200);
    expect(real.core.farReturn(16, 2)).toBe(STATUS_JUMP);
    expect(real.get64(RIP)).toBe(0x200n);
    expect(real.selector(SEG_CS)).toBe(0x1000);
    expect(real.get64(RSP)).toBe(0x1002n);
    expect(real.core.farJump(0xffff, 0x10n, 16)).toBe(STATUS_JUMP);
    expect(real.segment(SEG_CS).base).toBe(0xf_fff0n);
  });

  test("an offset beyond 64 KiB is #GP(0)", () => {
    const real = legacySystem.realSystem();
    expect(real.core.farJump(0, 0x1_0000n, 32)).toBe(STATUS_FAULT);
    expect(real.takeFault()).toBe("13(0)");
    expect(real.core.farCall(0, 0x1_0000n, 32)).toBe(STATUS_FAULT);
    expect(real.takeFault()).toBe("13(0)");
    real.write32(0x2_1000, 0x1_0000);
    expect(real.core.farReturn(32, 0)).toBe(STATUS_FAULT);
    expect(real.takeFault()).toBe("13(0)");
    expect(real.core.interruptReturn(32)).toBe(STATUS_FAULT);
    expect(real.fault()).toBe("13(0)");
    expect(real.get64(RSP)).toBe(0x1000n);
  });

  test("a stack without room is #SS(0), and nothing is entered", () => {
    const real = legacySystem.realSystem();
    real.set64(RSP, 1n);
    expect(real.core.farCall(0x3000, 0n, 16)).toBe(STATUS_FAULT);
    expect(real.fault()).toBe("12(0)");
    expect(real.selector(SEG_CS)).toBe(0x1000);
    expect(real.get64(RSP)).toBe(1n);
  });

  test("IRET pops IP, CS and FLAGS", () => {
    const real = legacySystem.realSystem();
    real.core.deliverInterrupt(8);
    expect(real.core.interruptReturn(16)).toBe(STATUS_JUMP);
    expect(real.get64(RIP)).toBe(0x200n);
    expect(real.core.readFlags()).toBe(0x202n);
    expect(real.get64(RSP)).toBe(0x1000n);
  });
});

describe("from real mode to long mode", () => {
  test("a far jump after CR0.PE leaves real mode's code segment", () => {
    const legacy = legacySystem.protectedSystem();
    legacy.setSegment(SEG_CS, 0xf000, 0xf_0000n, 0xffff, 0x93);
    legacy.core.updateMode();
    expect(legacy.get32(CODE_BITS)).toBe(16);
    expect(legacy.core.farJump(8, 0x7000n, 32)).toBe(STATUS_JUMP);
    expect(legacy.get32(CODE_BITS)).toBe(32);
  });
});
