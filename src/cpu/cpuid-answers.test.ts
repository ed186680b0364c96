import { describe, expect, test } from "vitest";
import { cpuid } from "./cpuid.ts";
import { CpuidAnswers } from "./cpuid-answers.ts";

const constants = { apicId: 0, processors: 1, tscHz: 1_000_000_000, apicTimerHz: 1_000_000_000 };
const OSXSAVE = 1 << 18;
const PKE = 1 << 22;

describe("answers to CPUID", () => {
  test("are those that are made anew, whichever leaf is asked for and how often", () => {
    const answers = new CpuidAnswers(constants);
    for (const leaf of [0, 1, 2, 4, 7, 0xb, 0xd, 0x15, 0x4000_0000, 0x8000_0002, 0x8000_0003, 0xffff_ffff])
      for (const subleaf of [0, 1, 2, 9, 63, 64, 0xffff_ffff]) {
        const expected = cpuid(leaf, subleaf, { ...constants, cr4Osxsave: true, cr4Pke: false, xcr0: 3 });
        expect(answers.answer(leaf, subleaf, OSXSAVE, 3)).toEqual(expected);
        expect(answers.answer(leaf, subleaf, OSXSAVE, 3)).toEqual(expected);
      }
  });

  test("follow CR4.OSXSAVE, CR4.PKE and XCR0, back and forth", () => {
    const answers = new CpuidAnswers(constants);
    const osxsave = (cr4: number): number => (answers.answer(1, 0, cr4, 3).ecx >>> 27) & 1;
    const keys = (cr4: number): number => (answers.answer(7, 0, cr4, 3).ecx >>> 4) & 1;
    const area = (xcr0: number): number => answers.answer(0xd, 0, OSXSAVE, xcr0).ebx;
    expect([osxsave(0), osxsave(OSXSAVE), osxsave(0x20), osxsave(OSXSAVE | 0x20)]).toEqual([0, 1, 0, 1]);
    expect([keys(OSXSAVE | PKE), keys(OSXSAVE)]).toEqual([
      (cpuid(7, 0, { ...constants, cr4Osxsave: true, cr4Pke: true }).ecx >>> 4) & 1,
      0,
    ]);
    expect([area(3), area(7), area(3)]).toEqual([
      cpuid(0xd, 0, { ...constants, cr4Osxsave: true, xcr0: 3 }).ebx,
      cpuid(0xd, 0, { ...constants, cr4Osxsave: true, xcr0: 7 }).ebx,
      cpuid(0xd, 0, { ...constants, cr4Osxsave: true, xcr0: 3 }).ebx,
    ]);
  });

  test("are right for a guest that asks for more leaves than are kept", () => {
    const answers = new CpuidAnswers(constants);
    for (let leaf = 0; leaf < 1000; leaf++) answers.answer(leaf, 0, 0, 3);
    expect(answers.answer(0, 0, 0, 3)).toEqual(cpuid(0, 0, { ...constants, cr4Osxsave: false, xcr0: 3 }));
  });
});
