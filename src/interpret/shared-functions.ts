import type { HelperName } from "../isa/helpers.ts";
import type { Expr, FunctionBuilder } from "../wasm/function-builder.ts";
import type { FunctionRef } from "../wasm/module-writer.ts";

/**
 * Functions of the run module that every handler may use (interpret/run-module.ts).
 * All take the address of the record; those that return an i32 return the next
 * record, or 0 to leave the interpreter with EXIT_REASON set.
 */
export const SHARED_FUNCTIONS = {
  /** FAULT_* is set by the record's instruction: leaves with EXIT_FAULT. */
  leaveFault: { params: ["i32"], results: ["i32"] },
  /** The same after an access to the stack: a non-canonical address is #SS. */
  leaveStackFault: { params: ["i32"], results: ["i32"] },
  /** Acts on a status other than STATUS_OK that a helper returned. */
  leaveStatus: { params: ["i32", "i32"], results: ["i32"] },
  /** A relative jump whose link is 0. */
  jumpUnlinked: { params: ["i32"], results: ["i32"] },
  /** A relative jump whose budget ran out. */
  jumpBudget: { params: ["i32"], results: ["i32"] },
  /** A relative jump whose count has reached the mark: leaves with EXIT_HOT. */
  jumpHot: { params: ["i32"], results: ["i32"] },
  /** RIP is set and the block's instructions are counted: the record for it. */
  dispatch: { params: [], results: ["i32"] },
  /** The same after a RET: what it returns to does not become hot by that. */
  dispatchReturn: { params: [], results: ["i32"] },
  /** Sets a fault without (or with a zero) error code: vector, error code. */
  setFault: { params: ["i32", "i32"], results: [] },
} as const;

export type SharedFunction = keyof typeof SHARED_FUNCTIONS;

/** Where a handler's code is built: its own function, or a place in the interpreter's loop. */
export interface HandlerContext {
  readonly b: FunctionBuilder;
  /** Address of the record at which the handler starts. */
  readonly pc: Expr;
  helper(name: HelperName): FunctionRef;
  shared(name: SharedFunction): FunctionRef;
  /** Goes on with the record `bytes` behind `pc`. */
  next(bytes: number): void;
  /** Goes on with a record, which is not 0. */
  goTo(record: Expr): void;
  /** Goes on with a record, or leaves when it is 0. */
  leave(record: Expr): void;
  /** Counts of a taken jump after which it leaves with EXIT_HOT; undefined where nobody wants to know. */
  readonly hotCount: number | undefined;
}
