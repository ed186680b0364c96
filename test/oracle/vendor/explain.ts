import { describeDifferences } from "../compare.ts";
import type { EncodingShape } from "../encoding-shape.ts";
import { caseStart, type TestCase } from "../protocol.ts";
import { type ExecutionTarget, runCases } from "../target.ts";
import { toleranceOf } from "../tolerance.ts";
import type { VendorRule } from "./rule.ts";
import { vendorRules } from "./rules.ts";
import type { Step } from "./step.ts";

interface Sequence {
  readonly testCase: TestCase;
  readonly shapes: readonly EncodingShape[];
  /** Where each instruction starts in the code. */
  readonly starts: readonly number[];
}

/**
 * Why a case differs, when it begins to at an instruction that the judge's vendor has otherwise, and in that alone;
 * undefined when it does not. What follows on such an instruction is not compared: it depends on what that left.
 */
export async function explainByVendor(
  sequence: Sequence,
  judge: ExecutionTarget,
  other: ExecutionTarget,
  everyFlag: boolean,
): Promise<string | undefined> {
  const rules = vendorRules(judge.vendor);
  for (const [i, shape] of sequence.shapes.entries()) {
    const concerned = rules.filter((rule) => rule.concerns(shape));
    if (concerned.length === 0) continue;
    const step = await takeStep(sequence, i, judge, other);
    const tolerance = toleranceOf(sequence.shapes.slice(0, i + 1), everyFlag);
    if (describeDifferences(step.judged, step.theirs, tolerance).length === 0) continue;
    return explainStep(step, concerned, (s) => describeDifferences(s.judged, s.theirs, tolerance));
  }
  return undefined;
}

/** The reason of the rule, or the rules together, that explain all differences of a step. */
export function explainStep(
  step: Step,
  rules: readonly VendorRule[],
  differences: (step: Step) => readonly string[],
): string | undefined {
  let judged = step.judged;
  const reasons: string[] = [];
  for (const rule of rules) {
    const undone = rule.undo({ ...step, judged });
    if (undone !== judged) reasons.push(rule.reason);
    judged = undone;
    if (reasons.length > 0 && differences({ ...step, judged }).length === 0) return reasons.join("; ");
  }
  return undefined;
}

/** Runs the case up to instruction `index`, and with it. */
async function takeStep(
  { testCase, shapes, starts }: Sequence,
  index: number,
  judge: ExecutionTarget,
  other: ExecutionTarget,
): Promise<Step> {
  const upTo = (end: number | undefined): TestCase => ({ ...testCase, code: testCase.code.slice(0, end) });
  const through = upTo(starts[index + 1]);
  const [[before, judged], [theirs]] = await Promise.all([
    runCases(judge, [upTo(starts[index]), through]),
    runCases(other, [through]),
  ]);
  return {
    shape: shapes[index]!,
    testCase: through,
    address: caseStart(testCase) + starts[index]!,
    before: before!,
    judged: judged!,
    theirs: theirs!,
  };
}
