import type { Expr } from "../../wasm/function-builder.ts";
import type { Bits } from "../ops.ts";

/**
 * A value of an instruction's semantics as a WebAssembly expression.
 *
 * Widths up to 32 bits are an i32 whose upper bits are zero, 64 an i64, 128 a v128; 256 are a WideValue.
 */
export class Value {
  readonly bits: Bits;
  readonly e: Expr;
  /** Set on a relative branch target: the record holds it. */
  readonly relative: boolean;

  constructor(bits: Bits, e: Expr, relative = false) {
    this.bits = bits;
    this.e = e;
    this.relative = relative;
  }
}

/** A value of 256 bits: two vectors. */
export class WideValue extends Value {
  readonly low: Value;
  readonly high: Value;

  constructor(low: Value, high: Value) {
    super(256, low.e);
    this.low = low;
    this.high = high;
  }
}
