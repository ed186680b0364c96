import { XMM, YMM_HIGH } from "../../layout/cpu-state.ts";
import { form, type Instruction, instruction } from "../instruction.ts";
import type { Ops } from "../ops.ts";
import { mask } from "./sse-compare.ts";
import { sdm } from "./sse2-packed-forms.ts";
import { dotProducts } from "./sse41-float.ts";
import { setTestFlags, vanishes } from "./sse41-integer.ts";
import { blendBySigns } from "./sse41-lanes.ts";
import { eachHalf } from "./vex-forms.ts";

// What AVX has beside the VEX rows of SSE instructions, but for moves between lanes (avx-lanes.ts).

const AVX = { unit: "avx", features: ["avx"], unaligned: true } as const;

/** All five bits of the immediate choose the predicate. */
const PREDICATES = 31;

function packedCompare(mnemonic: string, bits: 32 | 64, opcode: string): Instruction[] {
  const compare = <V>(ops: Ops<V>, a: V, b: V, immediate: V): V => {
    const lane = (i: number) =>
      mask(ops, bits, ops.lane(bits, a, i), ops.lane(bits, b, i), immediate, PREDICATES);
    return ops.fromLanes(Array.from({ length: 128 / bits }, (_, i) => lane(i)));
  };
  const common = {
    ...AVX,
    mnemonic: `v${mnemonic}`,
    source: sdm(mnemonic.toUpperCase()),
    access: "w r r r",
    simdExceptions: true,
  } as const;
  return [
    instruction({
      ...common,
      forms: [form(`VEX.128.${opcode} C2 /r`, "xmm, xmm:v, xmm/m128, imm8")],
      execute(ops, _dst, a, b, immediate) {
        return compare(ops, a, b, immediate);
      },
    }),
    instruction({
      ...common,
      forms: [form(`VEX.256.${opcode} C2 /r`, "ymm, ymm:v, ymm/m256, imm8")],
      execute(ops, _dst, a, b, immediate) {
        return eachHalf(ops, [a, b], (x, y) => compare(ops, x, y, immediate));
      },
    }),
  ];
}

function scalarCompare(mnemonic: string, bits: 32 | 64, opcode: string): Instruction {
  return instruction({
    ...AVX,
    mnemonic: `v${mnemonic}`,
    source: sdm(mnemonic.toUpperCase()),
    access: "w r r r",
    simdExceptions: true,
    forms: [form(`VEX.LIG.${opcode} C2 /r`, `xmm, xmm:v, xmm/m${bits}, imm8`)],
    execute(ops, _dst, a, b, immediate) {
      const holds = mask(ops, bits, ops.lane(bits, a, 0), ops.lane(bits, b, 0), immediate, PREDICATES);
      return ops.withLane(a, 0, holds);
    },
  });
}

/** The mask is a fourth register. */
function variableBlend(mnemonic: string, opcode: string, bits: 8 | 32 | 64): Instruction[] {
  const common = {
    ...AVX,
    mnemonic,
    source: sdm(mnemonic.slice(1).toUpperCase()),
    access: "w r r r",
  } as const;
  return [
    instruction({
      ...common,
      forms: [form(`VEX.128.66.0F3A.W0 ${opcode} /r`, "xmm, xmm:v, xmm/m128, xmm:is4")],
      execute(ops, _dst, a, b, selector) {
        return blendBySigns(ops, bits, a, b, selector);
      },
    }),
    instruction({
      ...common,
      features: [bits === 8 ? "avx2" : "avx"],
      forms: [form(`VEX.256.66.0F3A.W0 ${opcode} /r`, "ymm, ymm:v, ymm/m256, ymm:is4")],
      execute(ops, _dst, a, b, selector) {
        return eachHalf(ops, [a, b, selector], (x, y, z) => blendBySigns(ops, bits, x, y, z));
      },
    }),
  ];
}

const vdpps = instruction({
  ...AVX,
  mnemonic: "vdpps",
  source: sdm("DPPS"),
  access: "w r r r",
  simdExceptions: true,
  forms: [form("VEX.256.66.0F3A.WIG 40 /r", "ymm, ymm:v, ymm/m256, imm8")],
  execute(ops, _dst, a, b, immediate) {
    const pair = (index: 0 | 1) => [ops.half(a, index), ops.half(b, index)] as const;
    const [low, high] = dotProducts(ops, 32, [pair(0), pair(1)], immediate);
    return ops.joined(low!, high!);
  },
});

/** VPTEST, and VTESTPS and VTESTPD, which look at signs only. */
function test(mnemonic: string, source: string, opcode: string, bits: 0 | 32 | 64): Instruction[] {
  const significant = <V>(ops: Ops<V>, v: V): V =>
    bits === 0 ? v : ops.and(v, ops.splat(ops.constant(1n << BigInt(bits - 1), bits)));
  const both = <V>(ops: Ops<V>, a: V, b: V): V => significant(ops, ops.and(a, b));
  const other = <V>(ops: Ops<V>, a: V, b: V): V => significant(ops, ops.and(ops.not(a), b));
  const common = {
    ...AVX,
    mnemonic,
    source: sdm(source),
    access: "r r",
    flags: { writes: "cf pf af zf sf of" },
  } as const;
  const narrow = instruction({
    ...common,
    forms: [form(`VEX.128.${opcode} /r`, "xmm, xmm/m128")],
    execute(ops, a, b) {
      setTestFlags(ops, vanishes(ops, both(ops, a, b)), vanishes(ops, other(ops, a, b)));
    },
  });
  const wide = instruction({
    ...common,
    forms: [form(`VEX.256.${opcode} /r`, "ymm, ymm/m256")],
    execute(ops, a, b) {
      const either = (combine: typeof both): typeof a => {
        const [low, high] = ([0, 1] as const).map((i) => combine(ops, ops.half(a, i), ops.half(b, i)));
        return vanishes(ops, ops.or(low!, high!));
      };
      setTestFlags(ops, either(both), either(other));
    },
  });
  return bits === 0 ? [wide] : [narrow, wide];
}

