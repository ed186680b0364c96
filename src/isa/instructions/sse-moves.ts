import { form, type Instruction, instruction } from "../instruction.ts";
import type { Ops } from "../ops.ts";
import { sdm } from "./sse2-packed-forms.ts";

/** A move of a whole register, to or from memory too. */
function whole(mnemonic: string, title: string, load: string, store: string, unaligned?: true): Instruction {
  return instruction({
    mnemonic,
    source: sdm(title),
    access: "w r",
    unit: "sse",
    ...(unaligned && { unaligned }),
    forms: [form(load, "xmm, xmm/m128"), form(store, "xmm/m128, xmm")],
    execute(_ops, _dst, src) {
      return src;
    },
  });
}

/** A store with a hint that the data is not used soon, which says nothing of what is stored. */
export function nonTemporal(
  mnemonic: string,
  opcode: string,
  operands: string,
  unit: "general" | "mmx" | "sse",
): Instruction {
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "w r",
    unit,
    forms: [form(opcode, operands)],
    execute(_ops, _dst, src) {
      return src;
    },
  });
}

/** MOVSS and MOVSD: loads clear the rest of the register, moves between registers keep it. */
function scalar(mnemonic: string, bits: 32 | 64, load: string, store: string): Instruction[] {
  const common = { mnemonic, source: sdm(mnemonic.toUpperCase()), unit: "sse" } as const;
  return [
    instruction({
      ...common,
      access: "rw r",
      forms: [form(load, "xmm, xmm:rm"), form(store, "xmm:rm, xmm")],
      execute(ops, dst, src) {
        return ops.withLane(dst, 0, ops.lane(bits, src, 0));
      },
    }),
    instruction({
      ...common,
      access: "w r",
      forms: [form(load, `xmm, m${bits}`)],
      execute(ops, _dst, src) {
        return ops.vector64(ops.zeroExtend(src, 64));
      },
    }),
    instruction({
      ...common,
      access: "w r",
      forms: [form(store, `m${bits}, xmm`)],
      execute(ops, _dst, src) {
        return ops.lane(bits, src, 0);
      },
    }),
  ];
}

/** MOVLPS and its like: one half of a register to or from memory. */
function half(mnemonic: string, index: 0 | 1, load: string, store: string): Instruction[] {
  const common = { mnemonic, source: sdm(mnemonic.toUpperCase()), unit: "sse" } as const;
  return [
    instruction({
      ...common,
      access: "rw r",
      forms: [form(load, "xmm, m64")],
      execute(ops, dst, src) {
        return ops.withLane(dst, index, src);
      },
    }),
    instruction({
      ...common,
      access: "w r",
      forms: [form(store, "m64, xmm")],
      execute(ops, _dst, src) {
        return ops.lane(64, src, index);
      },
    }),
  ];
}

/** MOVHLPS and MOVLHPS: half `from` of the source becomes half `to` of the destination. */
function across(mnemonic: string, opcode: string, from: 0 | 1, to: 0 | 1): Instruction {
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "rw r",
    unit: "sse",
    forms: [form(opcode, "xmm, xmm:rm")],
    execute(ops, dst, src) {
      return ops.withLane(dst, to, ops.lane(64, src, from));
    },
  });
}

/** The low half of a vector as a value of the operand size: 64 bits or 32. */
function lowOfSize<V>(ops: Ops<V>, src: V): V {
  return ops.operandBits === 64 ? ops.low64(src) : ops.lane(32, src, 0);
}

const movdFromGeneral = instruction({
  mnemonic: "movd",
  source: sdm("MOVD/MOVQ"),
  access: "w r",
  unit: "sse",
  forms: [form("66 0F 6E /r", "xmm, rm:y")],
  execute(ops, _dst, src) {
    return ops.vector64(ops.zeroExtend(src, 64));
  },
});

const movdToGeneral = instruction({
  mnemonic: "movd",
  source: sdm("MOVD/MOVQ"),
  access: "w r",
  unit: "sse",
  forms: [form("66 0F 7E /r", "rm:y, xmm")],
  execute(ops, _dst, src) {
    return lowOfSize(ops, src);
  },
});

const movq = instruction({
  mnemonic: "movq",
  source: sdm("MOVQ"),
  access: "w r",
  unit: "sse",
  forms: [form("F3 0F 7E /r", "xmm, xmm/m64"), form("66 0F D6 /r", "xmm:rm, xmm")],
  execute(ops, _dst, src) {
    return ops.vector64(ops.low64(src));
  },
});

const movqStore = instruction({
  mnemonic: "movq",
  source: sdm("MOVQ"),
  access: "w r",
  unit: "sse",
  forms: [form("66 0F D6 /r", "m64, xmm")],
  execute(ops, _dst, src) {
    return ops.low64(src);
  },
});

const maskmovdqu = instruction({
  mnemonic: "maskmovdqu",
  source: sdm("MASKMOVDQU"),
  access: "rw r r",
  unit: "sse",
  unaligned: true,
  forms: [form("66 0F F7 /r", "m128:rdi, xmm, xmm:rm")],
  execute: selectedBytes,
});

/**
 * The bytes of `src` where the bytes of `mask` are negative, else those of
 * `dst`. Processors check access to all bytes, selected or not, as the common
 * code does; the others are written back as they were, which a device could see.
 */
export function selectedBytes<V>(ops: Ops<V>, dst: V, src: V, mask: V): V {
  const selected = ops.laneOp("greaterSigned", 8, ops.vector64(ops.constant(0, 64)), mask);
  return ops.or(ops.and(selected, src), ops.and(ops.not(selected), dst));
}

/** Moves between XMM registers, memory and general registers. */
export const sseMoves: readonly Instruction[] = [
  maskmovdqu,
  whole("movapd", "MOVAPD", "66 0F 28 /r", "66 0F 29 /r"),
  whole("movaps", "MOVAPS", "NP 0F 28 /r", "NP 0F 29 /r"),
  movdFromGeneral,
  movdToGeneral,
  whole("movdqa", "MOVDQA", "66 0F 6F /r", "66 0F 7F /r"),
  whole("movdqu", "MOVDQU", "F3 0F 6F /r", "F3 0F 7F /r", true),
  across("movhlps", "NP 0F 12 /r", 1, 0),
  ...half("movhpd", 1, "66 0F 16 /r", "66 0F 17 /r"),
  ...half("movhps", 1, "NP 0F 16 /r", "NP 0F 17 /r"),
  across("movlhps", "NP 0F 16 /r", 0, 1),
  ...half("movlpd", 0, "66 0F 12 /r", "66 0F 13 /r"),
  ...half("movlps", 0, "NP 0F 12 /r", "NP 0F 13 /r"),
  nonTemporal("movntdq", "66 0F E7 /r", "m128, xmm", "sse"),
  nonTemporal("movnti", "NP 0F C3 /r", "m:y, r:y", "general"),
  nonTemporal("movntpd", "66 0F 2B /r", "m128, xmm", "sse"),
  nonTemporal("movntps", "NP 0F 2B /r", "m128, xmm", "sse"),
  movq,
  movqStore,
  ...scalar("movsd", 64, "F2 0F 10 /r", "F2 0F 11 /r"),
  ...scalar("movss", 32, "F3 0F 10 /r", "F3 0F 11 /r"),
  whole("movupd", "MOVUPD", "66 0F 10 /r", "66 0F 11 /r", true),
  whole("movups", "MOVUPS", "NP 0F 10 /r", "NP 0F 11 /r", true),
];
