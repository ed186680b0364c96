import { form, type Instruction, instruction } from "../instruction.ts";
import type { LaneOp, Ops } from "../ops.ts";
import { type Combine, sdm, sse } from "./sse2-packed-forms.ts";

const SSSE3 = ["ssse3"] as const;

/** The MMX row; `combine` gets and gives vectors. */
function mmx(mnemonic: string, title: string, opcode: string, execute: Combine): Instruction {
  return instruction({
    mnemonic,
    source: sdm(title),
    access: "rw r",
    unit: "mmx",
    features: SSSE3,
    forms: [form(`NP ${opcode} /r`, "mm, mm/m64")],
    execute,
  });
}

/** An operation whose lanes do not mix, as for SSE2. */
function laneWise(mnemonic: string, title: string, opcode: string, combine: Combine): Instruction[] {
  return [
    mmx(mnemonic, title, opcode, (ops, a, b) => ops.low64(combine(ops, ops.vector64(a), ops.vector64(b)))),
    ...sse(mnemonic, title, `66 ${opcode} /r`, combine, SSSE3),
  ];
}

/** An operation on neighbours: MMX's two operands are the halves of one vector. */
function onNeighbours(mnemonic: string, title: string, opcode: string, combine: Combine): Instruction[] {
  return [
    mmx(mnemonic, title, opcode, (ops, a, b) => {
      const both = ops.fromLanes([a, b]);
      return ops.low64(combine(ops, both, both));
    }),
    ...sse(mnemonic, title, `66 ${opcode} /r`, combine, SSSE3),
  ];
}

/** The even or the odd lanes of two vectors, as one. */
function alternate<V>(ops: Ops<V>, bits: 16 | 32, first: 0 | 1, a: V, b: V): V {
  const bytes = bits / 8;
  const indices = Array.from({ length: 16 }, (_, i) => {
    const lane = 2 * Math.floor(i / bytes) + first;
    return lane * bytes + (i % bytes);
  });
  return ops.shuffleBytes(indices, a, b);
}

const horizontal =
  (op: LaneOp, bits: 16 | 32): Combine =>
  (ops, a, b) =>
    ops.laneOp(op, bits, alternate(ops, bits, 0, a, b), alternate(ops, bits, 1, a, b));

const zero = <V>(ops: Ops<V>): V => ops.constant(0, 128);

/** The lanes of `a` by the signs of those of `b`: negated, zero, or as they are. */
const sign =
  (bits: 8 | 16 | 32): Combine =>
  (ops, a, b) => {
    const negative = ops.laneOp("greaterSigned", bits, zero(ops), b);
    const vanishes = ops.laneOp("equal", bits, zero(ops), b);
    // In two's complement -a is ~a + 1: the mask inverts, and subtracting it adds 1.
    const negated = ops.laneOp("subtract", bits, ops.xor(a, negative), negative);
    return ops.and(ops.not(vanishes), negated);
  };

/** Of the most negative number, itself. */
export function absolute<V>(ops: Ops<V>, bits: 8 | 16 | 32, a: V): V {
  return ops.laneOp("maxSigned", bits, a, ops.laneOp("subtract", bits, zero(ops), a));
}

/** Products of unsigned bytes of `a` and signed ones of `b`; neighbours are added with saturation. */
const multiplyAddBytes: Combine = (ops, a, b) => {
  const eight = ops.constant(8, 64);
  const product = (odd: boolean) => {
    const left = odd
      ? ops.laneShift("shiftRight", 16, a, eight)
      : ops.and(a, ops.splat(ops.constant(0xff, 16)));
    const moved = odd ? b : ops.laneShift("shiftLeft", 16, b, eight);
    return ops.laneOp("multiply", 16, left, ops.laneShift("shiftRightSigned", 16, moved, eight));
  };
  return ops.laneOp("addSaturateSigned", 16, product(false), product(true));
};

/** (a * b + 0x4000) >> 15 of each lane: the high half of the product, and its next bits for rounding. */
const multiplyHighRounded: Combine = (ops, a, b) => {
  const shifted = (v: ReturnType<typeof ops.not>, op: "shiftLeft" | "shiftRight", by: number) =>
    ops.laneShift(op, 16, v, ops.constant(by, 64));
  const high = shifted(ops.laneOp("multiplyHighSigned", 16, a, b), "shiftLeft", 1);
  const low = shifted(ops.laneOp("multiply", 16, a, b), "shiftRight", 14);
  // The top two bits of the low half, rounded: (x + 1) >> 1.
  const rounded = shifted(ops.laneOp("add", 16, low, ops.splat(ops.constant(1, 16))), "shiftRight", 1);
  return ops.laneOp("add", 16, high, rounded);
};

