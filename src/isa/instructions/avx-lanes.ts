import { form, type Instruction, instruction } from "../instruction.ts";
import type { LaneBits, LaneShift, Ops } from "../ops.ts";
import { sdm } from "./sse2-packed-forms.ts";
import { EXTENSIONS, extendLanes } from "./sse41-integer.ts";
import { blendByImmediate, merged } from "./sse41-lanes.ts";

// AVX and AVX2: broadcasts, permutations, parts of 128 bits, shifts by lanes.

const AVX = { unit: "avx", features: ["avx"], unaligned: true } as const;
const AVX2 = { ...AVX, features: ["avx2"] } as const;

/** One lane in all lanes: of 128 and of 256 bits, from memory and from a register. */
function broadcast(
  mnemonic: string,
  source: string,
  opcode: string,
  bits: LaneBits,
  lengths: readonly ("128" | "256")[],
  fromMemory: typeof AVX | typeof AVX2,
): Instruction[] {
  return lengths.flatMap((length) => {
    const target = length === "128" ? "xmm" : "ymm";
    const filled = <V>(ops: Ops<V>, value: V): V => {
      const half = ops.keep(ops.splat(value));
      return length === "128" ? half : ops.joined(half, half);
    };
    const common = { mnemonic, source, access: "w r" };
    return [
      instruction({
        ...fromMemory,
        ...common,
        forms: [form(`VEX.${length}.66.0F38.W0 ${opcode} /r`, `${target}, m${bits}`)],
        execute(ops, _dst, value) {
          return filled(ops, value);
        },
      }),
      instruction({
        ...AVX2,
        ...common,
        forms: [form(`VEX.${length}.66.0F38.W0 ${opcode} /r`, `${target}, xmm:rm`)],
        execute(ops, _dst, src) {
          return filled(ops, ops.lane(bits, src, 0));
        },
      }),
    ];
  });
}

const BROADCAST = sdm("VBROADCAST");
const INTEGER_BROADCAST = sdm("VPBROADCAST");
const BOTH = ["128", "256"] as const;

/** 128 bits, as they are in memory, in both halves. */
function broadcastHalf(mnemonic: string, opcode: string, unit: typeof AVX | typeof AVX2): Instruction {
  return instruction({
    ...unit,
    mnemonic,
    source: BROADCAST,
    access: "w r",
    forms: [form(`VEX.256.66.0F38.W0 ${opcode} /r`, "ymm, m128")],
    execute(ops, _dst, src) {
      return ops.joined(src, src);
    },
  });
}

/** VEXTRACTF128 and VINSERTF128, and the same under AVX2's names. */
function parts(
  letter: "f" | "i",
  extract: string,
  insert: string,
  unit: typeof AVX | typeof AVX2,
): Instruction[] {
  return [
    instruction({
      ...unit,
      mnemonic: `vextract${letter}128`,
      source: sdm(`VEXTRACT${letter.toUpperCase()}128`),
      access: "w r r",
      forms: [form(`VEX.256.66.0F3A.W0 ${extract} /r`, "xmm/m128, ymm, imm8")],
      execute(ops, _dst, src, immediate) {
        return ops.select(ops.bit(immediate, 0), ops.half(src, 1), ops.half(src, 0));
      },
    }),
    instruction({
      ...unit,
      mnemonic: `vinsert${letter}128`,
      source: sdm(`VINSERT${letter.toUpperCase()}128`),
      access: "w r r r",
      forms: [form(`VEX.256.66.0F3A.W0 ${insert} /r`, "ymm, ymm:v, xmm/m128, imm8")],
      execute(ops, _dst, dst, src, immediate) {
        const isHigh = ops.bit(immediate, 0);
        return ops.joined(
          ops.select(isHigh, ops.half(dst, 0), src),
          ops.select(isHigh, src, ops.half(dst, 1)),
        );
      },
    }),
  ];
}

