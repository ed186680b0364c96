import { form, type Instruction, instruction } from "../instruction.ts";
import type { LaneBits, LaneOp, Ops } from "../ops.ts";
import { type Combine, sdm, sse } from "./sse2-packed-forms.ts";

export const SSE41 = ["sse4.1"] as const;

const lanes =
  (op: LaneOp, bits: LaneBits): Combine =>
  (ops, a, b) =>
    ops.laneOp(op, bits, a, b);

/** 64-bit products of the even 32-bit lanes, signed. */
const multiplyEvenSigned: Combine = (ops, a, b) => {
  const count = ops.constant(32, 64);
  const even = (v: ReturnType<typeof ops.not>) =>
    ops.laneShift("shiftRightSigned", 64, ops.laneShift("shiftLeft", 64, v, count), count);
  return ops.laneOp("multiply", 64, even(a), even(b));
};

/** The low lanes of `src`, each widened to `to` bits. */
export function extendLanes<V>(
  ops: Ops<V>,
  isSigned: boolean,
  from: 8 | 16 | 32,
  to: 16 | 32 | 64,
  src: V,
): V {
  const [narrow, wide] = [from / 8, to / 8];
  // Signed ones are put at the upper end of their lanes, and shifted down from there.
  const first = isSigned ? wide - narrow : 0;
  const indices = Array.from({ length: 16 }, (_, i) => {
    const place = (i % wide) - first;
    return place >= 0 && place < narrow ? Math.floor(i / wide) * narrow + place : 16;
  });
  const spread = ops.shuffleBytes(indices, src, ops.constant(0, 128));
  return isSigned ? ops.laneShift("shiftRightSigned", to, spread, ops.constant(to - from, 64)) : spread;
}

/** PMOVSXBW and its like. */
export const EXTENSIONS: readonly (readonly [
  suffix: string,
  opcode: number,
  from: 8 | 16 | 32,
  to: 16 | 32 | 64,
])[] = [
  ["bw", 0x20, 8, 16],
  ["bd", 0x21, 8, 32],
  ["bq", 0x22, 8, 64],
  ["wd", 0x23, 16, 32],
  ["wq", 0x24, 16, 64],
  ["dq", 0x25, 32, 64],
];

function extension(isSigned: boolean, [suffix, opcode, from, to]: (typeof EXTENSIONS)[number]): Instruction {
  const byte = (isSigned ? opcode : opcode + 0x10).toString(16);
  return instruction({
    mnemonic: `pmov${isSigned ? "s" : "z"}x${suffix}`,
    source: sdm(isSigned ? "PMOVSX" : "PMOVZX"),
    access: "w r",
    unit: "sse",
    features: SSE41,
    forms: [form(`66 0F 38 ${byte} /r`, `xmm, xmm/m${(128 * from) / to}`)],
    execute(ops, _dst, src) {
      return extendLanes(ops, isSigned, from, to, src);
    },
  });
}

/** The least of eight words, and in the next lane the number of the first that has this value. */
const phminposuw = instruction({
  mnemonic: "phminposuw",
  source: sdm("PHMINPOSUW"),
  access: "w r",
  unit: "sse",
  features: SSE41,
  forms: [form("66 0F 38 41 /r", "xmm, xmm/m128")],
  execute(ops, _dst, src) {
    // The word above its number: the least of these is what is wanted.
    const keys = Array.from({ length: 8 }, (_, i) =>
      ops.or(ops.shiftLeft(ops.zeroExtend(ops.lane(16, src, i), 32), 16), ops.constant(i, 32)),
    );
    const least = keys.reduce((a, b) => ops.keep(ops.select(ops.lessUnsigned(b, a), b, a)));
    return ops.vector64(ops.zeroExtend(ops.rotateLeft(least, 16), 64));
  },
});

/** Sums of absolute differences of four bytes of `b` with each four of `a` in a row. */
export function sumsOfDifferences<V>(ops: Ops<V>, a: V, b: V, immediate: V): V {
  const four = (selector: V) => ops.shiftLeft(ops.zeroExtend(selector, 8), 2);
  const fromA = ops.shiftBytes("right", a, four(ops.bit(immediate, 2)));
  const group = ops.keep(
    ops.shiftBytes("right", b, ops.shiftLeft(ops.and(immediate, ops.constant(3, 8)), 2)),
  );
  const terms = [0, 1, 2, 3].map((i) => {
    const x = extendLanes(ops, false, 8, 16, ops.shiftBytes("right", fromA, ops.constant(i, 8)));
    const y = ops.splat(ops.zeroExtend(ops.lane(8, group, i), 16));
    const larger = ops.laneOp("maxSigned", 16, x, y);
    return ops.laneOp("subtract", 16, larger, ops.laneOp("minSigned", 16, x, y));
  });
  return terms.reduce((sum, term) => ops.laneOp("add", 16, sum, term));
}

