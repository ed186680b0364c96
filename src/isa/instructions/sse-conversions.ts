import { CR4 } from "../../layout/cpu-state.ts";
import { form, type Instruction, instruction } from "../instruction.ts";
import type { Ops } from "../ops.ts";
import { sdm } from "./sse2-packed-forms.ts";

const CR4_OSFXSR_BIT = 9;

type Format = "f32" | "f64";

/** Rounded by MXCSR, or truncated: the last argument of the conversions to integers. */
const ROUND = 0;
const TRUNCATE = 1;
type Rounding = typeof ROUND | typeof TRUNCATE;

const bitsOf = (format: Format): 32 | 64 => (format === "f32" ? 32 : 64);

function floatFrom<V>(ops: Ops<V>, format: Format, integer: V): V {
  if (ops.bitsOf(integer) === 64) return ops.call(format === "f32" ? "i64ToF32" : "i64ToF64", integer);
  return ops.call(format === "f32" ? "i32ToF32" : "i32ToF64", integer);
}

function integerFrom<V>(ops: Ops<V>, format: Format, bits: 32 | 64, rounding: Rounding, value: V): V {
  const mode = ops.constant(rounding, 32);
  if (bits === 64) return ops.call(format === "f32" ? "f32ToI64" : "f64ToI64", value, mode);
  return ops.call(format === "f32" ? "f32ToI32" : "f64ToI32", value, mode);
}

/** The low `count` lanes of a vector. */
function lowLanes<V>(ops: Ops<V>, bits: 32 | 64, count: number, a: V): V[] {
  return Array.from({ length: count }, (_, i) => ops.lane(bits, a, i));
}

/** A vector of 32-bit lanes: the given ones, then zeros. */
function padded<V>(ops: Ops<V>, lanes: readonly V[]): V {
  const zero = ops.constant(0, 32);
  return ops.fromLanes(Array.from({ length: 4 }, (_, i) => lanes[i] ?? zero));
}

const pairOf = <V>(ops: Ops<V>, low: V, high: V): V =>
  ops.or(ops.zeroExtend(low, 64), ops.shiftLeft(ops.zeroExtend(high, 64), 32));

type Convert = <V>(ops: Ops<V>, src: V) => V;

/** A conversion that fills the destination. */
function filling(mnemonic: string, opcode: string, operands: string, convert: Convert): Instruction {
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "w r",
    unit: "sse",
    simdExceptions: true,
    forms: [form(opcode, operands)],
    execute(ops, _dst, src) {
      return convert(ops, src);
    },
  });
}

/** A conversion into lane 0; the rest of the destination stays. */
function merging(mnemonic: string, opcode: string, operands: string, convert: Convert): Instruction {
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "rw r",
    unit: "sse",
    simdExceptions: true,
    forms: [form(opcode, operands)],
    execute(ops, dst, src) {
      return ops.withLane(dst, 0, convert(ops, src));
    },
  });
}

/** CVTSS2SI and its like: to a general register of 32 or 64 bits. */
function toGeneral(mnemonic: string, opcode: string, format: Format, rounding: Rounding): Instruction {
  return filling(mnemonic, opcode, `r:y, xmm/m${bitsOf(format)}`, (ops, src) => {
    const bits = ops.operandBits === 64 ? 64 : 32;
    return integerFrom(ops, format, bits, rounding, ops.lane(bitsOf(format), src, 0));
  });
}

/** Lanes to 32-bit integers; two binary64 lanes give two integers and zeros. */
function toIntegers(mnemonic: string, opcode: string, format: Format, rounding: Rounding): Instruction {
  const bits = bitsOf(format);
  return filling(mnemonic, opcode, "xmm, xmm/m128", (ops, src) =>
    padded(
      ops,
      lowLanes(ops, bits, 128 / bits, src).map((lane) => integerFrom(ops, format, 32, rounding, lane)),
    ),
  );
}

/**
 * Two lanes to two 32-bit integers in an MMX register. A pending x87 exception
 * comes before the memory operand's faults, as for any MMX instruction; the
 * x87 tags change even when an unmasked exception of SSE faults.
 */
function toMmx(mnemonic: string, opcode: string, format: Format, rounding: Rounding): Instruction {
  const bits = bitsOf(format);
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "w r",
    unit: "mmx",
    simdExceptions: true,
    forms: [form(opcode, `mm, xmm/m${2 * bits}`)],
    execute(ops, _dst, src) {
      ops.raiseWhen(ops.not(ops.bit(ops.state(CR4, 32), CR4_OSFXSR_BIT)), "#UD");
      ops.perform("mmxEnter");
      const convert = (i: number) => integerFrom(ops, format, 32, rounding, ops.lane(bits, src, i));
      return pairOf(ops, convert(0), convert(1));
    },
  });
}

