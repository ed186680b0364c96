import type { EncodingShape } from "../encoding-shape.ts";
import type { TestResult } from "../protocol.ts";
import type { Step } from "./step.ts";

/** What the processors of one vendor do otherwise than AMD's, as which the guest's behaves there. */
export interface VendorRule {
  /** For the run's summary. */
  readonly reason: string;
  concerns(shape: EncodingShape): boolean;
  /** The judge's result as a processor of AMD's would have it, where the rule allows what it is; else `step.judged`. */
  undo(step: Step): TestResult;
}

export const GENERAL_PROTECTION = 13;
export const PAGE_FAULT = 14;
export const ALIGNMENT_FAULT = 17;
export const SIMD_EXCEPTION = 19;
/** #SS, #GP, #PF and #AC. */
export const MEMORY_FAULTS = [12, GENERAL_PROTECTION, PAGE_FAULT, ALIGNMENT_FAULT];

/** The step's instruction has ended with this fault. */
export const isFault = (result: TestResult, step: Step, vector: number): boolean =>
  result.vector === vector && result.rip === BigInt(step.address);
