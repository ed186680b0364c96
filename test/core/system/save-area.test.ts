import { beforeEach, describe, expect, test } from "vitest";
import {
  CODE_BITS,
  CR0,
  CR4,
  MXCSR,
  RAX,
  RDX,
  STATUS_FAULT,
  STATUS_OK,
  X87,
  X87_EMPTY,
  X87_FCS,
  X87_FCW,
  X87_FDP,
  X87_FDS,
  X87_FIP,
  X87_FOP,
  X87_FSW,
  X87_TOP,
  XCR0,
  XMM,
} from "../../../src/layout/cpu-state.ts";
import { type Core, startCore } from "./core-fixture.ts";

const AREA = 0x4000;
const OSFXSR = 0x200n;
const OSXSAVE = 0x4_0000n;

let core: Core;
beforeEach(() => {
  core = startCore();
  core.enter64Bit();
  core.set64(CR4, OSFXSR | OSXSAVE);
  core.set64(XCR0, 3n);
  core.set64(RAX, 0xffff_ffffn);
  core.set64(RDX, 0xffff_ffffn);
  // ST(0) is physical register 6.
  core.set32(X87_TOP, 6);
  core.set32(X87_FCW, 0x27f);
  core.set32(X87_FSW, 0x4100);
  core.set32(X87_EMPTY, 0x3f);
  core.set32(X87_FOP, 0x5d9);
  core.set64(X87_FIP, 0x1122_3344_5566_7788n);
  core.set64(X87_FDP, 0x99aa_bbcc_ddee_ff00n);
  core.set32(X87_FCS, 0x33);
  core.set32(X87_FDS, 0x2b);
  core.set64(X87 + 6 * 16, 0x8000_0000_0000_0001n);
  core.set64(X87 + 6 * 16 + 8, 0x3fffn);
  core.set64(X87 + 7 * 16, 0xc000_0000_0000_0002n);
  core.set64(X87 + 7 * 16 + 8, 0xc000n);
  core.set32(MXCSR, 0x1fa5);
  for (let i = 0; i < 32; i++) core.set64(XMM + i * 8, BigInt(i + 1));
  core.ram.fill(0xee, AREA, AREA + 576);
});

const u16 = (at: number): number => core.ramView.getUint16(AREA + at, true);
const u32 = (at: number): number => core.ramView.getUint32(AREA + at, true);
const u64 = (at: number): bigint => core.ramView.getBigUint64(AREA + at, true);
const setArea64 = (at: number, value: bigint): void => core.ramView.setBigUint64(AREA + at, value, true);

describe("FXSAVE", () => {
  test("stores the 64-bit image", () => {
    expect(core.call("fxsave", BigInt(AREA), 1)).toBe(STATUS_OK);
    expect([u16(0), u16(2), u16(4), u16(6)]).toEqual([0x27f, 0x7100, 0xc0, 0x5d9]);
    expect([u64(8), u64(16)]).toEqual([0x1122_3344_5566_7788n, 0x99aa_bbcc_ddee_ff00n]);
    expect([u32(24), u32(28)]).toEqual([0x1fa5, 0xffff]);
    expect([u64(32), u64(40), u64(48), u64(56)]).toEqual([
      0x8000_0000_0000_0001n,
      0x3fffn,
      0xc000_0000_0000_0002n,
      0xc000n,
    ]);
    expect([u64(160), u64(408)]).toEqual([1n, 32n]);
    expect(u64(416)).toBe(0xeeee_eeee_eeee_eeeen);
  });

  test("without REX.W stores selectors and 32-bit offsets", () => {
    core.call("fxsave", BigInt(AREA), 0);
    expect([u32(8), u32(12), u32(16), u32(20)]).toEqual([0x5566_7788, 0x33, 0xddee_ff00, 0x2b]);
  });

  test("outside of 64-bit code stores eight XMM registers", () => {
    core.set32(CODE_BITS, 32);
    core.call("fxsave", BigInt(AREA), 0);
    expect([u64(280), u64(288)]).toEqual([16n, 0xeeee_eeee_eeee_eeeen]);
  });

  test("without CR4.OSFXSR stores no SSE state", () => {
    core.set64(CR4, 0n);
    core.call("fxsave", BigInt(AREA), 1);
    expect([u16(0), u32(24), u64(160)]).toEqual([0x27f, 0xeeee_eeee, 0xeeee_eeee_eeee_eeeen]);
  });

  test("an address that is not a multiple of 16 is #GP(0); CR0.TS is #NM", () => {
    expect(core.call("fxsave", BigInt(AREA + 8), 1)).toBe(STATUS_FAULT);
    expect(core.fault()).toBe("13(0)");
    core.set64(CR0, 0x19n);
    expect(core.call("fxsave", BigInt(AREA), 1)).toBe(STATUS_FAULT);
    expect(core.fault()).toBe("7");
  });

  test("a fault on the second page comes before anything is stored", () => {
    core.enterPaged([0x21]);
    core.set64(CR4, 0x220n);
    expect(core.call("fxsave", 0x20f00n, 1)).toBe(STATUS_FAULT);
    expect([core.fault(), core.faultAddress()]).toEqual(["14(2)", 0x21000n]);
    expect(core.ramView.getUint16(0x20f00, true)).toBe(0);
  });
});

