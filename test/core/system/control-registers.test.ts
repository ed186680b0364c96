import { beforeEach, describe, expect, test } from "vitest";
import {
  CODE_BITS,
  CPL,
  CR0,
  CR3,
  CR4,
  GDTR_BASE,
  GDTR_LIMIT,
  MSR_EFER,
  RAX,
  RCX,
  RDX,
  SEG_CS,
  SEGMENT_ATTRIBUTES,
  STATUS_FAULT,
  STATUS_JUMP,
  STATUS_OK,
  XCR0,
} from "../../../src/layout/cpu-state.ts";
import { type Core, startCore } from "./core-fixture.ts";

const PG = 0x8000_0000n;
const EFER_LME = 0x100n;
const EFER_LMA = 0x400n;

let core: Core;
beforeEach(() => {
  core = startCore();
  core.set64(CR0, 0x11n);
});

describe("CR0", () => {
  test.each([
    ["PG without PE", 0x8000_0010n],
    ["NW without CD", 0x2000_0011n],
    ["an upper bit", 0x1_0000_0011n],
  ])("%s is #GP(0)", (_, value) => {
    expect(core.call("writeControl", 0, value)).toBe(STATUS_FAULT);
    expect(core.fault()).toBe("13(0)");
    expect(core.get64(CR0)).toBe(0x11n);
  });

  test("ET stays 1 and bits that do not exist stay 0", () => {
    expect(core.call("writeControl", 0, 0x1234_ffcfn)).toBe(STATUS_JUMP);
    expect(core.get64(CR0)).toBe(0x0004_001fn);
  });

  test("writing what it holds changes nothing and needs no jump", () => {
    expect(core.call("writeControl", 0, 0x11n)).toBe(STATUS_OK);
  });
});

describe("IA-32e mode", () => {
  beforeEach(() => {
    core.set64(MSR_EFER, EFER_LME);
    core.set64(CR4, 0x20n);
  });

  test("setting PG with LME activates it", () => {
    expect(core.call("writeControl", 0, PG | 0x11n)).toBe(STATUS_JUMP);
    expect(core.get64(MSR_EFER)).toBe(EFER_LME | EFER_LMA);
  });

  test("setting PG with LME but without PAE is #GP(0)", () => {
    core.set64(CR4, 0n);
    expect(core.call("writeControl", 0, PG | 0x11n)).toBe(STATUS_FAULT);
    expect(core.get64(MSR_EFER)).toBe(EFER_LME);
  });

  test("setting PG with LME while CS.L is set is #GP(0)", () => {
    core.set32(SEG_CS + SEGMENT_ATTRIBUTES, 0x209b);
    expect(core.call("writeControl", 0, PG | 0x11n)).toBe(STATUS_FAULT);
  });

  test("clearing PG in compatibility mode leaves it; in 64-bit mode it is #GP(0)", () => {
    core.call("writeControl", 0, PG | 0x11n);
    core.set32(SEG_CS + SEGMENT_ATTRIBUTES, 0x209b);
    core.set32(CODE_BITS, 64);
    expect(core.call("writeControl", 0, 0x11n)).toBe(STATUS_FAULT);
    core.set32(SEG_CS + SEGMENT_ATTRIBUTES, 0x409b);
    core.set32(CODE_BITS, 32);
    expect(core.call("writeControl", 0, 0x11n)).toBe(STATUS_JUMP);
    expect(core.get64(MSR_EFER)).toBe(EFER_LME);
  });

  test("PAE cannot be cleared and LME cannot change while it is active", () => {
    core.call("writeControl", 0, PG | 0x11n);
    core.clearFault();
    expect(core.call("writeControl", 4, 0n)).toBe(STATUS_FAULT);
    expect(core.call("writeMsr", 0xc0000080, 0n)).toBe(STATUS_FAULT);
  });

  test("CR3 bits from 40 on are #GP(0)", () => {
    core.call("writeControl", 0, PG | 0x11n);
    expect(core.call("writeControl", 3, 0xff_ffff_f018n)).toBe(STATUS_JUMP);
    expect(core.call("writeControl", 3, 0x100_0000_0000n)).toBe(STATUS_FAULT);
    expect(core.get64(CR3)).toBe(0xff_ffff_f018n);
  });
});

describe("PAE paging", () => {
  beforeEach(() => {
    core.set64(CR4, 0x20n);
    core.ramView.setBigUint64(0x1000, 0x2001n, true);
  });

  test("page-directory pointers without reserved bits are accepted", () => {
    core.call("writeControl", 3, 0x1000n);
    expect(core.call("writeControl", 0, PG | 0x11n)).toBe(STATUS_JUMP);
    expect(core.get64(MSR_EFER)).toBe(0n);
  });

  test("a reserved bit in a present pointer is #GP(0), in an absent one it is not", () => {
    core.ramView.setBigUint64(0x1018, 0x2002n, true);
    core.call("writeControl", 3, 0x1000n);
    core.call("writeControl", 0, PG | 0x11n);
    expect(core.fault()).toBe("none");
    core.ramView.setBigUint64(0x1018, 0x2003n, true);
    expect(core.call("writeControl", 3, 0x1000n)).toBe(STATUS_FAULT);
  });
});

