import { beforeEach, describe, expect, test } from "vitest";
import {
  CODE_BITS,
  CPL,
  CR2,
  DR6,
  EXIT_REASON,
  EXIT_SHUTDOWN,
  FAULT_ADDRESS,
  HALTED,
  IDTR_LIMIT,
  INTERRUPT_SHADOW,
  RFLAGS_SYSTEM,
  RIP,
  RSP,
  SEG_CS,
  SEG_SS,
  SEG_TR,
  SEGMENT_LIMIT,
  STATUS_EXIT,
  STATUS_FAULT,
  STATUS_JUMP,
  TLB_BASE,
} from "../../../src/layout/cpu-state.ts";
import type { CoreMachine } from "../memory/core-machine.ts";
import { mapPage } from "../memory/long-mode-paging.ts";
import { descriptor, writeWideGate } from "./descriptor-builder.ts";
import {
  CODE32,
  CONFORMING_CODE,
  enterCompatibility,
  enterUser,
  GDT,
  HANDLER,
  IDT,
  IST1_STACK,
  KERNEL_CODE,
  KERNEL_DATA,
  KERNEL_STACK,
  longModeSystem,
  quadwords,
  RSP0_STACK,
  setGate,
  TRAP_GATE,
  TSS,
  USER_CODE,
  USER_DATA,
  USER_INTERRUPT_GATE,
  USER_STACK,
} from "./long-mode-system.ts";

let machine: CoreMachine;
beforeEach(() => {
  machine = longModeSystem();
});

function place(): { rip: bigint; cpl: number; cs: number; ss: number; rsp: bigint } {
  return {
    rip: machine.get64(RIP),
    cpl: machine.get32(CPL),
    cs: machine.selector(SEG_CS),
    ss: machine.selector(SEG_SS),
    rsp: machine.get64(RSP),
  };
}

describe("an event at CPL 0", () => {
  test("an interrupt pushes five quadwords below the aligned stack pointer", () => {
    machine.set64(RSP, KERNEL_STACK - 3n);
    expect(machine.core.deliverInterrupt(0x20)).toBe(STATUS_JUMP);
    const rsp = KERNEL_STACK - 56n;
    expect(place()).toEqual({ rip: HANDLER, cpl: 0, cs: KERNEL_CODE, ss: KERNEL_DATA, rsp });
    expect(quadwords(machine, rsp, 5)).toEqual([0x5000n, 0x08n, 0x202n, KERNEL_STACK - 3n, 0x10n]);
    expect(machine.get64(RFLAGS_SYSTEM)).toBe(0x2n);
  });

  test("a fault pushes its error code, and RF in the flags", () => {
    machine.core.raiseGP(0x38);
    expect(machine.core.deliverFault()).toBe(STATUS_JUMP);
    expect(quadwords(machine, KERNEL_STACK - 48n, 3)).toEqual([0x38n, 0x5000n, 0x08n]);
    expect(machine.read64(Number(KERNEL_STACK) - 24)).toBe(0x1_0202n);
    expect(machine.get64(RSP)).toBe(KERNEL_STACK - 48n);
    expect(machine.fault()).toBe("none");
  });

  test("a page fault writes CR2", () => {
    mapPage(machine, 0x30, 0, 0n);
    machine.core.readLinear8(0x3_0123n);
    expect(machine.get64(CR2)).toBe(0n);
    machine.core.deliverFault();
    expect(machine.get64(CR2)).toBe(0x3_0123n);
    expect(machine.read64(Number(KERNEL_STACK) - 48)).toBe(0n);
  });

  test("a debug exception adds its conditions to DR6 and pushes no RF", () => {
    machine.set64(FAULT_ADDRESS, 0xffffn);
    machine.core.raiseDebug(0x4000n);
    machine.core.deliverFault();
    expect(machine.get64(DR6)).toBe(0xffff_4ff0n);
    expect(machine.read64(Number(KERNEL_STACK) - 24)).toBe(0x202n);
  });

  test("status flags are pushed as they are", () => {
    machine.core.writeStatusFlags(1, 0, 1, 0, 1, 1);
    machine.core.deliverInterrupt(0x20);
    expect(machine.read64(Number(KERNEL_STACK) - 24)).toBe(0xa93n);
  });

  test("a trap gate keeps IF and clears TF and NT", () => {
    setGate(machine, 0x20, TRAP_GATE);
    machine.set64(RFLAGS_SYSTEM, 0x4302n);
    machine.core.deliverInterrupt(0x20);
    expect(machine.get64(RFLAGS_SYSTEM)).toBe(0x202n);
    expect(machine.read64(Number(KERNEL_STACK) - 24)).toBe(0x4302n);
  });

  test("IST changes the stack, not SS", () => {
    setGate(machine, 2, 0x8e, 1);
    expect(machine.core.deliverNmi()).toBe(STATUS_JUMP);
    expect(place()).toEqual({ rip: HANDLER, cpl: 0, cs: 8, ss: 0x10, rsp: IST1_STACK - 40n });
    expect(quadwords(machine, IST1_STACK - 16n, 2)).toEqual([KERNEL_STACK, 0x10n]);
    expect(machine.core.nmiBlocked()).toBe(1);
  });

  test("halt and interrupt shadow end", () => {
    machine.set32(HALTED, 1);
    machine.set32(INTERRUPT_SHADOW, 1);
    machine.core.deliverInterrupt(0x20);
    expect(machine.get32(HALTED)).toBe(0);
    expect(machine.get32(INTERRUPT_SHADOW)).toBe(0);
  });

  test("a frame across two pages", () => {
    machine.set64(RSP, KERNEL_STACK + 16n);
    machine.core.deliverInterrupt(0x20);
    expect(quadwords(machine, KERNEL_STACK - 24n, 5)).toEqual([
      0x5000n,
      8n,
      0x202n,
      KERNEL_STACK + 16n,
      0x10n,
    ]);
  });
});

