import type { HelperName } from "../helpers.ts";
import { form, type Instruction, instruction } from "../instruction.ts";
import type { Ops } from "../ops.ts";
import { type Combine, sdm } from "./sse2-packed-forms.ts";

const SSE3 = ["sse3"] as const;

/** A row `xmm, xmm/m128` of SSE3's arithmetic. */
function arithmetic(mnemonic: string, opcode: string, combine: Combine): Instruction {
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "rw r",
    unit: "sse",
    features: SSE3,
    simdExceptions: true,
    forms: [form(opcode, "xmm, xmm/m128")],
    execute: combine,
  });
}

/** Even lanes are subtracted, odd ones added. */
const addSubtract =
  (bits: 32 | 64): Combine =>
  (ops, a, b) =>
    ops.fromLanes(
      Array.from({ length: 128 / bits }, (_, i) => {
        const helper: HelperName = `f${bits}${i % 2 === 0 ? "Sub" : "Add"}`;
        return ops.call(helper, ops.lane(bits, a, i), ops.lane(bits, b, i));
      }),
    );

/** Neighbouring lanes of `a` give the low half, those of `b` the high one. */
const horizontal =
  (bits: 32 | 64, operation: "Add" | "Sub"): Combine =>
  (ops, a, b) => {
    const pairs = 64 / bits;
    const half = <V>(o: Ops<V>, v: V): V[] =>
      Array.from({ length: pairs }, (_, i) =>
        o.call(`f${bits}${operation}`, o.lane(bits, v, 2 * i), o.lane(bits, v, 2 * i + 1)),
      );
    return ops.fromLanes([...half(ops, a), ...half(ops, b)]);
  };

/** Lanes of the source by their numbers, 32 bits each. */
function duplicate(mnemonic: string, opcode: string, operand: string, lanes: readonly number[]): Instruction {
  const bytes = lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte));
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "w r",
    unit: "sse",
    features: SSE3,
    forms: [form(opcode, `xmm, ${operand}`)],
    execute(ops, _dst, src) {
      return ops.shuffleBytes(bytes, src, src);
    },
  });
}

const lddqu = instruction({
  mnemonic: "lddqu",
  source: sdm("LDDQU"),
  access: "w r",
  unit: "sse",
  features: SSE3,
  unaligned: true,
  forms: [form("F2 0F F0 /r", "xmm, m128")],
  execute(_ops, _dst, src) {
    return src;
  },
});

/** SSE3 but for FISTTP (x87.ts), MONITOR and MWAIT. */
export const sse3: readonly Instruction[] = [
  arithmetic("addsubpd", "66 0F D0 /r", addSubtract(64)),
  arithmetic("addsubps", "F2 0F D0 /r", addSubtract(32)),
  arithmetic("haddpd", "66 0F 7C /r", horizontal(64, "Add")),
  arithmetic("haddps", "F2 0F 7C /r", horizontal(32, "Add")),
  arithmetic("hsubpd", "66 0F 7D /r", horizontal(64, "Sub")),
  arithmetic("hsubps", "F2 0F 7D /r", horizontal(32, "Sub")),
  lddqu,
  duplicate("movddup", "F2 0F 12 /r", "xmm/m64", [0, 1, 0, 1]),
  duplicate("movshdup", "F3 0F 16 /r", "xmm/m128", [1, 1, 3, 3]),
  duplicate("movsldup", "F3 0F 12 /r", "xmm/m128", [0, 0, 2, 2]),
];