describe("CR4", () => {
  test.each([
    ["UMIP", 11],
    ["LA57", 12],
    ["VMXE", 13],
    ["FSGSBASE", 16],
    ["PCIDE", 17],
    ["PKE", 22],
    ["bit 32", 32],
  ])("%s is not offered", (_, bit) => {
    expect(core.call("writeControl", 4, 1n << BigInt(bit))).toBe(STATUS_FAULT);
    expect(core.fault()).toBe("13(0)");
  });

  test("all that is offered can be set", () => {
    expect(core.call("writeControl", 4, 0x34_07fcn)).toBe(STATUS_JUMP);
    expect(core.call("readControl", 4)).toBe(0x34_07fcn);
  });

  test("a bit that the machine withholds becomes reserved", () => {
    core.call("withholdControl4", 1n << 21n);
    expect(core.call("writeControl", 4, 1n << 21n)).toBe(STATUS_FAULT);
    expect(core.call("writeControl", 4, 1n << 20n)).toBe(STATUS_JUMP);
  });
});

test("CR2 holds any value; CR8 is the task priority, of four bits", () => {
  core.call("writeControl", 2, 0xdead_beef_0000_0001n);
  expect(core.call("readControl", 2)).toBe(0xdead_beef_0000_0001n);
  expect(core.call("writeControl", 8, 15n)).toBe(STATUS_OK);
  expect(core.call("readControl", 8)).toBe(15n);
  expect(core.call("writeControl", 8, 16n)).toBe(STATUS_FAULT);
});

test("LMSW sets PE to TS and never clears PE", () => {
  core.set64(CR0, 0x11n);
  expect(core.call("lmsw", 0xfff8)).toBe(STATUS_JUMP);
  expect(core.call("smsw")).toBe(0x19n);
  core.call("clts");
  expect(core.get64(CR0)).toBe(0x11n);
});

test("LGDT in 64-bit code wants a canonical base", () => {
  core.set32(CODE_BITS, 64);
  expect(core.call("loadGdtr", 0x7f, 0xffff_8000_0000_0000n)).toBe(STATUS_OK);
  expect([core.get32(GDTR_LIMIT), core.get64(GDTR_BASE)]).toEqual([0x7f, 0xffff_8000_0000_0000n]);
  expect(core.call("loadIdtr", 0x7f, 0x8000_0000_0000n)).toBe(STATUS_FAULT);
});

describe("debug registers", () => {
  test("DR6 and DR7 have fixed bits", () => {
    core.call("writeDebug", 6, 0n);
    core.call("writeDebug", 7, 0n);
    core.call("readDebug", 6);
    expect(core.result()).toBe(0xffff_0ff0n);
    core.call("readDebug", 7);
    expect(core.result()).toBe(0x400n);
    core.call("writeDebug", 6, 0xffff_ffffn);
    core.call("readDebug", 4);
    expect(core.result()).toBe(0xffff_efffn);
  });

  test("DR4 is #UD with CR4.DE", () => {
    core.set64(CR4, 8n);
    expect(core.call("readDebug", 4)).toBe(STATUS_FAULT);
    expect(core.fault()).toBe("6");
  });

  test("with DR7.GD any access is #DB", () => {
    core.call("writeDebug", 7, 0x2000n);
    expect(core.call("readDebug", 0)).toBe(STATUS_FAULT);
    expect(core.fault()).toBe("1");
  });

  test("upper bits of DR7 are #GP(0)", () => {
    expect(core.call("writeDebug", 7, 1n << 32n)).toBe(STATUS_FAULT);
    expect(core.call("writeDebug", 0, 1n << 32n)).toBe(STATUS_OK);
  });
});

describe("XCR0", () => {
  const set = (ecx: bigint, edx: bigint, eax: bigint): number | bigint => {
    core.set64(RCX, ecx);
    core.set64(RDX, edx);
    core.set64(RAX, eax);
    return core.call("xsetbv");
  };

  test("is #UD without CR4.OSXSAVE", () => {
    expect(set(0n, 0n, 3n)).toBe(STATUS_FAULT);
    expect(core.fault()).toBe("6");
  });

  test.each([
    ["without the x87 bit", 0n, 0n, 2n],
    ["with AVX", 0n, 0n, 7n],
    ["with an upper bit", 0n, 1n, 3n],
    ["of another register", 1n, 0n, 3n],
  ])("XSETBV %s is #GP(0)", (_, ecx, edx, eax) => {
    core.set64(CR4, 0x4_0000n);
    expect(set(ecx, edx, eax)).toBe(STATUS_FAULT);
    expect(core.fault()).toBe("13(0)");
  });

  test("XSETBV and XGETBV of x87 and SSE", () => {
    core.set64(CR4, 0x4_0000n);
    expect(set(0n, 0n, 3n)).toBe(STATUS_OK);
    expect(core.get64(XCR0)).toBe(3n);
    core.set64(RAX, 0n);
    expect(core.call("xgetbv")).toBe(STATUS_OK);
    expect(core.get64(RAX)).toBe(3n);
    core.set32(CPL, 3);
    expect(set(0n, 0n, 1n)).toBe(STATUS_FAULT);
  });
});