/** Bytes of `a` by the low four bits of those of `b`; 0 where the top bit is set. */
const shuffleBytes: Combine = (ops, a, b) => ops.lookupBytes(a, ops.and(b, ops.splat(ops.constant(0x8f, 8))));

/** 16 bytes from byte `count` of `b` followed by `a` on. */
export function alignBytes<V>(ops: Ops<V>, a: V, b: V, count: V): V {
  const numbers = ops.constant(0x0f0e0d0c_0b0a0908_07060504_03020100n, 128);
  const most = ops.constant(32, 8);
  const offset = ops.keep(ops.select(ops.lessUnsigned(count, most), count, most));
  const from = (o: V) => ops.laneOp("add", 8, numbers, ops.splat(o));
  const low = ops.lookupBytes(b, from(offset));
  return ops.or(low, ops.lookupBytes(a, from(ops.subtract(offset, ops.constant(16, 8)))));
}

const palignr = instruction({
  mnemonic: "palignr",
  source: sdm("PALIGNR"),
  access: "rw r r",
  unit: "sse",
  features: SSSE3,
  forms: [form("66 0F 3A 0F /r", "xmm, xmm/m128, imm8")],
  execute: alignBytes,
});

const palignrMmx = instruction({
  mnemonic: "palignr",
  source: sdm("PALIGNR"),
  access: "rw r r",
  unit: "mmx",
  features: SSSE3,
  forms: [form("NP 0F 3A 0F /r", "mm, mm/m64, imm8")],
  execute(ops, dst, src, count) {
    const most = ops.constant(16, 8);
    const limited = ops.select(ops.lessUnsigned(count, most), count, most);
    return ops.low64(ops.shiftBytes("right", ops.fromLanes([src, dst]), limited));
  },
});

const pshufbMmx = mmx("pshufb", "PSHUFB", "0F 38 00", (ops, a, b) => {
  const indices = ops.and(ops.vector64(b), ops.splat(ops.constant(0x87, 8)));
  return ops.low64(ops.lookupBytes(ops.vector64(a), indices));
});

const ADD = "PHADDW/PHADDD";
const SUBTRACT = "PHSUBW/PHSUBD";
const SIGN = "PSIGNB/PSIGNW/PSIGND";
const ABSOLUTE = "PABSB/PABSW/PABSD/PABSQ";

/** PABS reads only its source. */
function absolutes(mnemonic: string, opcode: string, bits: 8 | 16 | 32): Instruction[] {
  const common = { mnemonic, source: sdm(ABSOLUTE), access: "w r", features: SSSE3 };
  return [
    instruction({
      ...common,
      unit: "mmx",
      forms: [form(`NP ${opcode} /r`, "mm, mm/m64")],
      execute(ops, _dst, src) {
        return ops.low64(absolute(ops, bits, ops.vector64(src)));
      },
    }),
    instruction({
      ...common,
      unit: "sse",
      forms: [form(`66 ${opcode} /r`, "xmm, xmm/m128")],
      execute(ops, _dst, src) {
        return absolute(ops, bits, src);
      },
    }),
  ];
}

/** SSSE3, in MMX and XMM registers. */
export const ssse3: readonly Instruction[] = [
  ...absolutes("pabsb", "0F 38 1C", 8),
  ...absolutes("pabsw", "0F 38 1D", 16),
  ...absolutes("pabsd", "0F 38 1E", 32),
  palignrMmx,
  palignr,
  ...onNeighbours("phaddw", ADD, "0F 38 01", horizontal("add", 16)),
  ...onNeighbours("phaddd", ADD, "0F 38 02", horizontal("add", 32)),
  ...onNeighbours("phaddsw", "PHADDSW", "0F 38 03", horizontal("addSaturateSigned", 16)),
  ...onNeighbours("phsubw", SUBTRACT, "0F 38 05", horizontal("subtract", 16)),
  ...onNeighbours("phsubd", SUBTRACT, "0F 38 06", horizontal("subtract", 32)),
  ...onNeighbours("phsubsw", "PHSUBSW", "0F 38 07", horizontal("subtractSaturateSigned", 16)),
  ...laneWise("pmaddubsw", "PMADDUBSW", "0F 38 04", multiplyAddBytes),
  ...laneWise("pmulhrsw", "PMULHRSW", "0F 38 0B", multiplyHighRounded),
  pshufbMmx,
  ...sse("pshufb", "PSHUFB", "66 0F 38 00 /r", shuffleBytes, SSSE3),
  ...laneWise("psignb", SIGN, "0F 38 08", sign(8)),
  ...laneWise("psignw", SIGN, "0F 38 09", sign(16)),
  ...laneWise("psignd", SIGN, "0F 38 0A", sign(32)),
];
