import { beforeEach, describe, expect, test } from "vitest";
import {
  CODE_BITS,
  CPL,
  CR0,
  CR4,
  MSR_EFER,
  MSR_LSTAR,
  MSR_PAT,
  RAX,
  RCX,
  RDX,
  SEG_GS,
  SEGMENT_BASE,
  SEGMENT_EFFECTIVE_BASE,
  STATUS_FAULT,
  STATUS_JUMP,
  STATUS_OK,
} from "../../../src/layout/cpu-state.ts";
import { CORE_DATA } from "../../../src/layout/memory-map.ts";
import { type Core, startCore } from "./core-fixture.ts";

let core: Core;
beforeEach(() => {
  core = startCore();
  core.set64(CR0, 0x11n);
});

const write = (index: number, value: bigint): number | bigint => core.call("writeMsr", index, value);
const read = (index: number): bigint => {
  expect(core.call("readMsr", index)).toBe(STATUS_OK);
  return core.result();
};

test("WRMSR and RDMSR use ECX and EDX:EAX, and RDMSR clears the upper halves", () => {
  core.set64(RCX, 0xffff_ffff_c000_0082n);
  core.set64(RAX, 0xaaaa_aaaa_1234_5678n);
  core.set64(RDX, 0xaaaa_aaaa_ffff_8000n);
  expect(core.call("wrmsr")).toBe(STATUS_OK);
  expect(core.get64(MSR_LSTAR)).toBe(0xffff_8000_1234_5678n);
  expect(core.call("rdmsr")).toBe(STATUS_OK);
  expect([core.get64(RAX), core.get64(RDX)]).toEqual([0x1234_5678n, 0xffff_8000n]);
});

describe("EFER", () => {
  test("SCE, LME and NXE can be set; LMA is the processor's", () => {
    expect(write(0xc0000080, 0xd01n)).toBe(STATUS_JUMP);
    expect(core.get64(MSR_EFER)).toBe(0x901n);
  });

  test.each([
    ["FFXSR", 14],
    ["SVME", 12],
    ["bit 1", 1],
  ])("%s is reserved", (_, bit) => {
    expect(write(0xc0000080, 1n << BigInt(bit))).toBe(STATUS_FAULT);
    expect(core.fault()).toBe("13(0)");
  });

  test("LME cannot change under paging", () => {
    core.set64(CR0, 0x8000_0011n);
    expect(write(0xc0000080, 0x100n)).toBe(STATUS_FAULT);
  });
});

test.each([0x175, 0x176, 0xc0000082, 0xc0000083, 0xc0000100, 0xc0000101, 0xc0000102])(
  "MSR 0x%s refuses an address that is not canonical",
  (index) => {
    expect(write(index, 0x8000_0000_0000n)).toBe(STATUS_FAULT);
    expect(write(index, 0xffff_8000_0000_0000n)).toBe(STATUS_OK);
    expect(read(index)).toBe(0xffff_8000_0000_0000n);
  },
);

test("GS_BASE is the base that 64-bit code adds", () => {
  core.set32(CODE_BITS, 64);
  write(0xc0000101, 0xffff_8880_0000_1000n);
  expect(core.get64(SEG_GS + SEGMENT_BASE)).toBe(0xffff_8880_0000_1000n);
  expect(core.get64(SEG_GS + SEGMENT_EFFECTIVE_BASE)).toBe(0xffff_8880_0000_1000n);
});

test.each([
  ["TSC_AUX", 0xc0000103],
  ["SFMASK", 0xc0000084],
  ["SYSENTER_CS", 0x174],
])("%s has 32 bits", (_, index) => {
  expect(write(index, 0xffff_ffffn)).toBe(STATUS_OK);
  expect(write(index, 1n << 32n)).toBe(STATUS_FAULT);
});

describe("memory types", () => {
  test("the PAT after RESET", () => {
    expect(core.get64(MSR_PAT)).toBe(0x0007_0406_0007_0406n);
  });

  test.each([
    ["types 2 and 3 do not exist", 0x277, 0x0007_0402_0007_0406n],
    ["UC- is only of the PAT", 0x250, 0x0606_0606_0606_0607n],
    ["a variable mask without its reserved bits", 0x201, 0x0001n],
    ["a variable base beyond the physical addresses", 0x200, 0x100_0000_0006n],
    ["the default type's bit 8", 0x2ff, 0x906n],
  ])("%s: #GP(0)", (_, index, value) => {
    expect(write(index, value)).toBe(STATUS_FAULT);
  });

  test.each([
    ["PAT", 0x277, 0x0007_0106_0007_0506n],
    ["variable base 7", 0x20e, 0xc000_0000n],
    ["variable mask 7", 0x20f, 0xff_c000_0800n],
    ["the last fixed range", 0x26f, 0x0505_0505_0505_0505n],
    ["the default type", 0x2ff, 0xc06n],
  ])("%s is stored", (_, index, value) => {
    expect(write(index, value)).toBe(STATUS_OK);
    expect(read(index)).toBe(value);
  });

  test("there are eight variable ranges and the fixed ones", () => {
    expect(read(0xfe)).toBe(0x508n);
    expect(core.call("readMsr", 0x210)).toBe(STATUS_FAULT);
  });

  test("as firmware leaves them: write-back but for the video memory", () => {
    core.call("setFirmwareMemoryTypes");
    expect([read(0x2ff), read(0x250), read(0x258), read(0x259), read(0x268), read(0x26f)]).toEqual([
      0xc06n,
      0x0606_0606_0606_0606n,
      0x0606_0606_0606_0606n,
      0n,
      0x0606_0606_0606_0606n,
      0x0606_0606_0606_0606n,
    ]);
  });
});

