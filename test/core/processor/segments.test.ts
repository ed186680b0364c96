import { beforeEach, describe, expect, test } from "vitest";
import {
  GDTR_LIMIT,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_LDTR,
  SEG_SS,
  SEG_TR,
  SEGMENT_EFFECTIVE_BASE,
  STACK_BITS,
  STATUS_FAULT,
  STATUS_OK,
} from "../../../src/layout/cpu-state.ts";
import type { CoreMachine } from "../memory/core-machine.ts";
import { mapPage, P, setPrivilege } from "../memory/long-mode-paging.ts";
import { descriptor, writeWideDescriptor } from "./descriptor-builder.ts";
import {
  ABSENT_DATA,
  CALL_GATE,
  CODE32,
  CONFORMING_CODE,
  EXECUTE_ONLY,
  enterUser,
  GDT,
  KERNEL_CODE,
  KERNEL_DATA,
  LDT,
  LDT_SELECTOR,
  longModeSystem,
  READ_ONLY_DATA,
  TSS,
  TSS_SELECTOR,
  USER_CODE,
  USER_DATA,
} from "./long-mode-system.ts";
import {
  EXPAND_DOWN,
  protectedSystem,
  realSystem,
  SHORT_DATA,
  STACK16,
  virtualSystem,
} from "./protected-system.ts";

const [ES, SS, DS, FS, GS] = [0, 2, 3, 4, 5] as const;

let machine: CoreMachine;
beforeEach(() => {
  machine = longModeSystem();
});

describe("loads of DS, ES, FS and GS", () => {
  test("take base, limit and attributes from the descriptor", () => {
    machine.write64(GDT + 0x20, descriptor({ base: 0x8765_4321, limit: 0x12345, access: 0xf3, flags: 0x4 }));
    expect(machine.core.loadSegment(FS, USER_DATA)).toBe(STATUS_OK);
    expect(machine.segment(SEG_FS)).toEqual({
      selector: USER_DATA,
      base: 0x8765_4321n,
      limit: 0x12345,
      attributes: 0x40f3,
    });
    expect(machine.get64(SEG_FS + SEGMENT_EFFECTIVE_BASE)).toBe(0x8765_4321n);
  });

  test("in 64-bit code add no base for DS", () => {
    machine.write64(GDT + 0x20, descriptor({ base: 0x1000, access: 0xf3 }));
    machine.core.loadSegment(DS, USER_DATA);
    expect(machine.segment(SEG_DS)).toMatchObject({ base: 0x1000n, limit: 0xffff_ffff });
    expect(machine.get64(SEG_DS + SEGMENT_EFFECTIVE_BASE)).toBe(0n);
  });

  test("mark the descriptor accessed", () => {
    machine.write64(GDT + 0x20, descriptor({ access: 0xf2 }));
    machine.core.loadSegment(ES, USER_DATA);
    expect(machine.read8(GDT + 0x25)).toBe(0xf3);
    expect(machine.segment(SEG_ES).attributes).toBe(0xc0f3);
  });

  test("fault when the accessed bit cannot be written", () => {
    machine.write64(GDT + 0x20, descriptor({ access: 0xf2 }));
    mapPage(machine, 1, 1, P);
    expect(machine.core.loadSegment(ES, USER_DATA)).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe("14(3) at 1025");
    expect(machine.selector(SEG_ES)).toBe(KERNEL_DATA);
  });

  test("accept any null selector and keep its RPL", () => {
    expect(machine.core.loadSegment(GS, 3)).toBe(STATUS_OK);
    expect(machine.segment(SEG_GS)).toEqual({ selector: 3, base: 0n, limit: 0, attributes: 0x10000 });
  });

  test("refuse a descriptor that the GDT's limit cuts", () => {
    machine.set32(GDTR_LIMIT, 0x26);
    expect(machine.core.loadSegment(DS, USER_DATA)).toBe(STATUS_FAULT);
    expect(machine.takeFault()).toBe("13(20)");
    machine.set32(GDTR_LIMIT, 0x27);
    expect(machine.core.loadSegment(DS, USER_DATA)).toBe(STATUS_OK);
  });

  test("find descriptors in the LDT", () => {
    expect(machine.core.lldt(LDT_SELECTOR)).toBe(STATUS_OK);
    machine.write64(LDT + 8, descriptor({ base: 0x5555, access: 0xf3 }));
    expect(machine.core.loadSegment(FS, 0x0f)).toBe(STATUS_OK);
    expect(machine.segment(SEG_FS).base).toBe(0x5555n);
  });

  test("work in compatibility and 64-bit code of CPL 3", () => {
    enterUser(machine);
    expect(machine.core.loadSegment(DS, USER_DATA)).toBe(STATUS_OK);
    expect(machine.core.loadSegment(DS, USER_CODE)).toBe(STATUS_OK);
    expect(machine.core.loadSegment(DS, CONFORMING_CODE)).toBe(STATUS_OK);
  });

  const refusals: [name: string, cpl: number, selector: number, fault: string][] = [
    ["beyond the GDT", 0, 0x88, "13(88)"],
    ["in a null LDT", 0, 0x0c, "13(c)"],
    ["code that cannot be read", 0, EXECUTE_ONLY, "13(68)"],
    ["a system segment", 0, TSS_SELECTOR, "13(40)"],
    ["a gate", 0, CALL_GATE, "13(78)"],
    ["RPL above DPL", 0, KERNEL_DATA | 3, "13(10)"],
    ["CPL above DPL", 3, KERNEL_DATA, "13(10)"],
    ["an absent segment", 0, ABSENT_DATA, "11(38)"],
  ];
  test.each(refusals)("refuse %s", (_name, cpl, selector, fault) => {
    machine.setSegment(SEG_LDTR, 0, 0n, 0, 0x10000);
    setPrivilege(machine, cpl);
    expect(machine.core.loadSegment(DS, selector)).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe(fault);
    expect(machine.selector(SEG_DS)).toBe(KERNEL_DATA);
  });
});

