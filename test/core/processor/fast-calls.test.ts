import { beforeEach, describe, expect, test } from "vitest";
import {
  CODE_BITS,
  CPL,
  MSR_CSTAR,
  MSR_EFER,
  MSR_KERNEL_GS_BASE,
  MSR_LSTAR,
  MSR_SFMASK,
  MSR_STAR,
  MSR_SYSENTER_CS,
  MSR_SYSENTER_EIP,
  MSR_SYSENTER_ESP,
  R11,
  RCX,
  RDX,
  RFLAGS_SYSTEM,
  RIP,
  RSP,
  SEG_CS,
  SEG_GS,
  SEG_SS,
  SEGMENT_BASE,
  SEGMENT_EFFECTIVE_BASE,
  STATUS_FAULT,
  STATUS_JUMP,
  STATUS_OK,
  TLB_BASE,
} from "../../../src/layout/cpu-state.ts";
import { TLB_BANK_SUPERVISOR_AC, TLB_BANK_USER } from "../../../src/layout/memory-map.ts";
import type { CoreMachine } from "../memory/core-machine.ts";
import { enterCompatibility, enterUser, longModeSystem, USER_STACK } from "./long-mode-system.ts";
import { protectedSystem } from "./protected-system.ts";

const ENTRY = 0xffff_8000_0000_1000n;

let machine: CoreMachine;
beforeEach(() => {
  machine = longModeSystem();
  machine.set64(MSR_STAR, 0x001b_0008_8888_0000n);
  machine.set64(MSR_LSTAR, ENTRY);
  machine.set64(MSR_CSTAR, ENTRY + 0x100n);
  machine.set64(MSR_SFMASK, 0x4_0700n);
});

describe("SYSCALL", () => {
  test("from 64-bit code", () => {
    enterUser(machine);
    machine.set64(RFLAGS_SYSTEM, 0x4_0602n);
    machine.core.writeStatusFlags(1, 0, 0, 1, 0, 0);
    expect(machine.core.syscall()).toBe(STATUS_JUMP);
    expect(machine.get64(RIP)).toBe(ENTRY);
    expect(machine.get64(RCX)).toBe(0x6000n);
    expect(machine.get64(R11)).toBe(0x4_0643n);
    expect(machine.core.readFlags()).toBe(0x43n);
    expect(machine.get64(RSP)).toBe(USER_STACK);
    expect(machine.get32(CPL)).toBe(0);
    expect(machine.get32(TLB_BASE)).toBe(TLB_BANK_SUPERVISOR_AC);
    expect(machine.segment(SEG_CS)).toEqual({
      selector: 8,
      base: 0n,
      limit: 0xffff_ffff,
      attributes: 0xa09b,
    });
    expect(machine.segment(SEG_SS)).toEqual({
      selector: 0x10,
      base: 0n,
      limit: 0xffff_ffff,
      attributes: 0xc093,
    });
  });

  test("SFMASK reaches the status flags", () => {
    enterUser(machine);
    machine.set64(MSR_SFMASK, 0x8d5n);
    machine.core.writeStatusFlags(1, 1, 1, 1, 1, 1);
    machine.core.syscall();
    expect(machine.get64(R11)).toBe(0xad7n);
    expect(machine.core.readFlags()).toBe(0x202n);
  });

  test("outside of 64-bit code is #UD, as SYSRET is", () => {
    enterCompatibility(machine);
    expect(machine.core.syscall()).toBe(STATUS_FAULT);
    expect(machine.takeFault()).toBe("6");
    machine = protectedSystem();
    machine.set64(MSR_EFER, 1n);
    expect(machine.core.syscall()).toBe(STATUS_FAULT);
    expect(machine.takeFault()).toBe("6");
    expect(machine.core.sysret(32)).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe("6");
  });

  test("without EFER.SCE is #UD", () => {
    machine.set64(MSR_EFER, 0x500n);
    expect(machine.core.syscall()).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe("6");
  });
});

describe("SYSRET", () => {
  test("to 64-bit code; SS becomes flat", () => {
    machine.set64(RCX, 0x7000n);
    machine.set64(R11, 0x3_0ad7n);
    expect(machine.core.sysret(64)).toBe(STATUS_JUMP);
    expect(machine.get64(RIP)).toBe(0x7000n);
    expect(machine.core.readFlags()).toBe(0xad7n);
    expect(machine.get32(CPL)).toBe(3);
    expect(machine.get32(TLB_BASE)).toBe(TLB_BANK_USER);
    expect(machine.segment(SEG_CS)).toEqual({
      selector: 0x2b,
      base: 0n,
      limit: 0xffff_ffff,
      attributes: 0xa0fb,
    });
    expect(machine.segment(SEG_SS)).toEqual({
      selector: 0x23,
      base: 0n,
      limit: 0xffff_ffff,
      attributes: 0xc0f3,
    });
  });

  test("to 32-bit code", () => {
    machine.set64(RCX, 0x1_0000_7000n);
    machine.set64(R11, 0x202n);
    expect(machine.core.sysret(32)).toBe(STATUS_JUMP);
    expect(machine.get64(RIP)).toBe(0x7000n);
    expect(machine.segment(SEG_CS)).toMatchObject({ selector: 0x1b, attributes: 0xc0fb });
    expect(machine.get32(CODE_BITS)).toBe(32);
  });

  test("to a non-canonical address is #GP(0) at CPL 0", () => {
    machine.set64(RCX, 1n << 47n);
    expect(machine.core.sysret(64)).toBe(STATUS_FAULT);
    expect(machine.get32(CPL)).toBe(0);
    expect(machine.fault()).toBe("13(0)");
  });

  test("at CPL 3 is #GP(0)", () => {
    enterUser(machine);
    expect(machine.core.sysret(64)).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe("13(0)");
  });
});