describe("constants", () => {
  test.each([
    ["IA32_FEATURE_CONTROL is locked", 0x3a, 1n],
    ["there are no machine-check banks", 0x179, 0n],
    ["MISC_ENABLE has fast strings, no BTS, no PEBS", 0x1a0, 0x1801n],
    ["microcode revision", 0x8b, 0x1_0000_0000n],
  ])("%s", (_, index, value) => {
    expect(read(index)).toBe(value);
  });

  test("they cannot be written, but the revision's write is part of reading it", () => {
    expect(write(0x179, 0n)).toBe(STATUS_FAULT);
    expect(write(0x8b, 0n)).toBe(STATUS_OK);
  });
});

describe("time-stamp counter", () => {
  test("RDTSC reads the machine's counter", () => {
    core.host.tsc = 0x1_2345_6789_abcdn;
    core.set64(RAX, 0xffff_ffff_ffff_ffffn);
    expect(core.call("rdtsc")).toBe(STATUS_OK);
    expect([core.get64(RAX), core.get64(RDX)]).toEqual([0x6789_abcdn, 0x1_2345n]);
  });

  test("CR4.TSD keeps it from user code", () => {
    core.set64(CR4, 4n);
    expect(core.call("rdtsc")).toBe(STATUS_OK);
    core.set32(CPL, 3);
    expect(core.call("rdtscp")).toBe(STATUS_FAULT);
    expect(core.fault()).toBe("13(0)");
  });

  test("RDTSCP adds TSC_AUX in ECX", () => {
    write(0xc0000103, 7n);
    core.set64(RCX, 0xffff_ffff_ffff_ffffn);
    core.call("rdtscp");
    expect(core.get64(RCX)).toBe(7n);
  });

  test("a write of the counter shows in TSC_ADJUST, and the other way round", () => {
    core.host.tsc = 1000n;
    write(0x10, 5000n);
    expect(read(0x3b)).toBe(4000n);
    core.host.tsc = 1001n;
    expect(read(0x10)).toBe(5001n);
    write(0x3b, 0n);
    expect(read(0x10)).toBe(1001n);
  });

  test("a deadline reaches the APIC timer in the machine's counter", () => {
    core.host.tsc = 1000n;
    core.host.msrs.set(0x6e0, 0n);
    write(0x10, 5000n);
    write(0x6e0, 5500n);
    expect(core.host.msrs.get(0x6e0)).toBe(1500n);
    expect(read(0x6e0)).toBe(5500n);
    write(0x6e0, 0n);
    expect(core.host.msrs.get(0x6e0)).toBe(0n);
    write(0x6e0, 100n);
    expect(core.host.msrs.get(0x6e0)).toBe(1n);
  });

  test("there are no performance counters", () => {
    expect(core.call("rdpmc")).toBe(STATUS_FAULT);
  });
});

test("the local APIC's registers are the host's; what it refuses is #GP(0)", () => {
  core.host.msrs.set(0x1b, 0xfee0_0900n);
  core.host.msrs.set(0x80b, 0n);
  expect(read(0x1b)).toBe(0xfee0_0900n);
  expect(write(0x80b, 0n)).toBe(STATUS_OK);
  expect(core.call("readMsr", 0x8ff)).toBe(STATUS_FAULT);
});

test("unknown registers are #GP(0) and noted", () => {
  expect(core.call("readMsr", 0x1234)).toBe(STATUS_FAULT);
  expect(write(0xc0011020, 0n)).toBe(STATUS_FAULT);
  const note = Number(core.call("unknownMsrs"));
  expect(note).toBeGreaterThan(CORE_DATA);
  expect(core.words(note, 4)).toEqual([0xc0011020, 1, 1, 1]);
});

test("RDRAND is zero-extended from its size", () => {
  core.host.random = 0x8765_4321_8765_4321n;
  expect(core.call("rdrand", 16)).toBe(0x4321n);
  expect(core.call("rdrand", 32)).toBe(0x8765_4321n);
  expect(core.call("rdrand", 64)).toBe(0x8765_4321_8765_4321n);
});
