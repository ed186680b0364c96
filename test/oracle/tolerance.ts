import type { EncodingShape } from "./encoding-shape.ts";
import { FlagKnowledge } from "./flag-knowledge.ts";

/** What the judge's word does not count for. */
export interface Tolerance {
  /** RFLAGS bits that may differ when the case ends at its end, and when it ends otherwise. */
  readonly undefinedAtEnd: number;
  readonly undefinedAnywhere: number;
  /** The last instruction gives an approximation: C1 and the last bit of ST0 and ST1 may differ. */
  readonly approximate: boolean;
  /** A long memory operand: which of its bytes a page fault names depends on the order of accesses. */
  readonly anyFaultOffset: boolean;
}

export const NO_TOLERANCE: Tolerance = {
  undefinedAtEnd: 0,
  undefinedAnywhere: 0,
  approximate: false,
  anyFaultOffset: false,
};

/** The tolerance for a sequence of instructions. */
export function toleranceOf(shapes: readonly EncodingShape[], everyFlag = false): Tolerance {
  const flags = new FlagKnowledge();
  if (!everyFlag) for (const shape of shapes) flags.execute(shape);
  return {
    undefinedAtEnd: flags.undefinedNow,
    undefinedAnywhere: flags.undefinedAnywhere,
    approximate: shapes.some((s) => s.approximate),
    anyFaultOffset: shapes.some((s) => s.longOperand),
  };
}

// A tolerance as 32 bits: status flags lie in bits 0 to 11.
const ANYWHERE_SHIFT = 12;
const APPROXIMATE = 1 << 24;
const ANY_FAULT_OFFSET = 1 << 25;

export function packTolerance(t: Tolerance): number {
  const flags = t.undefinedAtEnd | (t.undefinedAnywhere << ANYWHERE_SHIFT);
  return flags | (t.approximate ? APPROXIMATE : 0) | (t.anyFaultOffset ? ANY_FAULT_OFFSET : 0);
}

export function unpackTolerance(packed: number): Tolerance {
  return {
    undefinedAtEnd: packed & 0xfff,
    undefinedAnywhere: (packed >> ANYWHERE_SHIFT) & 0xfff,
    approximate: (packed & APPROXIMATE) !== 0,
    anyFaultOffset: (packed & ANY_FAULT_OFFSET) !== 0,
  };
}