describe("loads of SS", () => {
  const refusals: [name: string, cpl: number, selector: number, fault: string][] = [
    ["a null selector at CPL 3", 3, 0, "13(0)"],
    ["a null selector with another RPL", 0, 1, "13(0)"],
    ["RPL other than CPL", 0, KERNEL_DATA | 3, "13(10)"],
    ["DPL other than CPL", 3, KERNEL_DATA | 3, "13(10)"],
    ["read-only data", 0, READ_ONLY_DATA, "13(70)"],
    ["code", 0, KERNEL_CODE, "13(8)"],
    ["an absent segment", 0, ABSENT_DATA, "12(38)"],
  ];
  test.each(refusals)("refuse %s", (_name, cpl, selector, fault) => {
    setPrivilege(machine, cpl);
    expect(machine.core.loadSegment(SS, selector)).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe(fault);
  });

  test("accept null in 64-bit code of CPL 0, not in other code", () => {
    expect(machine.core.loadSegment(SS, 0)).toBe(STATUS_OK);
    expect(machine.segment(SEG_SS)).toMatchObject({ selector: 0, attributes: 0x10000 });
    const legacy = protectedSystem();
    expect(legacy.core.loadSegment(SS, 0)).toBe(STATUS_FAULT);
    expect(legacy.fault()).toBe("13(0)");
  });

  test("change the stack's size", () => {
    const legacy = protectedSystem();
    expect(legacy.get32(STACK_BITS)).toBe(32);
    expect(legacy.core.loadSegment(SS, STACK16)).toBe(STATUS_OK);
    expect(legacy.get32(STACK_BITS)).toBe(16);
  });
});

describe("without protection", () => {
  test("real mode shifts the selector and keeps the limit", () => {
    const real = realSystem();
    real.setSegment(SEG_DS, 0, 0n, 0xffff_ffff, 0xc093);
    expect(real.core.loadSegment(DS, 0xb800)).toBe(STATUS_OK);
    expect(real.segment(SEG_DS)).toEqual({
      selector: 0xb800,
      base: 0xb_8000n,
      limit: 0xffff_ffff,
      attributes: 0xc093,
    });
    expect(real.get64(SEG_DS + SEGMENT_EFFECTIVE_BASE)).toBe(0xb_8000n);
  });

  test("virtual-8086 mode sets limit and access too", () => {
    const virtual = virtualSystem();
    expect(virtual.core.loadSegment(GS, 0xb800)).toBe(STATUS_OK);
    expect(virtual.segment(SEG_GS)).toEqual({
      selector: 0xb800,
      base: 0xb_8000n,
      limit: 0xffff,
      attributes: 0xf3,
    });
  });
});

