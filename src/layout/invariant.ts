/** Stops on a bug in this project. `what` states the rule that was broken. */
export function invariant(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`internal error (please report): ${what}`);
}