describe("FXRSTOR", () => {
  test("brings back what FXSAVE stored", () => {
    core.call("fxsave", BigInt(AREA), 1);
    const before = [X87_FCW, X87_FSW, X87_TOP, X87_EMPTY, X87_FOP, MXCSR].map((at) => core.get32(at));
    for (const at of [X87_FCW, X87_FSW, X87_TOP, X87_EMPTY, X87_FOP, MXCSR]) core.set32(at, 0);
    for (let i = 0; i < 32; i++) core.set64(XMM + i * 8, 0n);
    core.set64(X87 + 6 * 16, 0n);
    expect(core.call("fxrstor", BigInt(AREA), 1)).toBe(STATUS_OK);
    expect([X87_FCW, X87_FSW, X87_TOP, X87_EMPTY, X87_FOP, MXCSR].map((at) => core.get32(at))).toEqual(
      before,
    );
    expect([core.get64(X87 + 6 * 16), core.get64(XMM), core.get64(XMM + 248)]).toEqual([
      0x8000_0000_0000_0001n,
      1n,
      32n,
    ]);
  });

  test("a reserved MXCSR bit is #GP(0) and changes nothing", () => {
    core.call("fxsave", BigInt(AREA), 1);
    core.ramView.setUint32(AREA + 24, 0x1_1f80, true);
    core.set32(X87_FCW, 0x37f);
    expect(core.call("fxrstor", BigInt(AREA), 1)).toBe(STATUS_FAULT);
    expect(core.fault()).toBe("13(0)");
    expect(core.get32(X87_FCW)).toBe(0x37f);
  });

  test("ES and B follow from exceptions that are not masked", () => {
    core.call("fxsave", BigInt(AREA), 1);
    core.ramView.setUint16(AREA, 0x37e, true);
    core.ramView.setUint16(AREA + 2, 0x0001, true);
    core.call("fxrstor", BigInt(AREA), 1);
    expect(core.get32(X87_FSW)).toBe(0x8081);
  });
});

describe("XSAVE", () => {
  test("stores the requested components and adds them to XSTATE_BV", () => {
    core.set64(RAX, 2n);
    setArea64(512, 1n);
    expect(core.call("xsave", BigInt(AREA), 1)).toBe(STATUS_OK);
    expect([u16(0), u32(24), u64(160), u64(512)]).toEqual([0xeeee, 0x1fa5, 1n, 3n]);
    expect(u64(520)).toBe(0xeeee_eeee_eeee_eeeen);
  });

  test("is #UD without CR4.OSXSAVE and #GP(0) off a multiple of 64", () => {
    expect(core.call("xsave", BigInt(AREA + 32), 1)).toBe(STATUS_FAULT);
    expect(core.fault()).toBe("13(0)");
    core.set64(CR4, OSFXSR);
    expect(core.call("xsave", BigInt(AREA), 1)).toBe(STATUS_FAULT);
    expect(core.fault()).toBe("6");
  });
});

