import { form, type Instruction, instruction } from "../instruction.ts";
import type { Ops } from "../ops.ts";
import { sdm } from "./sse2-packed-forms.ts";
import { SSE41 } from "./sse41-integer.ts";

/** `b` where the bit of the immediate for the lane is set, else `a`. */
export function blendByImmediate<V>(ops: Ops<V>, bits: 16 | 32 | 64, a: V, b: V, immediate: V): V {
  const wide = ops.zeroExtend(immediate, bits);
  const chosen = Array.from({ length: 128 / bits }, (_, i) => {
    const bit = ops.and(ops.shiftRight(wide, i), ops.constant(1, bits));
    return ops.negate(bit);
  });
  return merged(ops, ops.fromLanes(chosen), b, a);
}

/** The bits of `whenSet` where the mask has ones, else those of `whenClear`. */
export function merged<V>(ops: Ops<V>, mask: V, whenSet: V, whenClear: V): V {
  const kept = ops.keep(mask);
  return ops.or(ops.and(kept, whenSet), ops.and(ops.not(kept), whenClear));
}

/** `b` where the top bit of the mask's lane is set, else `a`. */
export function blendBySigns<V>(ops: Ops<V>, bits: 8 | 32 | 64, a: V, b: V, mask: V): V {
  return merged(ops, ops.laneOp("greaterSigned", bits, ops.constant(0, 128), mask), b, a);
}

function blend(mnemonic: string, opcode: string, bits: 16 | 32 | 64): Instruction {
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "rw r r",
    unit: "sse",
    features: SSE41,
    forms: [form(opcode, "xmm, xmm/m128, imm8")],
    execute(ops, a, b, immediate) {
      return blendByImmediate(ops, bits, a, b, immediate);
    },
  });
}

/** The mask is XMM0. */
function variableBlend(mnemonic: string, opcode: string, bits: 8 | 32 | 64): Instruction {
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "rw r r",
    unit: "sse",
    features: SSE41,
    forms: [form(opcode, "xmm, xmm/m128, xmm0")],
    execute(ops, a, b, mask) {
      return blendBySigns(ops, bits, a, b, mask);
    },
  });
}

/** One lane to a general register or memory, chosen by the immediate. */
function extract(mnemonic: string, opcode: string, operand: string, bits: 8 | 16 | 32): Instruction[] {
  const common = {
    mnemonic,
    source: sdm(mnemonic === "pextrw" ? "PEXTRW" : "PEXTRB/PEXTRD/PEXTRQ"),
    access: "w r r",
    unit: "sse",
    features: SSE41,
  } as const;
  return [
    instruction({
      ...common,
      forms: [form(opcode, `${operand}, xmm, imm8`)],
      execute(ops, _dst, src, index) {
        return ops.zeroExtend(ops.laneAt(bits, src, index), 32);
      },
    }),
    instruction({
      ...common,
      forms: [form(opcode, `m${bits}, xmm, imm8`)],
      execute(ops, _dst, src, index) {
        return ops.laneAt(bits, src, index);
      },
    }),
  ];
}

const pextrd = instruction({
  mnemonic: "pextrd",
  source: sdm("PEXTRB/PEXTRD/PEXTRQ"),
  access: "w r r",
  unit: "sse",
  features: SSE41,
  forms: [form("66 0F 3A 16 /r", "rm:y, xmm, imm8")],
  execute(ops, _dst, src, index) {
    return ops.laneAt(ops.operandBits === 64 ? 64 : 32, src, index);
  },
});

const extractps = instruction({
  mnemonic: "extractps",
  source: sdm("EXTRACTPS"),
  access: "w r r",
  unit: "sse",
  features: SSE41,
  forms: [form("66 0F 3A 17 /r", "rm32, xmm, imm8")],
  execute(ops, _dst, src, index) {
    return ops.laneAt(32, src, index);
  },
});

const pinsrb = instruction({
  mnemonic: "pinsrb",
  source: sdm("PINSRB/PINSRD/PINSRQ"),
  access: "rw r r",
  unit: "sse",
  features: SSE41,
  forms: [form("66 0F 3A 20 /r", "xmm, r32/m8, imm8")],
  execute(ops, dst, src, index) {
    return ops.withLaneAt(dst, index, ops.truncate(src, 8));
  },
});

const pinsrd = instruction({
  mnemonic: "pinsrd",
  source: sdm("PINSRB/PINSRD/PINSRQ"),
  access: "rw r r",
  unit: "sse",
  features: SSE41,
  forms: [form("66 0F 3A 22 /r", "xmm, rm:y, imm8")],
  execute(ops, dst, src, index) {
    return ops.withLaneAt(dst, index, src);
  },
});

/** Inserts a lane at bits 5:4 of the immediate, then clears those that bits 3:0 name. */
function insertLane<V>(ops: Ops<V>, dst: V, value: V, immediate: V): V {
  const inserted = ops.withLaneAt(dst, ops.shiftRight(immediate, 4), value);
  return blendByImmediate(ops, 32, inserted, ops.constant(0, 128), immediate);
}

const insertpsRegister = instruction({
  mnemonic: "insertps",
  source: sdm("INSERTPS"),
  access: "rw r r",
  unit: "sse",
  features: SSE41,
  forms: [form("66 0F 3A 21 /r", "xmm, xmm:rm, imm8")],
  execute(ops, dst, src, immediate) {
    return insertLane(ops, dst, ops.laneAt(32, src, ops.shiftRight(immediate, 6)), immediate);
  },
});

const insertpsMemory = instruction({
  mnemonic: "insertps",
  source: sdm("INSERTPS"),
  access: "rw r r",
  unit: "sse",
  features: SSE41,
  forms: [form("66 0F 3A 21 /r", "xmm, m32, imm8")],
  execute: insertLane,
});

/** SSE4.1's blends, and moves of single lanes. */
export const sse41Lanes: readonly Instruction[] = [
  blend("blendpd", "66 0F 3A 0D /r", 64),
  blend("blendps", "66 0F 3A 0C /r", 32),
  variableBlend("blendvpd", "66 0F 38 15 /r", 64),
  variableBlend("blendvps", "66 0F 38 14 /r", 32),
  extractps,
  insertpsRegister,
  insertpsMemory,
  variableBlend("pblendvb", "66 0F 38 10 /r", 8),
  blend("pblendw", "66 0F 3A 0E /r", 16),
  ...extract("pextrb", "66 0F 3A 14 /r", "r32:rm", 8),
  pextrd,
  ...extract("pextrw", "66 0F 3A 15 /r", "r32:rm", 16),
  pinsrb,
  pinsrd,
];