/** Signs of both halves: MOVMSKPS and its like on 256 bits. */
function signs(mnemonic: string, opcode: string, bits: 8 | 32 | 64): Instruction {
  return instruction({
    ...AVX,
    mnemonic: `v${mnemonic}`,
    source: sdm(mnemonic.toUpperCase()),
    access: "w r",
    features: [bits === 8 ? "avx2" : "avx"],
    forms: [form(`VEX.256.${opcode} /r`, "r32, ymm:rm")],
    execute(ops, _dst, src) {
      const high = ops.shiftLeft(ops.laneSigns(bits, ops.half(src, 1)), 128 / bits);
      return ops.or(ops.laneSigns(bits, ops.half(src, 0)), high);
    },
  });
}

const lanesOf = <V>(ops: Ops<V>, bits: 32 | 64, count: number, src: V, first = 0): V[] =>
  Array.from({ length: count }, (_, i) => ops.lane(bits, src, first + i));

/** Conversions of 256 bits whose lanes change their width. */
function widening(mnemonic: string, opcode: string, convert: <V>(ops: Ops<V>, lane: V) => V): Instruction {
  return instruction({
    ...AVX,
    mnemonic,
    source: sdm(mnemonic.slice(1).toUpperCase()),
    access: "w r",
    simdExceptions: true,
    forms: [form(`VEX.256.${opcode} /r`, "ymm, xmm/m128")],
    execute(ops, _dst, src) {
      const half = (first: number) =>
        ops.fromLanes(lanesOf(ops, 32, 2, src, first).map((lane) => convert(ops, lane)));
      return ops.joined(half(0), half(2));
    },
  });
}

function narrowing(mnemonic: string, opcode: string, convert: <V>(ops: Ops<V>, lane: V) => V): Instruction {
  return instruction({
    ...AVX,
    mnemonic,
    source: sdm(mnemonic.slice(1).toUpperCase()),
    access: "w r",
    simdExceptions: true,
    forms: [form(`VEX.256.${opcode} /r`, "xmm, ymm/m256")],
    execute(ops, _dst, src) {
      const lanes = ([0, 1] as const).flatMap((i) => lanesOf(ops, 64, 2, ops.half(src, i)));
      return ops.fromLanes(lanes.map((lane) => convert(ops, lane)));
    },
  });
}

/** VZEROUPPER and VZEROALL, on the registers that the code size reaches. */
function clearing(mnemonic: string, length: "128" | "256", files: readonly number[]): Instruction {
  return instruction({
    ...AVX,
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "",
    forms: [form(`VEX.${length}.0F.WIG 77`)],
    execute(ops) {
      const zero = ops.constant(0, 128);
      for (const file of files)
        for (let i = 0; i < (ops.code64 ? 16 : 8); i++) ops.setState(file + 16 * i, zero);
    },
  });
}

const vldmxcsr = instruction({
  ...AVX,
  mnemonic: "vldmxcsr",
  source: sdm("LDMXCSR"),
  access: "r",
  forms: [form("VEX.LZ.0F.WIG AE /2", "m32")],
  execute(ops, src) {
    ops.system("ldmxcsr", src);
  },
});

const vstmxcsr = instruction({
  ...AVX,
  mnemonic: "vstmxcsr",
  source: sdm("STMXCSR"),
  access: "w",
  forms: [form("VEX.LZ.0F.WIG AE /3", "m32")],
  execute(ops) {
    return ops.call("stmxcsr");
  },
});

const ROUND = 0;
const TRUNCATE = 1;

export const avx: readonly Instruction[] = [
  ...packedCompare("cmppd", 64, "66.0F.WIG"),
  ...packedCompare("cmpps", 32, "0F.WIG"),
  scalarCompare("cmpsd", 64, "F2.0F.WIG"),
  scalarCompare("cmpss", 32, "F3.0F.WIG"),
  widening("vcvtdq2pd", "F3.0F.WIG E6", (ops, lane) => ops.call("i32ToF64", lane)),
  narrowing("vcvtpd2dq", "F2.0F.WIG E6", (ops, lane) => ops.call("f64ToI32", lane, ops.constant(ROUND, 32))),
  narrowing("vcvtpd2ps", "66.0F.WIG 5A", (ops, lane) => ops.call("f64ToF32", lane)),
  widening("vcvtps2pd", "0F.WIG 5A", (ops, lane) => ops.call("f32ToF64", lane)),
  narrowing("vcvttpd2dq", "66.0F.WIG E6", (ops, lane) =>
    ops.call("f64ToI32", lane, ops.constant(TRUNCATE, 32)),
  ),
  vdpps,
  ...variableBlend("vblendvpd", "4B", 64),
  ...variableBlend("vblendvps", "4A", 32),
  ...variableBlend("vpblendvb", "4C", 8),
  vldmxcsr,
  vstmxcsr,
  signs("movmskpd", "66.0F.WIG 50", 64),
  signs("movmskps", "0F.WIG 50", 32),
  signs("pmovmskb", "66.0F.WIG D7", 8),
  ...test("vptest", "PTEST", "66.0F38.WIG 17", 0),
  ...test("vtestpd", "VTESTPD/VTESTPS", "66.0F38.W0 0F", 64),
  ...test("vtestps", "VTESTPD/VTESTPS", "66.0F38.W0 0E", 32),
  clearing("vzeroall", "256", [XMM, YMM_HIGH]),
  clearing("vzeroupper", "128", [YMM_HIGH]),
];
