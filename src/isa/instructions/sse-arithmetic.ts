import type { HelperName } from "../helpers.ts";
import { form, type Instruction, instruction } from "../instruction.ts";
import type { Ops } from "../ops.ts";
import { sdm } from "./sse2-packed-forms.ts";

/** One format and one of its four sets of rows: the prefix, and how many lanes take part. */
interface Kind {
  readonly suffix: string;
  readonly prefix: "NP" | "66" | "F3" | "F2";
  readonly format: "f32" | "f64";
  readonly bits: 32 | 64;
  readonly operands: string;
  /** Only lane 0; the others stay. */
  readonly scalar: boolean;
}

const PS: Kind = {
  suffix: "ps",
  prefix: "NP",
  format: "f32",
  bits: 32,
  operands: "xmm, xmm/m128",
  scalar: false,
};
const PD: Kind = {
  suffix: "pd",
  prefix: "66",
  format: "f64",
  bits: 64,
  operands: "xmm, xmm/m128",
  scalar: false,
};
const SS: Kind = {
  suffix: "ss",
  prefix: "F3",
  format: "f32",
  bits: 32,
  operands: "xmm, xmm/m32",
  scalar: true,
};
const SD: Kind = {
  suffix: "sd",
  prefix: "F2",
  format: "f64",
  bits: 64,
  operands: "xmm, xmm/m64",
  scalar: true,
};

/** Applies a function to lane 0 or to all lanes. */
function eachLane<V>(ops: Ops<V>, kind: Kind, dst: V, apply: (lane: (v: V) => V) => V): V {
  const at = (index: number) => apply((v) => ops.lane(kind.bits, v, index));
  if (kind.scalar) return ops.withLane(dst, 0, at(0));
  return ops.fromLanes(Array.from({ length: 128 / kind.bits }, (_, index) => at(index)));
}

type BinaryOperation = "Add" | "Sub" | "Mul" | "Div" | "Min" | "Max";

/** The exception rules and the NaN chosen depend on which operand comes first: the destination does. */
function binary(name: string, opcode: string, operation: BinaryOperation, kind: Kind): Instruction {
  const helper: HelperName = `${kind.format}${operation}`;
  return instruction({
    mnemonic: `${name}${kind.suffix}`,
    source: sdm(`${name}${kind.suffix}`.toUpperCase()),
    access: "rw r",
    unit: "sse",
    simdExceptions: true,
    forms: [form(`${kind.prefix} ${opcode} /r`, kind.operands)],
    execute(ops, dst, src) {
      return eachLane(ops, kind, dst, (lane) => ops.call(helper, lane(dst), lane(src)));
    },
  });
}

/** RCP and RSQRT raise no exceptions. */
function unary(
  name: string,
  opcode: string,
  helper: HelperName,
  exceptions: boolean,
  kind: Kind,
): Instruction {
  return instruction({
    mnemonic: `${name}${kind.suffix}`,
    source: sdm(`${name}${kind.suffix}`.toUpperCase()),
    access: kind.scalar ? "rw r" : "w r",
    unit: "sse",
    ...(exceptions && { simdExceptions: true }),
    forms: [form(`${kind.prefix} ${opcode} /r`, kind.operands)],
    execute(ops, dst, src) {
      return eachLane(ops, kind, dst, (lane) => ops.call(helper, lane(src)));
    },
  });
}

/** Floating-point arithmetic; the manual's opcode order. */
export const sseArithmetic: readonly Instruction[] = [
  unary("sqrt", "0F 51", "f32Sqrt", true, PS),
  unary("sqrt", "0F 51", "f64Sqrt", true, PD),
  unary("sqrt", "0F 51", "f32Sqrt", true, SS),
  unary("sqrt", "0F 51", "f64Sqrt", true, SD),
  unary("rsqrt", "0F 52", "f32RsqrtApprox", false, PS),
  unary("rsqrt", "0F 52", "f32RsqrtApprox", false, SS),
  unary("rcp", "0F 53", "f32RcpApprox", false, PS),
  unary("rcp", "0F 53", "f32RcpApprox", false, SS),
  ...[PS, PD, SS, SD].map((kind) => binary("add", "0F 58", "Add", kind)),
  ...[PS, PD, SS, SD].map((kind) => binary("mul", "0F 59", "Mul", kind)),
  ...[PS, PD, SS, SD].map((kind) => binary("sub", "0F 5C", "Sub", kind)),
  ...[PS, PD, SS, SD].map((kind) => binary("min", "0F 5D", "Min", kind)),
  ...[PS, PD, SS, SD].map((kind) => binary("div", "0F 5E", "Div", kind)),
  ...[PS, PD, SS, SD].map((kind) => binary("max", "0F 5F", "Max", kind)),
];
