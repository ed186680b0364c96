import { form, type Instruction, instruction } from "../instruction.ts";
import type { LaneBits, Ops } from "../ops.ts";
import { type Combine, sdm, sse } from "./sse2-packed-forms.ts";

/** Byte indices that interleave the lanes of two vectors from byte `from` on. */
function interleaved(laneBits: LaneBits, from: number): number[] {
  const laneBytes = laneBits / 8;
  return Array.from({ length: 16 }, (_, i) => {
    const lane = Math.floor(i / laneBytes);
    return from + 16 * (lane & 1) + (lane >> 1) * laneBytes + (i % laneBytes);
  });
}

const unpackLow = (laneBits: LaneBits): Combine => {
  const indices = interleaved(laneBits, 0);
  return (ops, a, b) => ops.shuffleBytes(indices, a, b);
};
const unpackHigh = (laneBits: LaneBits): Combine => {
  const indices = interleaved(laneBits, 8);
  return (ops, a, b) => ops.shuffleBytes(indices, a, b);
};
const pack =
  (fromBits: 16 | 32, signed: boolean): Combine =>
  (ops, a, b) =>
    ops.packSaturate(fromBits, signed, a, b);

/** The low halves of both are interleaved into one vector; MMX takes one half of that. */
function unpackMmx(
  mnemonic: string,
  title: string,
  opcode: string,
  laneBits: LaneBits,
  half: 0 | 1,
): Instruction {
  const indices = interleaved(laneBits, 0);
  return instruction({
    mnemonic,
    source: sdm(title),
    access: "rw r",
    unit: "mmx",
    forms: [form(opcode, half === 0 ? "mm, mm/m32" : "mm, mm/m64")],
    execute(ops, dst, src) {
      const both = ops.shuffleBytes(indices, ops.vector64(dst), ops.vector64(ops.zeroExtend(src, 64)));
      return ops.lane(64, both, half);
    },
  });
}

function packMmx(
  mnemonic: string,
  title: string,
  opcode: string,
  fromBits: 16 | 32,
  signed: boolean,
): Instruction {
  return instruction({
    mnemonic,
    source: sdm(title),
    access: "rw r",
    unit: "mmx",
    forms: [form(opcode, "mm, mm/m64")],
    execute(ops, dst, src) {
      const both = ops.fromLanes([dst, src]);
      return ops.low64(ops.packSaturate(fromBits, signed, both, both));
    },
  });
}

function shuffle(mnemonic: string, opcode: string, laneBits: 16 | 32, firstLane: 0 | 4): Instruction {
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "w r r",
    unit: "sse",
    forms: [form(opcode, "xmm, xmm/m128, imm8")],
    execute(ops, _dst, src, selector) {
      return ops.shuffleLanes(laneBits, firstLane, src, selector);
    },
  });
}

const pshufw = instruction({
  mnemonic: "pshufw",
  source: sdm("PSHUFW"),
  access: "w r r",
  unit: "mmx",
  forms: [form("NP 0F 70 /r", "mm, mm/m64, imm8")],
  execute(ops, _dst, src, selector) {
    return ops.low64(ops.shuffleLanes(16, 0, ops.vector64(src), selector));
  },
});

const shufps = instruction({
  mnemonic: "shufps",
  source: sdm("SHUFPS"),
  access: "rw r r",
  unit: "sse",
  forms: [form("NP 0F C6 /r", "xmm, xmm/m128, imm8")],
  execute(ops, dst, src, selector) {
    const low = ops.shuffleLanes(32, 0, dst, selector);
    const high = ops.shuffleLanes(32, 0, src, selector);
    return ops.shuffleBytes([0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31], low, high);
  },
});

const shufpd = instruction({
  mnemonic: "shufpd",
  source: sdm("SHUFPD"),
  access: "rw r r",
  unit: "sse",
  forms: [form("66 0F C6 /r", "xmm, xmm/m128, imm8")],
  execute(ops, dst, src, selector) {
    const chosen = <V>(o: Ops<V>, bit: V, from: V) => o.select(bit, o.lane(64, from, 1), o.lane(64, from, 0));
    return ops.fromLanes([chosen(ops, ops.bit(selector, 0), dst), chosen(ops, ops.bit(selector, 1), src)]);
  },
});

const pinsrwMmx = instruction({
  mnemonic: "pinsrw",
  source: sdm("PINSRW"),
  access: "rw r r",
  unit: "mmx",
  forms: [form("NP 0F C4 /r", "mm, r32/m16, imm8")],
  execute(ops, dst, src, index) {
    const lane = ops.and(index, ops.constant(3, 8));
    return ops.low64(ops.withLaneAt(ops.vector64(dst), lane, ops.truncate(src, 16)));
  },
});

const pinsrw = instruction({
  mnemonic: "pinsrw",
  source: sdm("PINSRW"),
  access: "rw r r",
  unit: "sse",
  forms: [form("66 0F C4 /r", "xmm, r32/m16, imm8")],
  execute(ops, dst, src, index) {
    return ops.withLaneAt(dst, index, ops.truncate(src, 16));
  },
});