/** Each half is one of the four halves of the operands, or zero. */
function permuteHalves(letter: "f" | "i", opcode: string, unit: typeof AVX | typeof AVX2): Instruction {
  return instruction({
    ...unit,
    mnemonic: `vperm2${letter}128`,
    source: sdm(`VPERM2${letter.toUpperCase()}128`),
    access: "w r r r",
    forms: [form(`VEX.256.66.0F3A.W0 ${opcode} /r`, "ymm, ymm:v, ymm/m256, imm8")],
    execute(ops, _dst, a, b, immediate) {
      const chosen = (first: number) => {
        const [low, second] = [ops.bit(immediate, first), ops.bit(immediate, first + 1)];
        const half = (v: typeof a) => ops.select(low, ops.half(v, 1), ops.half(v, 0));
        const any = ops.select(second, half(b), half(a));
        return ops.select(ops.bit(immediate, first + 3), ops.constant(0, 128), any);
      };
      return ops.joined(chosen(0), chosen(4));
    },
  });
}

/** An instruction whose rows of 128 and 256 bits do the same in each half. */
function perHalf(
  unit: typeof AVX | typeof AVX2,
  mnemonic: string,
  source: string,
  opcode: string,
  operands: string,
  apply: <V>(ops: Ops<V>, half: 0 | 1, ...operands: V[]) => V,
): Instruction[] {
  const access = operands
    .split(",")
    .map((_, i) => (i === 0 ? "w" : "r"))
    .join(" ");
  const isVector = operands.split(",").map((o) => o.trim().startsWith("xmm"));
  const common = { ...unit, mnemonic, source, access };
  return [
    instruction({
      ...common,
      forms: [form(`VEX.128.${opcode} /r`, operands)],
      execute(ops, _dst, ...values) {
        return apply(ops, 0, ...values);
      },
    }),
    instruction({
      ...common,
      forms: [form(`VEX.256.${opcode} /r`, operands.replaceAll("xmm", "ymm").replace("m128", "m256"))],
      execute(ops, _dst, ...values) {
        const inHalf = (half: 0 | 1) =>
          apply(ops, half, ...values.map((v, i) => (isVector[i + 1] ? ops.half(v, half) : v)));
        return ops.joined(inHalf(0), inHalf(1));
      },
    }),
  ];
}

/** 32-bit lanes of `a` by the low two bits of the lanes of `selectors`. */
function permuteSingles<V>(ops: Ops<V>, a: V, selectors: V): V {
  return lookupLanes(ops, a, ops.and(selectors, ops.splat(ops.constant(3, 32))));
}

/** 32-bit lanes of `a` by their numbers; 0 for numbers above 3, which must be below 64. */
function lookupLanes<V>(ops: Ops<V>, a: V, numbers: V): V {
  // Bytes 4n to 4n + 3: the number, times four, in all bytes of its lane.
  const scaled = ops.laneShift("shiftLeft", 32, numbers, ops.constant(2, 64));
  const spread = ops.shuffleBytes([0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12], scaled, scaled);
  const places = ops.splat(ops.constant(0x03020100, 32));
  return ops.lookupBytes(a, ops.laneOp("add", 8, spread, places));
}

/** 64-bit lanes by bits of a number, one a lane from bit `first` on. */
function permutePair<V>(ops: Ops<V>, a: V, immediate: V, first: number): V {
  const lane = (i: number) =>
    ops.select(ops.bit(immediate, first + i), ops.lane(64, a, 1), ops.lane(64, a, 0));
  return ops.fromLanes([lane(0), lane(1)]);
}

/** All eight 32-bit lanes by numbers. */
function permuteAll<V>(ops: Ops<V>, numbers: V, src: V): V {
  const [low, high] = [ops.keep(ops.half(src, 0)), ops.keep(ops.half(src, 1))];
  const seven = ops.splat(ops.constant(7, 32));
  const inHalf = (index: 0 | 1) => {
    const wanted = ops.keep(ops.and(ops.half(numbers, index), seven));
    const fromHigh = ops.laneOp("subtract", 32, wanted, ops.splat(ops.constant(4, 32)));
    const isHigh = ops.laneOp("greaterSigned", 32, wanted, ops.splat(ops.constant(3, 32)));
    const three = ops.splat(ops.constant(3, 32));
    return merged(
      ops,
      isHigh,
      lookupLanes(ops, high, ops.and(fromHigh, three)),
      lookupLanes(ops, low, ops.and(wanted, three)),
    );
  };
  return ops.joined(inHalf(0), inHalf(1));
}