describe("an event at CPL 3", () => {
  test("takes RSP0 and a null SS", () => {
    enterUser(machine);
    expect(machine.core.deliverInterrupt(0x20)).toBe(STATUS_JUMP);
    expect(place()).toEqual({ rip: HANDLER, cpl: 0, cs: KERNEL_CODE, ss: 0, rsp: RSP0_STACK - 40n });
    expect(quadwords(machine, RSP0_STACK - 40n, 5)).toEqual([
      0x6000n,
      BigInt(USER_CODE),
      0x202n,
      USER_STACK,
      BigInt(USER_DATA),
    ]);
    expect(machine.get32(TLB_BASE)).toBe(0x140000);
    expect(machine.segment(SEG_SS).attributes).toBe(0x10000);
  });

  test("from compatibility mode enters 64-bit code", () => {
    enterCompatibility(machine);
    expect(machine.get32(CODE_BITS)).toBe(32);
    machine.core.deliverInterrupt(0x20);
    expect(machine.get32(CODE_BITS)).toBe(64);
    expect(quadwords(machine, RSP0_STACK - 40n, 2)).toEqual([0x6000n, 0x1bn]);
  });

  test("conforming code stays at CPL 3 on the same stack", () => {
    writeWideGate(machine, IDT + 0x20 * 16, { selector: CONFORMING_CODE, offset: 0x7000n, access: 0x8e });
    enterUser(machine);
    machine.core.deliverInterrupt(0x20);
    expect(place()).toEqual({ rip: 0x7000n, cpl: 3, cs: 0x33, ss: USER_DATA, rsp: USER_STACK - 40n });
  });
});

describe("INT n", () => {
  test("through a gate of the user's privilege", () => {
    setGate(machine, 0x80, USER_INTERRUPT_GATE);
    enterUser(machine);
    expect(machine.core.softwareInterrupt(0x80)).toBe(STATUS_JUMP);
    expect(machine.read64(Number(RSP0_STACK) - 40)).toBe(0x6000n);
  });

  test("through the supervisor's gate is #GP without EXT, and changes nothing", () => {
    enterUser(machine);
    const before = place();
    expect(machine.core.softwareInterrupt(0x80)).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe("13(402)");
    expect(place()).toEqual(before);
  });

  test("INT3 checks the gate's privilege too, INT1 does not", () => {
    enterUser(machine);
    expect(machine.core.softwareException(3)).toBe(STATUS_FAULT);
    expect(machine.takeFault()).toBe("13(1a)");
    expect(machine.core.debugInterrupt()).toBe(STATUS_JUMP);
    expect(place().rsp).toBe(RSP0_STACK - 40n);
  });

  test("a fault while the frame is pushed is the instruction's", () => {
    setGate(machine, 0x80, USER_INTERRUPT_GATE);
    enterUser(machine);
    mapPage(machine, 0x16, 0, 0n);
    expect(machine.core.softwareInterrupt(0x80)).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe("14(2) at 16ff8");
    expect(place().cpl).toBe(3);
  });
});