describe("addresses outside of 64-bit code", () => {
  const OUT = -1n;
  const rows: [
    name: string,
    selector: number,
    offset: bigint,
    bytes: number,
    write: number,
    address: bigint,
  ][] = [
    ["the last doubleword", SHORT_DATA, 0xffcn, 4, 1, 0xffcn],
    ["one byte too far", SHORT_DATA, 0xffdn, 4, 0, OUT],
    ["an offset below an expand-down limit", EXPAND_DOWN, 0xfffn, 1, 0, OUT],
    ["an offset above an expand-down limit", EXPAND_DOWN, 0x1000n, 4, 1, 0x1000n],
    ["the end of an expand-down segment", EXPAND_DOWN, 0xffff_fffcn, 4, 0, 0xffff_fffcn],
    ["beyond the end of an expand-down segment", EXPAND_DOWN, 0xffff_fffdn, 4, 0, OUT],
    ["a read through code", 0x08, 0x10n, 4, 0, 0x10n],
    ["a write through code", 0x08, 0x10n, 4, 1, OUT],
    ["the base is added modulo 4 GiB", STACK16, 0x10n, 2, 1, 0x4_0010n],
    ["a null selector", 0, 0n, 1, 0, OUT],
  ];
  test.each(rows)("%s", (_name, selector, offset, bytes, write, address) => {
    const legacy = protectedSystem();
    legacy.core.loadSegment(ES, selector);
    expect(legacy.core.segmentAddress(ES, offset, bytes, write)).toBe(address);
    expect(legacy.fault()).toBe(address === OUT ? "13(0)" : "none");
  });

  test("a stack reference is #SS(0)", () => {
    const legacy = protectedSystem();
    legacy.core.loadSegment(SS, SHORT_DATA);
    expect(legacy.core.segmentAddress(SS, 0x1000n, 1, 0)).toBe(OUT);
    expect(legacy.fault()).toBe("12(0)");
  });

  test("real mode writes through CS", () => {
    const real = realSystem();
    expect(real.core.segmentAddress(1, 0xffffn, 1, 1)).toBe(0x1_ffffn);
    expect(real.core.segmentAddress(1, 0xffffn, 2, 1)).toBe(OUT);
    expect(real.fault()).toBe("13(0)");
  });

  test("FS and GS have bases in 64-bit code", () => {
    machine.setSegment(SEG_FS, 0, 0xffff_8000_0000_0000n, 0, 0x10000);
    expect(machine.core.segmentAddress(FS, 8n, 8, 1)).toBe(-0x7fff_ffff_fff8n);
  });
});

describe("LLDT and LTR", () => {
  test("LTR loads the TSS and makes it busy", () => {
    expect(machine.core.ltr(TSS_SELECTOR)).toBe(STATUS_OK);
    expect(machine.segment(SEG_TR)).toEqual({
      selector: TSS_SELECTOR,
      base: BigInt(TSS),
      limit: 0x67,
      attributes: 0x8b,
    });
    expect(machine.read8(GDT + TSS_SELECTOR + 5)).toBe(0x8b);
    expect(machine.core.ltr(TSS_SELECTOR)).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe("13(40)");
  });

  test("bases have 64 bits in long mode", () => {
    writeWideDescriptor(
      machine,
      GDT + LDT_SELECTOR,
      { base: LDT, limit: 7, access: 0x82, flags: 0 },
      0xffff_8000n,
    );
    expect(machine.core.lldt(LDT_SELECTOR)).toBe(STATUS_OK);
    expect(machine.segment(SEG_LDTR)).toEqual({
      selector: LDT_SELECTOR,
      base: 0xffff_8000_0000_4000n,
      limit: 7,
      attributes: 0x82,
    });
  });

  test("a non-canonical base is #GP with the selector", () => {
    writeWideDescriptor(
      machine,
      GDT + LDT_SELECTOR,
      { base: LDT, limit: 7, access: 0x82, flags: 0 },
      0x8000n,
    );
    expect(machine.core.lldt(LDT_SELECTOR)).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe("13(50)");
  });

  test("a 16-bit TSS is for protected mode without long mode", () => {
    writeWideDescriptor(machine, GDT + TSS_SELECTOR, { base: TSS, limit: 0x2b, access: 0x81, flags: 0 });
    expect(machine.core.ltr(TSS_SELECTOR)).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe("13(40)");
    const legacy = protectedSystem();
    legacy.write64(0x1000 + 0x38, descriptor({ base: TSS, limit: 0x2b, access: 0x81, flags: 0 }));
    expect(legacy.core.ltr(0x38)).toBe(STATUS_OK);
    expect(legacy.segment(SEG_TR)).toEqual({
      selector: 0x38,
      base: BigInt(TSS),
      limit: 0x2b,
      attributes: 0x83,
    });
    expect(legacy.core.lldt(0x10)).toBe(STATUS_FAULT);
    expect(legacy.fault()).toBe("13(10)");
  });

  test("LLDT accepts null, LTR does not", () => {
    expect(machine.core.lldt(0)).toBe(STATUS_OK);
    expect(machine.segment(SEG_LDTR).attributes).toBe(0x10000);
    expect(machine.core.ltr(0)).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe("13(0)");
  });

  test("refuse other types, absent segments, other privileges and real mode", () => {
    machine.core.lldt(TSS_SELECTOR);
    expect(machine.takeFault()).toBe("13(40)");
    machine.core.ltr(KERNEL_DATA);
    expect(machine.takeFault()).toBe("13(10)");
    writeWideDescriptor(machine, GDT + LDT_SELECTOR, { base: LDT, limit: 7, access: 0x02, flags: 0 });
    machine.core.lldt(LDT_SELECTOR);
    expect(machine.takeFault()).toBe("11(50)");
    enterUser(machine);
    machine.core.ltr(TSS_SELECTOR);
    expect(machine.fault()).toBe("13(0)");
    const real = realSystem();
    real.core.lldt(0);
    expect(real.fault()).toBe("6");
  });
});

