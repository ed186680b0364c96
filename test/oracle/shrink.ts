import { describeDifferences } from "./compare.ts";
import { initialImage } from "./corner-values.ts";
import type { EncodingShape } from "./encoding-shape.ts";
import { FlagKnowledge } from "./flag-knowledge.ts";
import type { TestCase } from "./protocol.ts";
import { type ExecutionTarget, runCases } from "./target.ts";
import { toleranceOf } from "./tolerance.ts";
import { explainByVendor } from "./vendor/explain.ts";

/** A case that two targets disagree on, with its instructions. */
export interface Disagreement {
  readonly testCase: TestCase;
  readonly shapes: readonly EncodingShape[];
  /** Where each instruction starts in the code. */
  readonly starts: readonly number[];
  readonly differences: readonly string[];
}

type Candidate = Omit<Disagreement, "differences">;

/** Takes instructions, register values and memory away as long as the two targets still disagree. */
export async function shrink(
  start: Disagreement,
  judge: ExecutionTarget,
  other: ExecutionTarget,
  everyFlag: boolean,
): Promise<Disagreement> {
  let best = start;
  for (let round = 0; round < 60; round++) {
    const smaller = await firstDisagreement(simplifications(best), judge, other, everyFlag);
    if (smaller === undefined) return best;
    best = smaller;
  }
  return best;
}

async function firstDisagreement(
  candidates: readonly Candidate[],
  judge: ExecutionTarget,
  other: ExecutionTarget,
  everyFlag: boolean,
): Promise<Disagreement | undefined> {
  if (candidates.length === 0) return undefined;
  const cases = candidates.map((c) => c.testCase);
  const [judged, others] = await Promise.all([runCases(judge, cases), runCases(other, cases)]);
  for (const [i, candidate] of candidates.entries()) {
    const differences = describeDifferences(judged[i]!, others[i]!, toleranceOf(candidate.shapes, everyFlag));
    if (differences.length === 0) continue;
    if ((await explainByVendor(candidate, judge, other, everyFlag)) !== undefined) continue;
    return { ...candidate, differences };
  }
  return undefined;
}

/** Simpler cases, the boldest first. */
function simplifications(d: Candidate): Candidate[] {
  const { testCase } = d;
  const candidates: Candidate[] = [];
  const vary = (change: Partial<TestCase>) => candidates.push({ ...d, testCase: { ...testCase, ...change } });
  for (let i = 0; i < d.shapes.length && d.shapes.length > 1; i++)
    candidates.push(...withoutInstruction(d, i));
  const plain = initialImage();
  if (Buffer.compare(testCase.image, plain) !== 0) vary({ image: plain });
  if (testCase.patches.length > 0) vary({ patches: [] });
  if (testCase.fsBase !== 0n || testCase.gsBase !== 0n) vary({ fsBase: 0n, gsBase: 0n });
  if (testCase.rflags !== 0x202n) vary({ rflags: 0x202n });
  if (testCase.codeOffset !== 0 && !testCase.noExit) vary({ codeOffset: 0 });
  for (let i = 0; i < testCase.patches.length; i++) vary({ patches: testCase.patches.toSpliced(i, 1) });
  for (const [i, value] of testCase.registers.entries()) {
    for (const simpler of [0n, 1n, value & 0xffff_ffffn, value & 0xffffn])
      if (simpler < value && !(value === 1n)) vary({ registers: testCase.registers.with(i, simpler) });
  }
  candidates.push(...simplerImages(d, plain));
  return candidates;
}

function withoutInstruction(d: Candidate, index: number): Candidate[] {
  const { code } = d.testCase;
  const from = d.starts[index]!;
  const to = d.starts[index + 1] ?? code.length;
  const shapes = d.shapes.toSpliced(index, 1);
  const flags = new FlagKnowledge();
  for (const shape of shapes) {
    if (flags.hides(shape)) return [];
    flags.execute(shape);
  }
  const shorter = Uint8Array.from([...code.subarray(0, from), ...code.subarray(to)]);
  const starts = d.starts.toSpliced(index, 1).map((start) => (start > from ? start - (to - from) : start));
  return [{ shapes, starts, testCase: { ...d.testCase, code: shorter } }];
}

/** Each register and control word of the image set to its initial value. */
function simplerImages(d: Candidate, plain: Uint8Array): Candidate[] {
  const { image } = d.testCase;
  const fields = [
    [0, 2],
    [2, 2],
    [4, 1],
    [24, 4],
    ...Array.from({ length: 24 }, (_, i) => [32 + 16 * i, 16]),
  ] as [number, number][];
  return fields.flatMap(([at, bytes]) => {
    const simpler = image.slice();
    simpler.set(plain.subarray(at, at + bytes), at);
    return Buffer.compare(simpler, image) === 0
      ? []
      : [{ ...d, testCase: { ...d.testCase, image: simpler } }];
  });
}
