import type * as cpu from "../layout/cpu-state.ts";
import type { SavedCode } from "./saved-code.ts";

/** Why an engine hands control back to the processor: an EXIT_* of layout/cpu-state.ts. */
export type EngineExit =
  | typeof cpu.EXIT_FAULT
  | typeof cpu.EXIT_BUDGET
  | typeof cpu.EXIT_HALT
  | typeof cpu.EXIT_STEP
  | typeof cpu.EXIT_SHUTDOWN;

/**
 * A way to execute guest code. All engines work on the same processor state
 * and memory, and may take turns at any instruction boundary.
 */
export interface Engine {
  readonly name: string;
  /** Runs from RIP until BUDGET is used up, a fault has to be delivered, or the processor stops. */
  execute(): EngineExit;
  /** Executes one instruction. */
  step(): EngineExit;
  /** Bytes `first .. last` of a guest page with decoded code have been written. */
  codeWritten(page: number, first: number, last: number): void;
  /** Forgets all code: memory has changed behind the processor's back. */
  forgetCode(): void;
  /** What it has decoded and generated, for an engine that takes over; undefined where that cannot be. */
  saveCode(): SavedCode | undefined;
  /** Forgets all code; the first time, goes on with the saved code that it was made with, if it can use that. */
  restoreCode(): void;
}
