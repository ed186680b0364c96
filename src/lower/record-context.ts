import type { HelperName } from "../isa/helpers.ts";
import type { Expr, FunctionBuilder, LateNumber } from "../wasm/function-builder.ts";
import type { FunctionRef } from "../wasm/module-writer.ts";

export type FieldLoad = "i32.load8_u" | "i32.load16_u" | "i32.load" | "i64.load" | "i64.load32_s";

/** Widths in which processor state is read and written; up to 32 bits are an i32, zero-extended. */
export type RegisterBits = 8 | 16 | 32 | 64 | 128;

/** A place in the one memory. */
export interface HostAddress {
  readonly base: Expr;
  /** To be added, at least 0. */
  readonly offset: number | LateNumber;
}

/**
 * What an engine provides for lowering one decoded instruction: where the
 * record's fields and the processor state are, and how control leaves.
 *
 * The interpreter reads the record and the state from memory; the translator
 * knows the record already and keeps registers in locals.
 */
export interface RecordContext {
  readonly b: FunctionBuilder;
  helper(name: HelperName): FunctionRef;
  /** A field of the record (layout/record.ts). */
  field(load: FieldLoad, offset: number): Expr;
  /** Processor state by its offset (layout/cpu-state.ts). */
  loadState(bits: RegisterBits, offset: Expr): Expr;
  storeState(bits: RegisterBits, offset: Expr, value: Expr): void;
  /** Flags stay pending from one instruction to the next; the context writes them where control leaves. */
  readonly defersFlags?: boolean;
  /**
   * Where guest memory is, if the TLB has it; otherwise leaves the code with the state before the instruction. If absent, a
   * miss calls the slow path and goes on. The address is good until this is called again, and only for storing what is `stored`, if that is given.
   */
  hostAddress?(linear: Expr, bytes: number, writes: boolean, stored?: Expr): HostAddress;
  /** A helper's result computed inline, where that cannot be told from calling it; "done" of one without a result. */
  inlineHelper?(name: HelperName, args: readonly Expr[]): Expr | "done" | undefined;
  /**
   * Does inline what a helper does that returns a status, and says so. `call` writes the code that calls the helper: for what is
   * not done inline.
   */
  inlineSystem?(name: HelperName, args: readonly Expr[], call: () => void): boolean;
  /** The x87 unit has been found enabled, without a pending exception, when the code was entered. */
  readonly x87IsReady?: boolean;
  /** SSE has been found enabled when the code was entered. */
  readonly sseIsEnabled?: boolean;
  /** A vector read from a host address, where it is not to be read as a whole. */
  loadVector?(host: HostAddress): Expr | undefined;
  /** Whether the instruction may have raised SIMD floating-point exceptions; if absent, it may. */
  mayHaveRaised?(): boolean;
  /** Called before and after a helper of src/core is called. */
  beforeHelper(name: HelperName): void;
  afterHelper(name: HelperName): void;

  // Each of these leaves the instruction for good.
  /** FAULT_* is set. */
  fault(): void;
  /** FAULT_* is set by a reference to the stack: #GP for a non-canonical address is #SS. */
  stackFault(): void;
  raise(vector: number, errorCode: number): void;
  /** A helper returned a status other than STATUS_OK. */
  status(status: Expr): void;
  /** Continues at an offset in the code segment if that is a place known to be there; otherwise goes on. */
  jumpToKnown?(rip: Expr): void;
  /** Continues at an offset in the code segment, already cut to the operand size. */
  jumpTo(rip: Expr): void;
  /** Continues at the record's relative target. */
  jumpRelative(): void;

  /** Continues at the record's relative target if the condition holds, else behind the instruction. */
  branch(condition: Expr): void;
}
