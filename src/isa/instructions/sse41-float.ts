import { form, type Instruction, instruction } from "../instruction.ts";
import type { Ops } from "../ops.ts";
import { sdm } from "./sse2-packed-forms.ts";
import { SSE41 } from "./sse41-integer.ts";

const allLanes = <V>(bits: 32 | 64, lane: (index: number) => V): V[] =>
  Array.from({ length: 128 / bits }, (_, index) => lane(index));

function round<V>(ops: Ops<V>, bits: 32 | 64, value: V, immediate: V): V {
  return ops.call(`f${bits}Round`, value, ops.zeroExtend(immediate, 32));
}

function packedRound(mnemonic: string, opcode: string, bits: 32 | 64): Instruction {
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "w r r",
    unit: "sse",
    features: SSE41,
    simdExceptions: true,
    forms: [form(opcode, "xmm, xmm/m128, imm8")],
    execute(ops, _dst, src, immediate) {
      return ops.fromLanes(allLanes(bits, (i) => round(ops, bits, ops.lane(bits, src, i), immediate)));
    },
  });
}

function scalarRound(mnemonic: string, opcode: string, bits: 32 | 64): Instruction {
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "rw r r",
    unit: "sse",
    features: SSE41,
    simdExceptions: true,
    forms: [form(opcode, `xmm, xmm/m${bits}, imm8`)],
    execute(ops, dst, src, immediate) {
      return ops.withLane(dst, 0, round(ops, bits, ops.lane(bits, src, 0), immediate));
    },
  });
}

/**
 * Products of the lanes that the upper half of the immediate selects are added, and the sum goes to those
 * that the lower half selects; for each pair of vectors. A lane that is not selected is +0, and raises
 * nothing. An unmasked exception of one step ends the instruction before the next.
 */
export function dotProducts<V>(
  ops: Ops<V>,
  bits: 32 | 64,
  pairs: readonly (readonly [V, V])[],
  immediate: V,
): V[] {
  const zero = ops.constant(0, bits);
  const when = (bit: number, value: V) => ops.select(ops.bit(immediate, bit), value, zero);
  const add = (x: V, y: V) => ops.call(`f${bits}Add`, x, y);
  let terms = pairs.map(([a, b]) =>
    allLanes(bits, (i) =>
      ops.call(`f${bits}Mul`, when(4 + i, ops.lane(bits, a, i)), when(4 + i, ops.lane(bits, b, i))),
    ),
  );
  while (terms[0]!.length > 1) {
    ops.system("commitSse");
    terms = terms.map((list) =>
      Array.from({ length: list.length / 2 }, (_, i) => add(list[2 * i]!, list[2 * i + 1]!)),
    );
  }
  return terms.map(([sum]) => ops.fromLanes(allLanes(bits, (i) => when(i, sum!))));
}

function dot(mnemonic: string, opcode: string, bits: 32 | 64): Instruction {
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "rw r r",
    unit: "sse",
    features: SSE41,
    simdExceptions: true,
    forms: [form(opcode, "xmm, xmm/m128, imm8")],
    execute(ops, a, b, immediate) {
      return dotProducts(ops, bits, [[a, b]], immediate)[0]!;
    },
  });
}

/** SSE4.1's floating point. */
export const sse41Float: readonly Instruction[] = [
  dot("dppd", "66 0F 3A 41 /r", 64),
  dot("dpps", "66 0F 3A 40 /r", 32),
  packedRound("roundpd", "66 0F 3A 09 /r", 64),
  packedRound("roundps", "66 0F 3A 08 /r", 32),
  scalarRound("roundsd", "66 0F 3A 0B /r", 64),
  scalarRound("roundss", "66 0F 3A 0A /r", 32),
];
