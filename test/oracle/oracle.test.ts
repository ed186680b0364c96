import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Instruction } from "../../src/isa/instruction.ts";
import { INSTRUCTIONS } from "../../src/isa/instructions/all.ts";
import { arithmetic } from "../../src/isa/instructions/arithmetic.ts";
import { decodeCase, encodeBatch, indexBatch } from "./batch.ts";
import { describeDifferences, resultsAgree } from "./compare.ts";
import { initialImage } from "./corner-values.ts";
import { Generator, MAX_INSTRUCTIONS } from "./generate.ts";
import { judgeCases } from "./judge.ts";
import { type NativeTarget, nativeUnavailable, openNativeTarget } from "./native-target.ts";
import { MEMORY_BYTES, STATUS_EXIT, STATUS_FAULT, type TestCase, type TestResult } from "./protocol.ts";
import { decodeResult, indexResults } from "./results.ts";
import { type ExecutionTarget, runCase, targetFromCases } from "./target.ts";
import { NO_TOLERANCE } from "./tolerance.ts";
import { readVectors, recordVectors, replayVectors } from "./vectors.ts";

const table: readonly Instruction[] = arithmetic;

const testCase: TestCase = {
  code: Uint8Array.of(0x48, 0x01, 0xc8), // add rax, rcx
  codeOffset: 0x123,
  noExit: true,
  rflags: 0x8d7n,
  fsBase: 1n << 46n,
  gsBase: 3n,
  registers: Array.from({ length: 16 }, (_, i) => 0xfedc_ba98_7654_3210n + BigInt(i)),
  image: initialImage(),
  memory: new Uint8Array(MEMORY_BYTES).fill(7),
  patches: [{ address: 0x1000_1000, value: 0x8000_0000_0000_0001n }],
};

const unchanged = (c: TestCase): TestResult => ({
  status: STATUS_EXIT,
  vector: 0,
  errorCode: 0,
  rip: 0x2000_0126n,
  rflags: c.rflags,
  cr2: 0n,
  fsBase: c.fsBase,
  gsBase: c.gsBase,
  registers: c.registers,
  image: c.image,
  changedWords: 0,
  memoryHash: 0,
  changes: [],
});

describe("the protocol", () => {
  test("a case that is encoded and decoded is the same", () => {
    expect(decodeCase(indexBatch(encodeBatch([testCase])), 0)).toEqual(testCase);
  });

  test("a result that is encoded and decoded is the same", async () => {
    const image = initialImage();
    image[175] = 0x80;
    const result = {
      ...unchanged(testCase),
      registers: testCase.registers.with(5, 1n),
      gsBase: 9n,
      rflags: 0x246n,
      image,
    };
    const target = targetFromCases("fixed", () => result);
    expect(await runCase(target, testCase)).toEqual(result);
  });

  test("results differ in a defined flag and agree in an undefined one", async () => {
    const batch = encodeBatch([testCase]);
    const [a, b] = await Promise.all(
      [0x202n, 0x203n].map(async (rflags) =>
        indexResults(await targetFromCases("fixed", (c) => ({ ...unchanged(c), rflags })).run(batch)),
      ),
    );
    expect(resultsAgree(a!, b!, 0, { ...NO_TOLERANCE, undefinedAtEnd: 1, undefinedAnywhere: 1 })).toBe(true);
    expect(resultsAgree(a!, b!, 0, { ...NO_TOLERANCE, undefinedAtEnd: 0, undefinedAnywhere: 1 })).toBe(false);
    const differences = describeDifferences(
      decodeResult(a!, 0, testCase),
      decodeResult(b!, 0, testCase),
      NO_TOLERANCE,
    );
    expect(differences).toEqual(["rflags: if natively, cf if here"]);
  });
});

test.each([
  [0x19fn, 0xffff_ffff_ffff_ffa0n, 0],
  [0xffff_ffff_ffff_ffa0n, 0x19fn, 0],
  [0x1a0n, 0xffff_ffff_ffff_ffa0n, 1],
])(
  "faults in two parts of a long operand, also around the end of addresses: %o and %o",
  (a, b, differences) => {
    const fault = { ...unchanged(testCase), status: STATUS_FAULT, vector: 14, errorCode: 4 };
    const tolerance = { ...NO_TOLERANCE, anyFaultOffset: true };
    expect(describeDifferences({ ...fault, cr2: a }, { ...fault, cr2: b }, tolerance)).toHaveLength(
      differences,
    );
  },
);