describe("LAR, LSL, VERR and VERW", () => {
  test("LAR gives the second doubleword's access rights", () => {
    expect(machine.core.lar(KERNEL_CODE)).toBe(0xa09b00n);
    expect(machine.core.lar(TSS_SELECTOR)).toBe(0x008900n);
    // A gate has bits of its offset where a segment has its limit and flags.
    expect(machine.core.lar(CALL_GATE | 3)).toBe(0x10ec00n);
  });

  test("LAR and LSL refuse a system descriptor with a type in its upper half", () => {
    machine.write8(GDT + TSS_SELECTOR + 13, 0x01);
    expect(machine.core.lar(TSS_SELECTOR)).toBe(-1n);
    expect(machine.core.lsl(TSS_SELECTOR)).toBe(-1n);
  });

  test("LSL gives limits in bytes", () => {
    expect(machine.core.lsl(KERNEL_DATA)).toBe(0xffff_ffffn);
    expect(machine.core.lsl(TSS_SELECTOR)).toBe(0x67n);
    expect(machine.core.lsl(CALL_GATE)).toBe(-1n);
  });

  test("LAR and LSL see nothing of null, outside and unreachable descriptors", () => {
    expect(machine.core.lar(0)).toBe(-1n);
    expect(machine.core.lar(0x88)).toBe(-1n);
    expect(machine.core.lar(KERNEL_DATA | 3)).toBe(-1n);
    enterUser(machine);
    expect(machine.core.lsl(KERNEL_DATA)).toBe(-1n);
    expect(machine.core.lsl(CONFORMING_CODE)).toBe(0xffff_ffffn);
    expect(machine.fault()).toBe("none");
  });

  const rows: [name: string, selector: number, readable: number, writable: number][] = [
    ["data", KERNEL_DATA, 1, 1],
    ["read-only data", READ_ONLY_DATA, 1, 0],
    ["code", CODE32, 1, 0],
    ["execute-only code", EXECUTE_ONLY, 0, 0],
    ["a system segment", TSS_SELECTOR, 0, 0],
    ["null", 0, 0, 0],
  ];
  test.each(rows)("VERR and VERW of %s", (_name, selector, readable, writable) => {
    expect(machine.core.verr(selector)).toBe(readable);
    expect(machine.core.verw(selector)).toBe(writable);
  });

  test("are #UD in real mode, and page faults go through", () => {
    const real = realSystem();
    expect(real.core.lar(8)).toBe(-2n);
    expect(real.takeFault()).toBe("6");
    expect(real.core.verr(8)).toBe(-2);
    machine = longModeSystem();
    mapPage(machine, 1, 0, 0n);
    expect(machine.core.verw(KERNEL_DATA)).toBe(-2);
    expect(machine.fault()).toBe("14(0) at 1010");
  });
});

test("CS is not touched by any of these", () => {
  machine.core.loadSegment(DS, USER_DATA);
  expect(machine.selector(SEG_CS)).toBe(KERNEL_CODE);
});
