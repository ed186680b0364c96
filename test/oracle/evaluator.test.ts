import { describe, expect, test } from "vitest";
import { EVALUATED, openEvaluatorTarget } from "./evaluator-target.ts";
import { Generator } from "./generate.ts";
import { interpreterUnavailable, openInterpreterTarget } from "./interpreter-target.ts";
import { type JudgeReport, judgeCases } from "./judge.ts";
import { nativeUnavailable, openNativeTarget } from "./native-target.ts";
import type { ExecutionTarget } from "./target.ts";

const noInterpreter = interpreterUnavailable();
const noJudge = nativeUnavailable();

/** Compares the evaluator with another target, and reports the first disagreements. */
async function compare(
  other: ExecutionTarget,
  seed: number,
  count: number,
  everyFlag: boolean,
): Promise<JudgeReport> {
  const evaluator = await openEvaluatorTarget();
  const texts: string[] = [];
  const report = await judgeCases(new Generator(EVALUATED, { seed }), other, evaluator, {
    count,
    maxDisagreements: 10,
    perForm: 1,
    everyFlag,
    onDisagreement: (text) => texts.push(text),
  });
  await other.close();
  expect(texts.join("\n\n")).toBe("");
  return report;
}

describe("the evaluator", () => {
  test.skipIf(noJudge !== undefined)(
    "does what the host's processor does in 10,000 random cases",
    async () => {
      const report = await compare(await openNativeTarget(), 20_261_123, 10_000, false);
      expect(report.cases).toBe(10_000);
    },
  );

  // They share every `execute`, but nothing else: neither addresses nor flags nor the helpers of src/core.
  test.skipIf(noInterpreter !== undefined)(
    "agrees with the interpreter in 10,000 random cases, undefined flags and all",
    async () => {
      const report = await compare(await openInterpreterTarget(), 20_261_124, 10_000, true);
      expect(report.cases).toBe(10_000);
    },
  );
});