describe("XRSTOR", () => {
  beforeEach(() => {
    core.ram.fill(0, AREA + 512, AREA + 576);
    core.call("xsave", BigInt(AREA), 1);
  });

  test("initialises what XSTATE_BV lacks, but takes MXCSR from memory", () => {
    setArea64(512, 0n);
    core.set32(MXCSR, 0);
    expect(core.call("xrstor", BigInt(AREA), 1)).toBe(STATUS_OK);
    expect([core.get32(X87_FCW), core.get32(X87_EMPTY), core.get32(X87_TOP)]).toEqual([0x37f, 0xff, 0]);
    expect([core.get64(XMM), core.get64(XMM + 248), core.get32(MXCSR)]).toEqual([0n, 0n, 0x1fa5]);
  });

  test("leaves components alone that are not requested", () => {
    core.set64(RAX, 1n);
    core.set64(XMM, 0x77n);
    core.call("xrstor", BigInt(AREA), 1);
    expect([core.get64(XMM), core.get32(X87_FCW)]).toEqual([0x77n, 0x27f]);
  });

  test.each([
    ["XSTATE_BV names AVX", 512, 7n],
    ["the compacted form", 520, 0x8000_0000_0000_0003n],
    ["the header's bytes 16 to 23", 528, 1n],
    ["MXCSR's upper half", 24, 0x1_0000n],
  ])("%s: #GP(0)", (_, at, value) => {
    setArea64(at, value);
    expect(core.call("xrstor", BigInt(AREA), 1)).toBe(STATUS_FAULT);
    expect(core.fault()).toBe("13(0)");
  });
});

describe("an area across the end of a page, or on a page that the TLB has not seen", () => {
  const PLACES = [0x8000, 0x8dc0, 0x8e00, 0x8f40, 0x8fc0];

  test.each(["xsave", "xsaveopt", "fxsave"])("%s stores what it stores elsewhere", (name) => {
    core.call(name, BigInt(AREA), 1);
    const expected = core.ram.slice(AREA, AREA + 512);
    for (const place of PLACES)
      for (const seen of ["not", "by reads", "by writes"]) {
        core.call("flushTlb", 0);
        core.ram.fill(0xee, place, place + 576);
        if (seen === "by reads") core.call("readLinear8", BigInt(place));
        if (seen === "by writes") core.call("writeLinear8", BigInt(place), 0xeen);
        expect(core.call(name, BigInt(place), 1)).toBe(STATUS_OK);
        expect(Buffer.compare(core.ram.subarray(place, place + 512), expected)).toBe(0);
        expect(core.ram[place + 576]).toBe(0);
      }
  });

  test.each(["xsave xrstor", "fxsave fxrstor"])("%s brings back what was there", (names) => {
    const [save, restore] = names.split(" ") as [string, string];
    for (const place of PLACES) {
      core.ram.fill(0, place, place + 576);
      core.call(save, BigInt(place), 1);
      core.call("flushTlb", 0);
      for (const round of [1, 2]) {
        for (let i = 0; i < 32; i++) core.set64(XMM + i * 8, BigInt(round));
        core.set64(X87 + 7 * 16, 0n);
        expect(core.call(restore, BigInt(place), 1)).toBe(STATUS_OK);
        expect([core.get64(X87 + 7 * 16), core.get64(XMM), core.get64(XMM + 248)]).toEqual([
          0xc000_0000_0000_0002n,
          1n,
          32n,
        ]);
      }
    }
  });
});

test("LDMXCSR refuses reserved bits; DAZ exists", () => {
  expect(core.call("ldmxcsr", 0x1fc0)).toBe(STATUS_OK);
  expect(core.call("stmxcsr")).toBe(0x1fc0);
  expect(core.call("ldmxcsr", 0x1_1f80)).toBe(STATUS_FAULT);
});