const mpsadbw = instruction({
  mnemonic: "mpsadbw",
  source: sdm("MPSADBW"),
  access: "rw r r",
  unit: "sse",
  features: SSE41,
  forms: [form("66 0F 3A 42 /r", "xmm, xmm/m128, imm8")],
  execute: sumsOfDifferences,
});

/** Whether all bits of a vector are 0. */
export function vanishes<V>(ops: Ops<V>, a: V): V {
  return ops.isZero(ops.or(ops.lane(64, a, 0), ops.lane(64, a, 1)));
}

/** ZF and CF; the other status flags are cleared. */
export function setTestFlags<V>(ops: Ops<V>, zf: V, cf: V): void {
  const [zero, carry] = [ops.keep(zf), ops.keep(cf)];
  for (const flag of ["pf", "af", "sf", "of"] as const) ops.setFlag(flag, ops.constant(0, 1));
  ops.setFlag("zf", zero);
  ops.setFlag("cf", carry);
}

const ptest = instruction({
  mnemonic: "ptest",
  source: sdm("PTEST"),
  access: "r r",
  flags: { writes: "cf pf af zf sf of" },
  unit: "sse",
  features: SSE41,
  forms: [form("66 0F 38 17 /r", "xmm, xmm/m128")],
  execute(ops, a, b) {
    setTestFlags(ops, vanishes(ops, ops.and(a, b)), vanishes(ops, ops.and(ops.not(a), b)));
  },
});

const movntdqa = instruction({
  mnemonic: "movntdqa",
  source: sdm("MOVNTDQA"),
  access: "w r",
  unit: "sse",
  features: SSE41,
  forms: [form("66 0F 38 2A /r", "xmm, m128")],
  execute(_ops, _dst, src) {
    return src;
  },
});

const MAXIMUM = "PMAXSB/PMAXSW/PMAXSD/PMAXSQ";
const MINIMUM = "PMINSB/PMINSW";

/** SSE4.1 on packed integers, but for single lanes. */
export const sse41Integer: readonly Instruction[] = [
  movntdqa,
  mpsadbw,
  ...sse("packusdw", "PACKUSDW", "66 0F 38 2B /r", (ops, a, b) => ops.packSaturate(32, false, a, b), SSE41),
  ...sse("pcmpeqq", "PCMPEQQ", "66 0F 38 29 /r", lanes("equal", 64), SSE41),
  phminposuw,
  ...sse("pmaxsb", MAXIMUM, "66 0F 38 3C /r", lanes("maxSigned", 8), SSE41),
  ...sse("pmaxsd", MAXIMUM, "66 0F 38 3D /r", lanes("maxSigned", 32), SSE41),
  ...sse("pmaxuw", "PMAXUB/PMAXUW", "66 0F 38 3E /r", lanes("maxUnsigned", 16), SSE41),
  ...sse("pmaxud", "PMAXUD/PMAXUQ", "66 0F 38 3F /r", lanes("maxUnsigned", 32), SSE41),
  ...sse("pminsb", MINIMUM, "66 0F 38 38 /r", lanes("minSigned", 8), SSE41),
  ...sse("pminsd", "PMINSD/PMINSQ", "66 0F 38 39 /r", lanes("minSigned", 32), SSE41),
  ...sse("pminuw", "PMINUB/PMINUW", "66 0F 38 3A /r", lanes("minUnsigned", 16), SSE41),
  ...sse("pminud", "PMINUD/PMINUQ", "66 0F 38 3B /r", lanes("minUnsigned", 32), SSE41),
  ...EXTENSIONS.map((row) => extension(true, row)),
  ...EXTENSIONS.map((row) => extension(false, row)),
  ...sse("pmuldq", "PMULDQ", "66 0F 38 28 /r", multiplyEvenSigned, SSE41),
  ...sse("pmulld", "PMULLD/PMULLQ", "66 0F 38 40 /r", lanes("multiply", 32), SSE41),
  ptest,
];