function permute(mnemonic: string, opcode: string): Instruction {
  return instruction({
    ...AVX2,
    mnemonic,
    source: sdm(mnemonic === "vpermd" ? "VPERMD/VPERMW" : "VPERMPS"),
    access: "w r r",
    forms: [form(`VEX.256.66.0F38.W0 ${opcode} /r`, "ymm, ymm:v, ymm/m256")],
    execute(ops, _dst, numbers, src) {
      return permuteAll(ops, numbers, src);
    },
  });
}

/** Four 64-bit lanes by two bits each. */
function permuteQuads(mnemonic: string, opcode: string): Instruction {
  return instruction({
    ...AVX2,
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "w r r",
    forms: [form(`VEX.256.66.0F3A.W1 ${opcode} /r`, "ymm, ymm/m256, imm8")],
    execute(ops, _dst, src, immediate) {
      const half = (index: 0 | 1) => {
        const from = (i: number) => {
          const upper = ops.bit(immediate, 4 * index + 2 * i + 1);
          const lower = ops.bit(immediate, 4 * index + 2 * i);
          const lane = (h: 0 | 1) =>
            ops.select(lower, ops.lane(64, ops.half(src, h), 1), ops.lane(64, ops.half(src, h), 0));
          return ops.select(upper, lane(1), lane(0));
        };
        return ops.fromLanes([from(0), from(1)]);
      };
      return ops.joined(half(0), half(1));
    },
  });
}

/** Each lane by a count of its own. */
function shiftLanes<V>(ops: Ops<V>, op: LaneShift, bits: 32 | 64, a: V, counts: V): V {
  const lane = (i: number) => {
    const [value, count] = [ops.lane(bits, a, i), ops.keep(ops.lane(bits, counts, i))];
    const isTooMuch = ops.not(ops.lessUnsigned(count, ops.constant(bits, bits)));
    const most = ops.constant(bits - 1, bits);
    if (op === "shiftRightSigned") return ops.shiftRightSigned(value, ops.select(isTooMuch, most, count));
    const shifted =
      op === "shiftLeft"
        ? ops.shiftLeft(value, ops.and(count, most))
        : ops.shiftRight(value, ops.and(count, most));
    return ops.select(isTooMuch, ops.constant(0, bits), shifted);
  };
  return ops.fromLanes(Array.from({ length: 128 / bits }, (_, i) => lane(i)));
}

const shiftsByLane = (mnemonic: string, source: string, opcode: string, op: LaneShift, bits: 32 | 64) =>
  perHalf(
    AVX2,
    mnemonic,
    sdm(source),
    `66.0F38.${bits === 64 ? "W1" : "W0"} ${opcode}`,
    "xmm, xmm:v, xmm/m128",
    (ops, _half, a, b) => shiftLanes(ops, op, bits, a!, b!),
  );

/** PMOVSX and PMOVZX to 256 bits: the upper half comes from further up in the source. */
function extension(isSigned: boolean, [suffix, opcode, from, to]: (typeof EXTENSIONS)[number]): Instruction {
  const byte = (isSigned ? opcode : opcode + 0x10).toString(16);
  return instruction({
    ...AVX2,
    mnemonic: `vpmov${isSigned ? "s" : "z"}x${suffix}`,
    source: sdm(isSigned ? "PMOVSX" : "PMOVZX"),
    access: "w r",
    forms: [form(`VEX.256.66.0F38.WIG ${byte} /r`, `ymm, xmm/m${(256 * from) / to}`)],
    execute(ops, _dst, src) {
      const upper = ops.shiftBytes("right", src, ops.constant((16 * from) / to, 8));
      return ops.joined(
        extendLanes(ops, isSigned, from, to, src),
        extendLanes(ops, isSigned, from, to, upper),
      );
    },
  });
}

