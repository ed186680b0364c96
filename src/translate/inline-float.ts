import type { HelperName } from "../isa/helpers.ts";
import { MXCSR } from "../layout/cpu-state.ts";
import { CPU_STATE } from "../layout/memory-map.ts";
import type { Expr, FunctionBuilder } from "../wasm/function-builder.ts";
import type { FunctionRef } from "../wasm/module-writer.ts";
import type { OpName } from "../wasm/opcodes.ts";

/** All exceptions masked, round to nearest, no flushing of denormals, and PE sticky already. */
const MXCSR_SETTING = 0xffff & ~0x1f;
const MXCSR_SIMPLE = 0x1fa0;

const OPERATIONS: Readonly<Record<string, OpName>> = {
  f64Add: "f64.add",
  f64Sub: "f64.sub",
  f64Mul: "f64.mul",
  f64Div: "f64.div",
  f64Sqrt: "f64.sqrt",
  f32Add: "f32.add",
  f32Sub: "f32.sub",
  f32Mul: "f32.mul",
  f32Div: "f32.div",
  f32Sqrt: "f32.sqrt",
};

/** How numbers of a format look: exponent field, and all significand bits shifted left by the sign. */
interface Format {
  readonly type: "i32" | "i64";
  readonly significandBits: number;
  readonly exponentMask: number;
}

const SINGLE: Format = { type: "i32", significandBits: 23, exponentMask: 0xff };
const DOUBLE: Format = { type: "i64", significandBits: 52, exponentMask: 0x7ff };

/**
 * SSE arithmetic on the host's own, where it cannot be told from the exact
 * function of src/core: rounding is to nearest, inexact is sticky already, the
 * result is a normal number (so no operand is a NaN or an infinity, and
 * nothing overflowed or underflowed), and no operand is denormal.
 */
export function inlineFloat(
  b: FunctionBuilder,
  name: HelperName,
  args: readonly Expr[],
  helper: (name: HelperName) => FunctionRef,
): Expr | undefined {
  const operation = OPERATIONS[name];
  if (operation === undefined) return undefined;
  const format = name.startsWith("f64") ? DOUBLE : SINGLE;
  const { type } = format;
  const operands = args.map((arg) => b.bind(arg));
  const numbers = operands.map((arg) =>
    b.op(type === "i64" ? "f64.reinterpret_i64" : "f32.reinterpret_i32", arg),
  );
  const result = b.variable(type);
  const native = b.bind(
    b.op(type === "i64" ? "i64.reinterpret_f64" : "i32.reinterpret_f32", b.op(operation, ...numbers)),
  );
  b.set(result, native);
  const mxcsr = b.load("i32.load", b.i32(0), CPU_STATE + MXCSR);
  let doubtful = b.op("i32.ne", b.op("i32.and", mxcsr, b.i32(MXCSR_SETTING)), b.i32(MXCSR_SIMPLE));
  doubtful = b.op("i32.or", doubtful, b.op("i32.eqz", isNormal(b, native, format)));
  for (const operand of operands) doubtful = b.op("i32.or", doubtful, isDenormal(b, operand, format));
  b.if(doubtful, () => b.set(result, b.call(helper(name), ...operands)!), undefined, "unlikely");
  return b.get(result);
}

const constant = (b: FunctionBuilder, { type }: Format, value: bigint): Expr =>
  type === "i64" ? b.i64(value) : b.i32(Number(BigInt.asIntN(32, value)));

/** The exponent field is neither 0 nor all ones. */
function isNormal(b: FunctionBuilder, bits: Expr, format: Format): Expr {
  const { type, significandBits, exponentMask } = format;
  const shifted = b.op(`${type}.shr_u`, bits, constant(b, format, BigInt(significandBits)));
  const exponent = b.op(`${type}.and`, shifted, constant(b, format, BigInt(exponentMask)));
  const lowered = b.op(`${type}.sub`, exponent, constant(b, format, 1n));
  return b.op(`${type}.lt_u`, lowered, constant(b, format, BigInt(exponentMask - 1)));
}

/** Not zero, but with an exponent field of 0. */
function isDenormal(b: FunctionBuilder, bits: Expr, format: Format): Expr {
  const { type, significandBits } = format;
  const magnitude = b.op(`${type}.shl`, bits, constant(b, format, 1n));
  const lowered = b.op(`${type}.sub`, magnitude, constant(b, format, 1n));
  return b.op(`${type}.lt_u`, lowered, constant(b, format, (1n << BigInt(significandBits + 1)) - 1n));
}