describe("errors of delivery", () => {
  /** Vector 0x20 cannot be delivered; the fault that comes instead has its code on the stack. */
  function codeOfInstead(): bigint {
    machine.core.deliverInterrupt(0x20);
    expect(machine.get64(RSP)).toBe(KERNEL_STACK - 48n);
    return machine.read64(Number(KERNEL_STACK) - 48);
  }

  test("a gate of another type: #GP with IDT and EXT", () => {
    setGate(machine, 0x20, 0x8c);
    expect(codeOfInstead()).toBe(0x103n);
  });

  test("an absent gate: #NP", () => {
    setGate(machine, 0x20, 0x0e);
    setGate(machine, 13, 0x0f);
    expect(codeOfInstead()).toBe(0x103n);
  });

  test("a null selector: #GP with EXT alone", () => {
    writeWideGate(machine, IDT + 0x200, { selector: 3, offset: HANDLER, access: 0x8e });
    expect(codeOfInstead()).toBe(1n);
  });

  test("code that is not 64-bit: #GP with the selector", () => {
    writeWideGate(machine, IDT + 0x200, { selector: CODE32, offset: 0x1000n, access: 0x8e });
    expect(codeOfInstead()).toBe(0x61n);
  });

  test("a data segment: #GP with the selector", () => {
    writeWideGate(machine, IDT + 0x200, { selector: KERNEL_DATA, offset: 0x1000n, access: 0x8e });
    expect(codeOfInstead()).toBe(0x11n);
  });

  test("a selector beyond the GDT: #GP with the selector", () => {
    writeWideGate(machine, IDT + 0x200, { selector: 0x88, offset: 0x1000n, access: 0x8e });
    expect(codeOfInstead()).toBe(0x89n);
  });

  test("a non-canonical handler: #GP with EXT alone", () => {
    writeWideGate(machine, IDT + 0x200, { selector: KERNEL_CODE, offset: 1n << 47n, access: 0x8e });
    expect(codeOfInstead()).toBe(1n);
  });

  test("a vector beyond the IDT: #GP", () => {
    machine.set32(IDTR_LIMIT, 0x1ff);
    expect(codeOfInstead()).toBe(0x103n);
  });

  test("RSP0 beyond the TSS: #TS with TR's selector", () => {
    enterUser(machine);
    setGate(machine, 10, 0x8e, 0);
    machine.set32(SEG_TR + SEGMENT_LIMIT, 0x0a);
    // #TS needs RSP0 as well: a double fault, which fails too.
    expect(machine.core.deliverInterrupt(0x20)).toBe(STATUS_EXIT);
    expect(machine.get32(EXIT_REASON)).toBe(EXIT_SHUTDOWN);
  });

  test("a non-canonical IST: #SS with EXT alone", () => {
    setGate(machine, 0x20, 0x8e, 1);
    machine.write64(TSS + 36, 1n << 47n);
    expect(codeOfInstead()).toBe(1n);
    expect(machine.get64(RIP)).toBe(HANDLER);
  });
});

describe("double and triple faults", () => {
  test("a contributory fault on the way to a contributory fault's handler: #DF with code 0", () => {
    setGate(machine, 13, 0x0e);
    setGate(machine, 8, 0x8e, 1);
    machine.core.raiseGP(0x28);
    expect(machine.core.deliverFault()).toBe(STATUS_JUMP);
    expect(quadwords(machine, IST1_STACK - 48n, 4)).toEqual([0n, 0x5000n, 8n, 0x202n]);
  });

  test("a page fault on the way to a page fault's handler: #DF, and CR2 is the second's", () => {
    setGate(machine, 8, 0x8e, 1);
    mapPage(machine, 0x10, 0, 0n);
    machine.set64(RSP, 0x1_0800n);
    machine.core.readLinear8(0x1_0000n);
    expect(machine.core.deliverFault()).toBe(STATUS_JUMP);
    expect(machine.get64(CR2)).toBe(0x1_07f8n);
    expect(machine.get64(RSP)).toBe(IST1_STACK - 48n);
  });

  test("a page fault on the way to a contributory fault's handler is delivered by itself", () => {
    setGate(machine, 13, 0x8e, 1);
    machine.write64(TSS + 36, 0x2_0000n);
    mapPage(machine, 0x1f, 0, 0n);
    machine.core.raiseGP(0);
    expect(machine.core.deliverFault()).toBe(STATUS_JUMP);
    expect(machine.get64(CR2)).toBe(0x1_fff8n);
    expect(quadwords(machine, KERNEL_STACK - 48n, 2)).toEqual([2n, 0x5000n]);
  });

  test("a fault on the way to a benign exception's handler is delivered by itself", () => {
    setGate(machine, 6, 0x0e);
    machine.core.raise(6);
    expect(machine.core.deliverFault()).toBe(STATUS_JUMP);
    expect(machine.read64(Number(KERNEL_STACK) - 48)).toBe(0x33n);
  });

  test("a fault on the way to #DF's handler: shutdown", () => {
    setGate(machine, 13, 0x0e);
    setGate(machine, 11, 0x0e);
    setGate(machine, 8, 0x0e);
    machine.core.raiseGP(0);
    expect(machine.core.deliverFault()).toBe(STATUS_EXIT);
    expect(machine.get32(EXIT_REASON)).toBe(EXIT_SHUTDOWN);
    expect(machine.get64(RIP)).toBe(0x5000n);
  });
});

test("delivery marks the code segment accessed", () => {
  machine.write64(GDT + KERNEL_CODE, descriptor({ access: 0x9a, flags: 0xa }));
  machine.core.deliverInterrupt(0x20);
  expect(machine.read8(GDT + KERNEL_CODE + 5)).toBe(0x9b);
  expect(machine.segment(SEG_CS).attributes).toBe(0xa09b);
});