const SHIFT_LEFT = "VPSLLVW/VPSLLVD/VPSLLVQ";
const SHIFT_RIGHT = "VPSRLVW/VPSRLVD/VPSRLVQ";

export const avxLanes: readonly Instruction[] = [
  ...broadcast("vbroadcastss", BROADCAST, "18", 32, BOTH, AVX),
  ...broadcast("vbroadcastsd", BROADCAST, "19", 64, ["256"], AVX),
  broadcastHalf("vbroadcastf128", "1A", AVX),
  broadcastHalf("vbroadcasti128", "5A", AVX2),
  ...broadcast("vpbroadcastb", INTEGER_BROADCAST, "78", 8, BOTH, AVX2),
  ...broadcast("vpbroadcastw", INTEGER_BROADCAST, "79", 16, BOTH, AVX2),
  ...broadcast("vpbroadcastd", INTEGER_BROADCAST, "58", 32, BOTH, AVX2),
  ...broadcast("vpbroadcastq", INTEGER_BROADCAST, "59", 64, BOTH, AVX2),
  ...parts("f", "19", "18", AVX),
  ...parts("i", "39", "38", AVX2),
  permuteHalves("f", "06", AVX),
  permuteHalves("i", "46", AVX2),
  ...perHalf(
    AVX,
    "vpermilps",
    sdm("VPERMILPS"),
    "66.0F38.W0 0C",
    "xmm, xmm:v, xmm/m128",
    (ops, _half, a, b) => permuteSingles(ops, a!, b!),
  ),
  ...perHalf(
    AVX,
    "vpermilps",
    sdm("VPERMILPS"),
    "66.0F3A.W0 04",
    "xmm, xmm/m128, imm8",
    (ops, _half, a, immediate) => ops.shuffleLanes(32, 0, a!, immediate!),
  ),
  ...perHalf(
    AVX,
    "vpermilpd",
    sdm("VPERMILPD"),
    "66.0F38.W0 0D",
    "xmm, xmm:v, xmm/m128",
    (ops, _half, a, b) => {
      const chosen = (i: number) =>
        ops.select(ops.bit(ops.lane(64, b!, i), 1), ops.lane(64, a!, 1), ops.lane(64, a!, 0));
      return ops.fromLanes([chosen(0), chosen(1)]);
    },
  ),
  ...perHalf(
    AVX,
    "vpermilpd",
    sdm("VPERMILPD"),
    "66.0F3A.W0 05",
    "xmm, xmm/m128, imm8",
    (ops, half, a, immediate) => permutePair(ops, a!, immediate!, 2 * half),
  ),
  permute("vpermd", "36"),
  permute("vpermps", "16"),
  permuteQuads("vpermq", "00"),
  permuteQuads("vpermpd", "01"),
  ...perHalf(
    AVX2,
    "vpblendd",
    sdm("VPBLENDD"),
    "66.0F3A.W0 02",
    "xmm, xmm:v, xmm/m128, imm8",
    (ops, half, a, b, immediate) => blendByImmediate(ops, 32, a!, b!, ops.shiftRight(immediate!, 4 * half)),
  ),
  ...EXTENSIONS.map((row) => extension(true, row)),
  ...EXTENSIONS.map((row) => extension(false, row)),
  ...shiftsByLane("vpsllvd", SHIFT_LEFT, "47", "shiftLeft", 32),
  ...shiftsByLane("vpsllvq", SHIFT_LEFT, "47", "shiftLeft", 64),
  ...shiftsByLane("vpsravd", "VPSRAVW/VPSRAVD/VPSRAVQ", "46", "shiftRightSigned", 32),
  ...shiftsByLane("vpsrlvd", SHIFT_RIGHT, "45", "shiftRight", 32),
  ...shiftsByLane("vpsrlvq", SHIFT_RIGHT, "45", "shiftRight", 64),
];