/** Two 32-bit integers of an MMX register or memory. */
function integerPair<V>(ops: Ops<V>, src: V): [V, V] {
  return [ops.truncate(src, 32), ops.truncate(ops.shiftRight(src, 32), 32)];
}

/** Makes two conversions of one: from an MMX register, and from memory, which has nothing to do with the x87 unit. */
function fromMmx(
  mnemonic: string,
  opcode: string,
  access: string,
  convert: <V>(ops: Ops<V>, dst: V, src: V) => V,
): Instruction[] {
  const common = {
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access,
    unit: "sse",
    simdExceptions: true,
  } as const;
  return [
    instruction({
      ...common,
      forms: [form(opcode, "xmm, mm:rm")],
      execute(ops, dst, src) {
        ops.system("x87Check");
        ops.perform("mmxEnter");
        return convert(ops, dst, src);
      },
    }),
    instruction({ ...common, forms: [form(opcode, "xmm, m64")], execute: convert }),
  ];
}

/** Conversions between integers, binary32 and binary64. */
export const sseConversions: readonly Instruction[] = [
  filling("cvtdq2pd", "F3 0F E6 /r", "xmm, xmm/m64", (ops, src) =>
    ops.fromLanes(lowLanes(ops, 32, 2, src).map((lane) => floatFrom(ops, "f64", lane))),
  ),
  filling("cvtdq2ps", "NP 0F 5B /r", "xmm, xmm/m128", (ops, src) =>
    ops.fromLanes(lowLanes(ops, 32, 4, src).map((lane) => floatFrom(ops, "f32", lane))),
  ),
  toIntegers("cvtpd2dq", "F2 0F E6 /r", "f64", ROUND),
  toMmx("cvtpd2pi", "66 0F 2D /r", "f64", ROUND),
  filling("cvtpd2ps", "66 0F 5A /r", "xmm, xmm/m128", (ops, src) =>
    padded(
      ops,
      lowLanes(ops, 64, 2, src).map((lane) => ops.call("f64ToF32", lane)),
    ),
  ),
  ...fromMmx("cvtpi2pd", "66 0F 2A /r", "w r", (ops, _dst, src) =>
    ops.fromLanes(integerPair(ops, src).map((lane) => floatFrom(ops, "f64", lane))),
  ),
  ...fromMmx("cvtpi2ps", "NP 0F 2A /r", "rw r", (ops, dst, src) => {
    const [low, high] = integerPair(ops, src);
    return ops.withLane(dst, 0, pairOf(ops, floatFrom(ops, "f32", low), floatFrom(ops, "f32", high)));
  }),
  toIntegers("cvtps2dq", "66 0F 5B /r", "f32", ROUND),
  filling("cvtps2pd", "NP 0F 5A /r", "xmm, xmm/m64", (ops, src) =>
    ops.fromLanes(lowLanes(ops, 32, 2, src).map((lane) => ops.call("f32ToF64", lane))),
  ),
  toMmx("cvtps2pi", "NP 0F 2D /r", "f32", ROUND),
  toGeneral("cvtsd2si", "F2 0F 2D /r", "f64", ROUND),
  merging("cvtsd2ss", "F2 0F 5A /r", "xmm, xmm/m64", (ops, src) =>
    ops.call("f64ToF32", ops.lane(64, src, 0)),
  ),
  merging("cvtsi2sd", "F2 0F 2A /r", "xmm, rm:y", (ops, src) => floatFrom(ops, "f64", src)),
  merging("cvtsi2ss", "F3 0F 2A /r", "xmm, rm:y", (ops, src) => floatFrom(ops, "f32", src)),
  merging("cvtss2sd", "F3 0F 5A /r", "xmm, xmm/m32", (ops, src) =>
    ops.call("f32ToF64", ops.lane(32, src, 0)),
  ),
  toGeneral("cvtss2si", "F3 0F 2D /r", "f32", ROUND),
  toIntegers("cvttpd2dq", "66 0F E6 /r", "f64", TRUNCATE),
  toMmx("cvttpd2pi", "66 0F 2C /r", "f64", TRUNCATE),
  toIntegers("cvttps2dq", "F3 0F 5B /r", "f32", TRUNCATE),
  toMmx("cvttps2pi", "NP 0F 2C /r", "f32", TRUNCATE),
  toGeneral("cvttsd2si", "F2 0F 2C /r", "f64", TRUNCATE),
  toGeneral("cvttss2si", "F3 0F 2C /r", "f32", TRUNCATE),
];
