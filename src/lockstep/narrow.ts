import type { Difference, Lockstep } from "./lockstep.ts";

/** Where in a run two processors part. */
export interface Narrowed {
  /** With this budget both still agree; with one instruction more they do not. */
  readonly agreeing: number;
  readonly difference: Difference;
}

/**
 * Makes the run that ended differently again with smaller and smaller budgets,
 * from where both agreed, with code decoded afresh. Leaves both sides as after
 * the smallest budget that shows a difference. Undefined when the difference
 * does not come again.
 */
export function narrow(lockstep: Lockstep, maxInstructions: number): Narrowed | undefined {
  const differs = (budget: number): Difference | undefined => {
    lockstep.setBack();
    return lockstep.repeat(budget);
  };
  if (differs(maxInstructions) === undefined) return undefined;
  let agreeing = 0;
  let differing = maxInstructions;
  while (differing - agreeing > 1) {
    const middle = Math.floor((agreeing + differing) / 2);
    if (differs(middle) === undefined) agreeing = middle;
    else differing = middle;
  }
  const difference = differs(differing);
  return difference === undefined ? undefined : { agreeing, difference };
}
