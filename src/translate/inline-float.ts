import type { HelperName } from "../isa/helpers.ts";
import { FLAG_C, FLAG_R, FLAG_X, FLAG_Y, MXCSR } from "../layout/cpu-state.ts";
import { CPU_STATE } from "../layout/memory-map.ts";
import { constantOf, type Expr, type FunctionBuilder } from "../wasm/function-builder.ts";
import type { OpName } from "../wasm/opcodes.ts";

/** All exceptions masked, round to nearest, no flushing of denormals, and PE sticky already. */
const MXCSR_SETTING = 0xffff & ~0x1f;
const MXCSR_SIMPLE = 0x1fa0;

const ARITHMETIC: Readonly<Record<string, OpName>> = {
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

/** What inlined floating point needs of the code around it. */
export interface FloatContext {
  readonly b: FunctionBuilder;
  /** Leaves before the instruction: the interpreter's exact arithmetic takes it. */
  refuse(): void;
  /** A binary64 result, as i64, that is not denormal. */
  markClean(lane: Expr): void;
  isClean(lane: Expr): boolean;
  /** Writes a flag word (layout/cpu-state.ts). */
  setFlagWord(offset: number, value: Expr): void;
}

/** Whether MXCSR is as the host's arithmetic takes it. Only then may a region be entered that computes with it. */
export function isMxcsrSimple(b: FunctionBuilder): Expr {
  const mxcsr = b.load("i32.load", b.i32(0), CPU_STATE + MXCSR);
  return b.op("i32.eq", b.op("i32.and", mxcsr, b.i32(MXCSR_SETTING)), b.i32(MXCSR_SIMPLE));
}

/**
 * SSE arithmetic on the host's own, where it cannot be told from the exact
 * function of src/core: MXCSR is simple, and no operand and no result is
 * denormal, a NaN, or infinite by overflow. Everything else is refused. Binary64 operands are not denormal
 * by the rule of RegionState, or are looked at. Undefined for helpers that have no such form.
 */
export function inlineFloat(
  context: FloatContext,
  name: HelperName,
  args: readonly Expr[],
): Expr | "done" | undefined {
  const operation = ARITHMETIC[name];
  if (operation !== undefined) return arithmetic(context, name, operation, args);
  const { b } = context;
  switch (name) {
    case "f64Min":
    case "f64Max":
      return minimum(context, name, args);
    case "f64Compare":
      return compare(context, args);
    case "f64CompareFlags":
      compareFlags(context, args);
      return "done";
    case "i32ToF64":
      return clean(context, b.op("f64.convert_i32_s", args[0]!));
    case "i64ToF64":
      return clean(context, b.op("f64.convert_i64_s", args[0]!));
    case "f64ToI32":
    case "f64ToI64":
      return toInteger(context, name, args);
    case "f32ToF64":
      return widen(context, args[0]!);
    case "f64ToF32":
      return narrow(context, args[0]!);
    default:
      return undefined;
  }
}

function refuseWhen({ b, refuse }: FloatContext, condition: Expr): void {
  b.if(condition, refuse, undefined, "unlikely");
}

/** An operand as a number; a denormal one is refused. */
function number64(context: FloatContext, bits: Expr): Expr {
  const { b } = context;
  if (context.isClean(bits)) return b.bind(b.op("f64.reinterpret_i64", bits));
  const known = b.bind(bits);
  refuseWhen(context, isDenormal(b, known));
  return b.bind(b.op("f64.reinterpret_i64", known));
}

/** The bits of a number that is not denormal. */
function clean(context: FloatContext, number: Expr): Expr {
  const { b } = context;
  const bits = b.op("i64.reinterpret_f64", b.bind(number));
  context.markClean(bits);
  return bits;
}

function arithmetic(context: FloatContext, name: HelperName, operation: OpName, args: readonly Expr[]): Expr {
  const { b } = context;
  const format = name.startsWith("f64") ? DOUBLE : SINGLE;
  const { type } = format;
  const isDouble = type === "i64";
  const numbers = args.map((arg) => {
    if (isDouble) return number64(context, arg);
    const operand = b.bind(arg);
    refuseWhen(context, isDenormalIn(b, operand, format));
    return b.op("f32.reinterpret_i32", operand);
  });
  const result = b.bind(b.op(operation, ...numbers));
  const bits = b.op(isDouble ? "i64.reinterpret_f64" : "i32.reinterpret_f32", result);
  const zero = isDouble ? b.f64(0) : b.f32(0);
  const equal = isDouble ? "f64.eq" : "f32.eq";
  b.if(
    b.op("i32.eqz", isNormal(b, bits, format)),
    () => {
      // A sum that is zero is exact, and so are zero times something and zero divided by something.
      let exact = b.op(equal, result, zero);
      if (/Mul|Div|Sqrt/.test(name)) {
        let fromZero = b.op(equal, numbers[0]!, zero);
        if (/Mul/.test(name)) fromZero = b.op("i32.or", fromZero, b.op(equal, numbers[1]!, zero));
        exact = b.op("i32.and", exact, fromZero);
      }
      refuseWhen(context, b.op("i32.eqz", exact));
    },
    undefined,
    "unlikely",
  );
  if (isDouble) context.markClean(bits);
  return bits;
}

/** MINSD and MAXSD: the second operand unless the first is less (or greater). */
function minimum(context: FloatContext, name: HelperName, args: readonly Expr[]): Expr {
  const { b } = context;
  const [x, y] = args.map((arg) => number64(context, arg)) as [Expr, Expr];
  refuseWhen(context, isUnordered(b, x, y));
  return clean(context, b.select(b.op(name === "f64Min" ? "f64.lt" : "f64.gt", x, y), x, y));
}

function isUnordered(b: FunctionBuilder, x: Expr, y: Expr): Expr {
  return b.op("i32.or", b.op("f64.ne", x, x), b.op("f64.ne", y, y));
}

/** CMPSD's predicates 0..7 of numbers (Intel SDM Vol. 2A, CMPSD). */
function compare(context: FloatContext, args: readonly Expr[]): Expr | undefined {
  const { b } = context;
  const predicate = constantOf(args[2]!);
  if (typeof predicate !== "number") return undefined;
  const [x, y] = args.slice(0, 2).map((arg) => number64(context, arg)) as [Expr, Expr];
  refuseWhen(context, isUnordered(b, x, y));
  const kind = predicate & 3;
  const holds = kind === 3 ? b.i32(0) : b.op((["f64.eq", "f64.lt", "f64.le"] as const)[kind]!, x, y);
  return (predicate & 4) === 0 ? holds : b.op("i32.eqz", holds);
}

/** COMISD and UCOMISD of numbers: ZF and CF; the other flags are 0. */
function compareFlags(context: FloatContext, args: readonly Expr[]): void {
  const { b } = context;
  const [x, y] = args.slice(0, 2).map((arg) => number64(context, arg)) as [Expr, Expr];
  refuseWhen(context, isUnordered(b, x, y));
  const isEqual = b.bind(b.op("f64.eq", x, y));
  // R is 0 for ZF, else 0x100; the parity of its low byte is even either way, which PF's correction undoes.
  const corrections = b.op("i32.or", b.op("f64.lt", x, y), b.i32(4));
  context.setFlagWord(FLAG_C, corrections);
  const result = b.op("i64.shl", b.op("i64.extend_i32_u", b.op("i32.eqz", isEqual)), b.i64(8n));
  context.setFlagWord(FLAG_R, result);
  context.setFlagWord(FLAG_X, b.i64(0n));
  context.setFlagWord(FLAG_Y, b.i64(0n));
}

/** Rounded to nearest, or truncated when the mode, a constant, is 1. */
function toInteger(context: FloatContext, name: HelperName, args: readonly Expr[]): Expr | undefined {
  const { b } = context;
  const mode = constantOf(args[1]!);
  if (typeof mode !== "number") return undefined;
  const given = number64(context, args[0]!);
  const whole = b.bind(b.op(mode === 1 ? "f64.trunc" : "f64.nearest", given));
  const limit = b.f64(name === "f64ToI32" ? 2 ** 31 : 2 ** 63);
  refuseWhen(context, b.op("i32.eqz", b.op("f64.lt", b.op("f64.abs", whole), limit)));
  return b.bind(b.op(name === "f64ToI32" ? "i32.trunc_sat_f64_s" : "i64.trunc_sat_f64_s", whole));
}

function widen(context: FloatContext, single: Expr): Expr {
  const { b } = context;
  const bits = b.bind(single);
  const isZero = b.op("i32.eqz", b.op("i32.shl", bits, b.i32(1)));
  refuseWhen(context, b.op("i32.eqz", b.op("i32.or", isNormal(b, bits, SINGLE), isZero)));
  return clean(context, b.op("f64.promote_f32", b.op("f32.reinterpret_i32", bits)));
}

function narrow(context: FloatContext, double: Expr): Expr {
  const { b } = context;
  const number = number64(context, double);
  const bits = b.bind(b.op("i32.reinterpret_f32", b.op("f32.demote_f64", number)));
  const isZero = b.op("f64.eq", number, b.f64(0));
  refuseWhen(context, b.op("i32.eqz", b.op("i32.or", isNormal(b, bits, SINGLE), isZero)));
  return bits;
}

const constant = (b: FunctionBuilder, { type }: Format, value: bigint): Expr =>
  type === "i64" ? b.i64(value) : b.i32(Number(BigInt.asIntN(32, value)));

/**
 * The exponent field is none of 0, 1, 2 and all ones: plus 1, it has a bit above the lowest two. The smallest normal numbers are left
 * out because a result that is tiny before it is rounded to the format's range may become the least of them.
 */
function isNormal(b: FunctionBuilder, bits: Expr, format: Format): Expr {
  const { type, significandBits, exponentMask } = format;
  const shifted = b.op(`${type}.shr_u`, bits, constant(b, format, BigInt(significandBits)));
  const next = b.op(`${type}.add`, shifted, constant(b, format, 1n));
  const high = b.op(`${type}.and`, next, constant(b, format, BigInt(exponentMask & ~3)));
  return type === "i64" ? b.op("i64.ne", high, b.i64(0n)) : b.op("i32.ne", high, b.i32(0));
}

/** Not zero, but with an exponent field of 0. */
function isDenormalIn(b: FunctionBuilder, bits: Expr, format: Format): Expr {
  const { type, significandBits } = format;
  const magnitude = b.op(`${type}.shl`, bits, constant(b, format, 1n));
  const lowered = b.op(`${type}.sub`, magnitude, constant(b, format, 1n));
  return b.op(`${type}.lt_u`, lowered, constant(b, format, (1n << BigInt(significandBits + 1)) - 1n));
}

/** Of a binary64 number, as i64. */
export function isDenormal(b: FunctionBuilder, bits: Expr): Expr {
  return isDenormalIn(b, bits, DOUBLE);
}
