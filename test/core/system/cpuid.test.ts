import { describe, expect, test } from "vitest";
import { parseCpuModel } from "../../../src/cpu/cpu-model.ts";
import { type CpuidContext, type CpuidResult, cpuid } from "../../../src/cpu/cpuid.ts";

const context: CpuidContext = {
  apicId: 2,
  processors: 3,
  cr4Osxsave: false,
  tscHz: 2_500_000_000,
  apicTimerHz: 1_000_000_000,
};
const amd: CpuidContext = { ...context, vendor: "amd" };

const characters = (...words: number[]): string =>
  String.fromCharCode(...words.flatMap((w) => [w & 255, (w >> 8) & 255, (w >> 16) & 255, w >>> 24]));
const vendor = ({ ebx, ecx, edx }: CpuidResult): string => characters(ebx, edx, ecx);

test("leaf 0 names the vendor and the highest leaf", () => {
  expect([cpuid(0, 0, context).eax, vendor(cpuid(0, 0, context))]).toEqual([0x16, "GenuineIntel"]);
  expect(vendor(cpuid(0, 0, amd))).toBe("AuthenticAMD");
});

test("leaf 1: an in-order processor, and the features of this issue", () => {
  expect(cpuid(1, 0, context)).toEqual({
    eax: 0x0003_0661,
    ebx: 0x0204_0800,
    ecx: 0xc520_2000,
    edx: 0x1f8b_fbff & ~0x40000,
  });
});

test("OSXSAVE follows CR4; one processor has no HTT", () => {
  expect(cpuid(1, 0, { ...context, cr4Osxsave: true }).ecx).toBe(0xcd20_2000);
  expect(cpuid(1, 0, { ...context, processors: 1 }).edx).toBe(0x0f8b_fbff);
});

test("a feature that is withheld is absent, and OSXSAVE with XSAVE", () => {
  const features = parseCpuModel("default,-xsave,-smap");
  const withheld: CpuidContext = { ...context, cr4Osxsave: true, features };
  expect(cpuid(1, 0, withheld).ecx).toBe(0xc120_2000);
  expect(cpuid(7, 0, withheld).ebx).toBe(0x0000_0282);
  expect(cpuid(0xd, 0, withheld).eax).toBe(0);
});

test("leaf 7: TSC_ADJUST, SMEP, ERMS, SMAP", () => {
  expect(cpuid(7, 0, context)).toEqual({ eax: 0, ebx: 0x0010_0282, ecx: 0, edx: 0 });
  expect(cpuid(7, 1, context).ebx).toBe(0);
});

test("leaf 0xd: x87 and SSE in 576 bytes", () => {
  expect(cpuid(0xd, 0, context)).toEqual({ eax: 3, ebx: 576, ecx: 576, edx: 0 });
  expect(cpuid(0xd, 1, context)).toEqual({ eax: 0, ebx: 0, ecx: 0, edx: 0 });
});

test("leaf 0xd with AVX: its component, and sizes by what XCR0 enables", () => {
  const v3: CpuidContext = { ...context, features: parseCpuModel("v3"), xcr0: 3 };
  expect(cpuid(0xd, 0, v3)).toEqual({ eax: 7, ebx: 576, ecx: 832, edx: 0 });
  expect(cpuid(0xd, 0, { ...v3, xcr0: 7 })).toEqual({ eax: 7, ebx: 832, ecx: 832, edx: 0 });
  expect(cpuid(0xd, 1, { ...v3, xcr0: 7 })).toEqual({ eax: 7, ebx: 832, ecx: 0, edx: 0 });
  expect(cpuid(0xd, 2, v3)).toEqual({ eax: 256, ebx: 576, ecx: 0, edx: 0 });
});

test("leaf 0x15: crystal * EBX / EAX is the TSC frequency, and the crystal the APIC timer's", () => {
  expect(cpuid(0x15, 0, context)).toEqual({ eax: 2, ebx: 5, ecx: 1_000_000_000, edx: 0 });
  expect(cpuid(0x16, 0, context)).toEqual({ eax: 2500, ebx: 2500, ecx: 1000, edx: 0 });
});

test("leaf 0xb: one thread a core, three cores in four APIC IDs", () => {
  expect(cpuid(0xb, 0, context)).toEqual({ eax: 0, ebx: 1, ecx: 0x100, edx: 2 });
  expect(cpuid(0xb, 1, context)).toEqual({ eax: 2, ebx: 3, ecx: 0x201, edx: 2 });
  expect(cpuid(0xb, 2, context)).toEqual({ eax: 0, ebx: 0, ecx: 2, edx: 2 });
});

describe("caches", () => {
  test.each([
    ["32 KiB of L1 data", 0, { eax: 0x0c00_0121, ebx: 0x01c0_003f, ecx: 63, edx: 0 }],
    ["32 KiB of L1 code", 1, { eax: 0x0c00_0122, ebx: 0x01c0_003f, ecx: 63, edx: 0 }],
    ["1 MiB of L2", 2, { eax: 0x0c00_0143, ebx: 0x03c0_003f, ecx: 1023, edx: 0 }],
    ["16 MiB of L3 for all", 3, { eax: 0x0c00_c163, ebx: 0x03c0_003f, ecx: 16383, edx: 0 }],
    ["no more", 4, { eax: 0, ebx: 0, ecx: 0, edx: 0 }],
  ])("%s", (_, subleaf, expected) => {
    expect(cpuid(4, subleaf, context)).toEqual(expected);
  });
});

describe("extended leaves", () => {
  test("features: SYSCALL, NX, 1 GiB pages, RDTSCP, long mode; LAHF", () => {
    expect(cpuid(0x80000001, 0, context)).toEqual({ eax: 0, ebx: 0, ecx: 1, edx: 0x2c10_0800 });
  });

  test("AMD repeats bits of leaf 1", () => {
    expect(cpuid(0x80000001, 0, amd)).toEqual({
      eax: 0x0080_0f12,
      ebx: 0,
      ecx: 1,
      edx: 0x2d93_fbff & ~0x40000,
    });
  });

  test("the brand string", () => {
    const words = [0x80000002, 0x80000003, 0x80000004].flatMap((leaf) =>
      Object.values(cpuid(leaf, 0, context)),
    );
    expect(characters(...words).replace(/\0+$/, "")).toBe("Ringfence virtual processor");
  });

  test("invariant TSC; 40 physical and 48 linear address bits", () => {
    expect(cpuid(0x80000007, 0, context).edx).toBe(0x100);
    expect(cpuid(0x80000008, 0, context).eax).toBe(0x3028);
    expect(cpuid(0x80000008, 0, amd).ecx).toBe(2);
  });
});

test("the hypervisor leaves name it and its frequencies in kHz", () => {
  const leaf = cpuid(0x40000000, 0, context);
  expect([leaf.eax, characters(leaf.ebx, leaf.ecx, leaf.edx)]).toEqual([0x40000010, "RingfenceVMM"]);
  expect(cpuid(0x40000010, 0, context)).toEqual({ eax: 2_500_000, ebx: 1_000_000, ecx: 0, edx: 0 });
});

test("leaves beyond the highest: Intel repeats the highest basic one, AMD returns zeros", () => {
  expect(cpuid(0x17, 0, context)).toEqual(cpuid(0x16, 0, context));
  expect(cpuid(0x8000_0009, 0, context)).toEqual(cpuid(0x16, 0, context));
  expect(cpuid(0x17, 0, amd)).toEqual({ eax: 0, ebx: 0, ecx: 0, edx: 0 });
});
