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
  const { shapes } = sequence;
  if (!shapes.some((shape) => rules.some((rule) => rule.concerns(shape)))) return undefined;
  for (const step of await takeSteps(sequence, judge, other)) {
    const tolerance = toleranceOf([...step.earlier, step.shape], everyFlag);
    const differences = (s: Step) => describeDifferences(s.judged, s.theirs, tolerance);
    if (differences(step).length > 0)
      return explainStep(
        step,
        rules.filter((rule) => rule.concerns(step.shape)),
        differences,
      );
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

/** Runs the case up to each of its instructions. */
async function takeSteps(
  { testCase, shapes, starts }: Sequence,
  judge: ExecutionTarget,
  other: ExecutionTarget,
): Promise<Step[]> {
  const cases = [...starts, undefined].map((end) => ({ ...testCase, code: testCase.code.slice(0, end) }));
  const [judged, theirs] = await Promise.all([runCases(judge, cases), runCases(other, cases)]);
  return shapes.map((shape, i) => ({
    shape,
    earlier: shapes.slice(0, i),
    testCase: cases[i + 1]!,
    address: caseStart(testCase) + starts[i]!,
    before: judged[i]!,
    judged: judged[i + 1]!,
    theirs: theirs[i + 1]!,
  }));
}