const pextrwMmx = instruction({
  mnemonic: "pextrw",
  source: sdm("PEXTRW"),
  access: "w r r",
  unit: "mmx",
  forms: [form("NP 0F C5 /r", "r32, mm:rm, imm8")],
  execute(ops, _dst, src, index) {
    const lane = ops.and(index, ops.constant(3, 8));
    return ops.zeroExtend(ops.laneAt(16, ops.vector64(src), lane), 32);
  },
});

const pextrw = instruction({
  mnemonic: "pextrw",
  source: sdm("PEXTRW"),
  access: "w r r",
  unit: "sse",
  forms: [form("66 0F C5 /r", "r32, xmm:rm, imm8")],
  execute(ops, _dst, src, index) {
    return ops.zeroExtend(ops.laneAt(16, src, index), 32);
  },
});

/** The top bits of all lanes of a vector register. */
function signs(mnemonic: string, opcode: string, laneBits: LaneBits): Instruction {
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "w r",
    unit: "sse",
    forms: [form(opcode, "r32, xmm:rm")],
    execute(ops, _dst, src) {
      return ops.laneSigns(laneBits, src);
    },
  });
}

const pmovmskbMmx = instruction({
  mnemonic: "pmovmskb",
  source: sdm("PMOVMSKB"),
  access: "w r",
  unit: "mmx",
  forms: [form("NP 0F D7 /r", "r32, mm:rm")],
  execute(ops, _dst, src) {
    return ops.laneSigns(8, ops.vector64(src));
  },
});

const LOW = "PUNPCKLBW/PUNPCKLWD/PUNPCKLDQ/PUNPCKLQDQ";
const HIGH = "PUNPCKHBW/PUNPCKHWD/PUNPCKHDQ/PUNPCKHQDQ";
const PACK_SIGNED = "PACKSSWB/PACKSSDW";

/** Shuffles, packs and unpacks, single lanes and sign masks, in MMX and XMM registers. */
export const sse2Shuffles: readonly Instruction[] = [
  packMmx("packsswb", PACK_SIGNED, "NP 0F 63 /r", 16, true),
  packMmx("packssdw", PACK_SIGNED, "NP 0F 6B /r", 32, true),
  packMmx("packuswb", "PACKUSWB", "NP 0F 67 /r", 16, false),
  ...sse("packsswb", PACK_SIGNED, "66 0F 63 /r", pack(16, true)),
  ...sse("packssdw", PACK_SIGNED, "66 0F 6B /r", pack(32, true)),
  ...sse("packuswb", "PACKUSWB", "66 0F 67 /r", pack(16, false)),
  unpackMmx("punpckhbw", HIGH, "NP 0F 68 /r", 8, 1),
  unpackMmx("punpckhwd", HIGH, "NP 0F 69 /r", 16, 1),
  unpackMmx("punpckhdq", HIGH, "NP 0F 6A /r", 32, 1),
  ...sse("punpckhbw", HIGH, "66 0F 68 /r", unpackHigh(8)),
  ...sse("punpckhwd", HIGH, "66 0F 69 /r", unpackHigh(16)),
  ...sse("punpckhdq", HIGH, "66 0F 6A /r", unpackHigh(32)),
  ...sse("punpckhqdq", HIGH, "66 0F 6D /r", unpackHigh(64)),
  unpackMmx("punpcklbw", LOW, "NP 0F 60 /r", 8, 0),
  unpackMmx("punpcklwd", LOW, "NP 0F 61 /r", 16, 0),
  unpackMmx("punpckldq", LOW, "NP 0F 62 /r", 32, 0),
  ...sse("punpcklbw", LOW, "66 0F 60 /r", unpackLow(8)),
  ...sse("punpcklwd", LOW, "66 0F 61 /r", unpackLow(16)),
  ...sse("punpckldq", LOW, "66 0F 62 /r", unpackLow(32)),
  ...sse("punpcklqdq", LOW, "66 0F 6C /r", unpackLow(64)),
  ...sse("unpckhps", "UNPCKHPS", "NP 0F 15 /r", unpackHigh(32)),
  ...sse("unpckhpd", "UNPCKHPD", "66 0F 15 /r", unpackHigh(64)),
  ...sse("unpcklps", "UNPCKLPS", "NP 0F 14 /r", unpackLow(32)),
  ...sse("unpcklpd", "UNPCKLPD", "66 0F 14 /r", unpackLow(64)),
  pshufw,
  shuffle("pshufd", "66 0F 70 /r", 32, 0),
  shuffle("pshufhw", "F3 0F 70 /r", 16, 4),
  shuffle("pshuflw", "F2 0F 70 /r", 16, 0),
  shufps,
  shufpd,
  pinsrwMmx,
  pinsrw,
  pextrwMmx,
  pextrw,
  pmovmskbMmx,
  signs("pmovmskb", "66 0F D7 /r", 8),
  signs("movmskps", "NP 0F 50 /r", 32),
  signs("movmskpd", "66 0F 50 /r", 64),
];