describe("the generator", () => {
  test("one seed gives the same cases, another gives others", () => {
    const bytes = (seed: number) => new Generator(table, { seed }).batch(50).bytes;
    expect(bytes(1)).toEqual(bytes(1));
    expect(bytes(1)).not.toEqual(bytes(2));
  });

  test("a mnemonic restricts the forms", () => {
    const generator = new Generator(table, { seed: 1, mnemonics: ["neg"] });
    expect(generator.shapes.map((s) => s.text)).toEqual(["neg rm8 (F6 /3)", "neg rm:v (F7 /3)"]);
  });

  test("no case loads MXCSR twice, so that AMD's bit 17 shows at its end", () => {
    const mnemonics = ["ldmxcsr", "vldmxcsr", "fxrstor", "nop"];
    const all = INSTRUCTIONS as readonly Instruction[];
    const generator = new Generator(all, { seed: 1, mnemonics, maxInstructions: MAX_INSTRUCTIONS });
    const { count, forms } = generator.batch(2000);
    const loads = Array.from({ length: count }, (_, i) => {
      const own = forms.subarray(MAX_INSTRUCTIONS * i, MAX_INSTRUCTIONS * (i + 1));
      return [...own].filter((form) => form !== 0xffff && generator.shapes[form]!.loadsMxcsr).length;
    });
    expect(Math.max(...loads)).toBe(1);
  });

  test("20,000 cases reach every form of the arithmetic instructions", () => {
    const generator = new Generator(table, { seed: 1 });
    generator.batch(20_000);
    expect(generator.shapes.filter((s) => generator.uses[s.index] === 0).map((s) => s.text)).toEqual([]);
  });
});

const unavailable = nativeUnavailable();

describe.skipIf(unavailable !== undefined)("the judge", () => {
  let native: NativeTarget;
  beforeAll(async () => {
    native = await openNativeTarget();
  });
  afterAll(async () => {
    await native.close();
  });

  const options = { maxDisagreements: 3, perForm: 1, everyFlag: false };

  test("agrees with itself, in every undefined flag too", async () => {
    const second = await openNativeTarget();
    const report = await judgeCases(new Generator(table, { seed: 7 }), native, second, {
      ...options,
      count: 5000,
      everyFlag: true,
    });
    await second.close();
    expect(report.cases).toBe(5000);
    expect(report.disagreements).toBe(0);
    expect(report.outcomes.get("exit")).toBeGreaterThan(3500);
    expect(native.restarts).toBe(0);
  });

  test("finds a target that leaves bit 63 of RAX clear, and shrinks the case to one instruction", async () => {
    const texts: string[] = [];
    const report = await judgeCases(new Generator(table, { seed: 3 }), native, broken(native), {
      ...options,
      count: 200_000,
      maxDisagreements: 1,
      onDisagreement: (text) => texts.push(text),
    });
    expect(report.disagreements).toBe(1);
    expect(texts[0]!.split("\n").filter((line) => /^ +[0-9a-f]+:/.test(line))).toHaveLength(1);
    expect(texts[0]).toContain("rax: 0x");
  });

  test("asks the judge again where it disagrees: what was a disturbance of its own is none of the other's", async () => {
    const disturbed = broken(native, (cases) => cases > 1);
    const report = await judgeCases(new Generator(table, { seed: 3 }), disturbed, native, {
      ...options,
      count: 200_000,
      maxDisagreements: 1,
    });
    expect(report.disagreements).toBe(0);
    expect(
      report.tolerated.get("the processor itself gave the other result when asked again"),
    ).toBeGreaterThan(0);
  });

  test("and asks another process of it: what lay at a random address in the first is no mistake of the other's", async () => {
    let isRenewed = false;
    const disturbed = {
      ...broken(native, () => !isRenewed),
      async renew() {
        isRenewed = true;
      },
    };
    const once = { ...options, count: 4096, maxDisagreements: 1 };
    const report = await judgeCases(new Generator(table, { seed: 3 }), disturbed, native, once);
    expect([report.disagreements, isRenewed]).toEqual([0, true]);
  });

  test("runs what follows in another process when it is renewed", async () => {
    const target = await openNativeTarget();
    const before = await runCase(target, testCase);
    await target.renew();
    expect(await runCase(target, testCase)).toEqual(before);
    await target.close();
  });

  test("recorded cases replay, and show a broken target", async () => {
    const folder = mkdtempSync(join(tmpdir(), "ringfence-vectors-"));
    const path = join(folder, "vectors.bin");
    await recordVectors(new Generator(table, { seed: 11, economical: true }), native, 5000, path);
    const vectors = readVectors(path);
    const size = statSync(path).size;
    rmSync(folder, { recursive: true });
    expect(vectors.processor).toEqual(native.host);
    expect(await replayVectors(vectors, native)).toEqual({ cases: 5000, differing: 0, texts: [] });
    expect((await replayVectors(vectors, broken(native))).differing).toBeGreaterThan(0);
    expect(size / 5000).toBeLessThan(70);
  });
});

/** The processor with a defect: a changed RAX never has bit 63. */
function broken(native: NativeTarget, breaks: (cases: number) => boolean = () => true): ExecutionTarget {
  return {
    name: "broken",
    async run(batch) {
      const bytes = (await native.run(batch)).slice();
      const { offsets } = indexResults(bytes);
      if (!breaks(offsets.length)) return bytes;
      for (const at of offsets) if (bytes[at + 32]! & 1) bytes[at + 56 + 7]! &= 0x7f;
      return bytes;
    },
    async close() {},
  };
}
