import { openEvaluatorTarget } from "./evaluator-target.ts";
import { openInterpreterTarget, openTranslatorTarget } from "./interpreter-target.ts";
import { openNativeTarget } from "./native-target.ts";
import type { ExecutionTarget } from "./target.ts";

/** What can be compared with the processor, by name; each is loaded when it is asked for. */
const TARGETS: Readonly<Record<string, () => Promise<ExecutionTarget>>> = {
  interpreter: openInterpreterTarget,
  translator: openTranslatorTarget,
  /** Only instructions of `EVALUATED`. */
  evaluator: openEvaluatorTarget,
  /** The judge against itself: whatever differs is not determined by the case. */
  native: openNativeTarget,
};

export const TARGET_NAMES: readonly string[] = Object.keys(TARGETS);

/** Opens a target; undefined when there is none of that name. */
export async function openTarget(name: string): Promise<ExecutionTarget | undefined> {
  return TARGETS[name]?.();
}