describe("SYSENTER and SYSEXIT", () => {
  test("in long mode enter 64-bit code from compatibility mode, and leave to either", () => {
    enterCompatibility(machine);
    machine.set64(MSR_SYSENTER_CS, 8n);
    machine.set64(MSR_SYSENTER_ESP, ENTRY + 0x200n);
    machine.set64(MSR_SYSENTER_EIP, ENTRY);
    expect(machine.core.sysenter()).toBe(STATUS_JUMP);
    expect(machine.get64(RIP)).toBe(ENTRY);
    expect(machine.get64(RSP)).toBe(ENTRY + 0x200n);
    expect(machine.get32(CPL)).toBe(0);
    expect(machine.get32(CODE_BITS)).toBe(64);
    machine.set64(RCX, 0x7fff_0000_0000n);
    machine.set64(RDX, 0x6000_0000_0000n);
    expect(machine.core.sysexit(64)).toBe(STATUS_JUMP);
    expect(machine.get64(RIP)).toBe(0x6000_0000_0000n);
    expect(machine.get64(RSP)).toBe(0x7fff_0000_0000n);
    expect(machine.segment(SEG_CS)).toMatchObject({ selector: 0x2b, attributes: 0xa0fb });
    expect(machine.segment(SEG_SS)).toMatchObject({ selector: 0x33, attributes: 0xc0f3 });
  });

  test("SYSEXIT to 32-bit code leaves long mode's 64-bit code; to a non-canonical place it is #GP(0)", () => {
    machine.set64(MSR_SYSENTER_CS, 8n);
    machine.set64(RCX, 0x1_0000_8000n);
    machine.set64(RDX, 1n << 47n);
    expect(machine.core.sysexit(64)).toBe(STATUS_FAULT);
    expect(machine.takeFault()).toBe("13(0)");
    expect(machine.core.sysexit(32)).toBe(STATUS_JUMP);
    expect(machine.get64(RIP)).toBe(0n);
    expect(machine.get64(RSP)).toBe(0x8000n);
    expect(machine.get32(CODE_BITS)).toBe(32);
  });

  test("in protected mode enter and leave flat segments", () => {
    machine = protectedSystem();
    machine.set64(MSR_SYSENTER_CS, 8n);
    machine.set64(MSR_SYSENTER_ESP, 0x1_0000n);
    machine.set64(MSR_SYSENTER_EIP, 0x9000n);
    expect(machine.core.sysenter()).toBe(STATUS_JUMP);
    expect(machine.get64(RIP)).toBe(0x9000n);
    expect(machine.get64(RSP)).toBe(0x1_0000n);
    expect(machine.selector(SEG_SS)).toBe(0x10);
    machine.set64(RCX, 0x2_0000n);
    machine.set64(RDX, 0xa000n);
    expect(machine.core.sysexit(32)).toBe(STATUS_JUMP);
    expect(machine.get64(RIP)).toBe(0xa000n);
    expect(machine.get64(RSP)).toBe(0x2_0000n);
    expect(machine.segment(SEG_CS)).toMatchObject({ selector: 0x1b, attributes: 0xc0fb });
    expect(machine.segment(SEG_SS)).toMatchObject({ selector: 0x23, attributes: 0xc0f3 });
    expect(machine.get32(CPL)).toBe(3);
  });

  test("with a null SYSENTER_CS are #GP(0)", () => {
    machine = protectedSystem();
    expect(machine.core.sysenter()).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe("13(0)");
  });
});

describe("SWAPGS", () => {
  test("exchanges the bases", () => {
    machine.set64(SEG_GS + SEGMENT_BASE, 0x1111n);
    machine.set64(MSR_KERNEL_GS_BASE, ENTRY);
    expect(machine.core.swapgs()).toBe(STATUS_OK);
    expect(machine.get64(SEG_GS + SEGMENT_BASE)).toBe(ENTRY);
    expect(machine.get64(SEG_GS + SEGMENT_EFFECTIVE_BASE)).toBe(ENTRY);
    expect(machine.get64(MSR_KERNEL_GS_BASE)).toBe(0x1111n);
  });

  test("is #GP(0) at CPL 3 and #UD outside of 64-bit code", () => {
    enterUser(machine);
    machine.core.swapgs();
    expect(machine.takeFault()).toBe("13(0)");
    enterCompatibility(machine);
    machine.core.swapgs();
    expect(machine.fault()).toBe("6");
  });
});
