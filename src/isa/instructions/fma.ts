import type { HelperName } from "../helpers.ts";
import { form, type Instruction, instruction } from "../instruction.ts";
import type { Ops } from "../ops.ts";
import { sdm } from "./sse2-packed-forms.ts";
import { eachHalf } from "./vex-forms.ts";

// FMA and F16C.

const VEX = { unit: "avx", unaligned: true, simdExceptions: true } as const;

/** Signs that f32MultiplyAdd and f64MultiplyAdd change: of the product, of the addend. */
const NEGATE_PRODUCT = 1;
const NEGATE_ADDEND = 2;

/** Opcode of the 132 form with packed operands, and the signs in even and odd lanes. */
const OPERATIONS: readonly (readonly [name: string, opcode: number, even: number, odd: number])[] = [
  ["fmaddsub", 0x96, NEGATE_ADDEND, 0],
  ["fmsubadd", 0x97, 0, NEGATE_ADDEND],
  ["fmadd", 0x98, 0, 0],
  ["fmsub", 0x9a, NEGATE_ADDEND, NEGATE_ADDEND],
  ["fnmadd", 0x9c, NEGATE_PRODUCT, NEGATE_PRODUCT],
  ["fnmsub", 0x9e, NEGATE_PRODUCT | NEGATE_ADDEND, NEGATE_PRODUCT | NEGATE_ADDEND],
];

/** Which operands, counted from 1, are multiplied and added. */
const ORDERS = [
  ["132", 0x00],
  ["213", 0x10],
  ["231", 0x20],
] as const;
type Order = (typeof ORDERS)[number][0];

function fused<V>(ops: Ops<V>, bits: 32 | 64, order: Order, signs: number, operands: readonly V[]): V {
  const helper: HelperName = `f${bits}MultiplyAdd`;
  const [a, b, c] = [...order].map((digit) => operands[Number(digit) - 1]!);
  return ops.call(helper, a!, b!, c!, ops.constant(signs, 32));
}

function multiplyAdd(name: string, opcode: number, even: number, odd: number): Instruction[] {
  return ORDERS.flatMap(([order, offset]) =>
    ([32, 64] as const).flatMap((bits) => {
      const rules = `66.0F38.${bits === 64 ? "W1" : "W0"}`;
      const common = { ...VEX, features: ["fma"], access: "rw r r" } as const;
      const source = sdm(`V${name.toUpperCase()}132${bits === 64 ? "PD" : "PS"}`);
      const packed = <V>(ops: Ops<V>, ...operands: V[]): V =>
        ops.fromLanes(
          Array.from({ length: 128 / bits }, (_, i) => {
            const lanes = operands.map((operand) => ops.lane(bits, operand, i));
            return fused(ops, bits, order, i % 2 === 0 ? even : odd, lanes);
          }),
        );
      const suffix = bits === 64 ? "d" : "s";
      const code = (opcode + offset).toString(16);
      const rows = [
        instruction({
          ...common,
          mnemonic: `v${name}${order}p${suffix}`,
          source,
          forms: [form(`VEX.128.${rules} ${code} /r`, "xmm, xmm:v, xmm/m128")],
          execute: packed,
        }),
        instruction({
          ...common,
          mnemonic: `v${name}${order}p${suffix}`,
          source,
          forms: [form(`VEX.256.${rules} ${code} /r`, "ymm, ymm:v, ymm/m256")],
          execute(ops, a, b, c) {
            return eachHalf(ops, [a, b, c], (x, y, z) => packed(ops, x, y, z));
          },
        }),
      ];
      if (even !== odd) return rows;
      const scalar = instruction({
        ...common,
        mnemonic: `v${name}${order}s${suffix}`,
        source,
        forms: [
          form(`VEX.LIG.${rules} ${(opcode + offset + 1).toString(16)} /r`, `xmm, xmm:v, xmm/m${bits}`),
        ],
        execute(ops, ...operands) {
          const lanes = operands.map((operand) => ops.lane(bits, operand, 0));
          return ops.withLane(operands[0]!, 0, fused(ops, bits, order, even, lanes));
        },
      });
      return [...rows, scalar];
    }),
  );
}

export const fma: readonly Instruction[] = OPERATIONS.flatMap((operation) => multiplyAdd(...operation));

/** Four 16-bit lanes from `first` on, as binary32. */
const fromHalf = <V>(ops: Ops<V>, src: V, first: number): V =>
  ops.fromLanes(
    Array.from({ length: 4 }, (_, i) =>
      ops.call("f16ToF32", ops.zeroExtend(ops.lane(16, src, first + i), 32)),
    ),
  );

const toHalf = <V>(ops: Ops<V>, src: V, immediate: V): V[] =>
  Array.from({ length: 4 }, (_, i) =>
    ops.truncate(ops.call("f32ToF16", ops.lane(32, src, i), ops.zeroExtend(immediate, 32)), 16),
  );

const F16C = { ...VEX, features: ["f16c"] } as const;

const PS2PH = { ...F16C, mnemonic: "vcvtps2ph", source: sdm("VCVTPS2PH") } as const;
const ROW = "66.0F3A.W0 1D /r";

/** 128 bits of halves; from a narrow source, the upper four are 0. */
function halves<V>(ops: Ops<V>, isWide: boolean, src: V, immediate: V): V {
  const zero = ops.constant(0, 16);
  if (!isWide) return ops.fromLanes([...toHalf(ops, src, immediate), zero, zero, zero, zero]);
  return ops.fromLanes(([0, 1] as const).flatMap((i) => toHalf(ops, ops.half(src, i), immediate)));
}

/** VCVTPS2PH to a register and to memory, whose faults come before those of the conversion. */
function toHalfRows(isWide: boolean): Instruction[] {
  const source = isWide ? "ymm" : "xmm";
  const length = isWide ? "256" : "128";
  return [
    instruction({
      ...PS2PH,
      access: "w r r",
      forms: [form(`VEX.${length}.${ROW}`, `xmm:rm, ${source}, imm8`)],
      execute(ops, _dst, src, immediate) {
        return halves(ops, isWide, src, immediate);
      },
    }),
    instruction({
      ...PS2PH,
      access: "r r r",
      forms: [form(`VEX.${length}.${ROW}`, `m, ${source}, imm8`)],
      execute(ops, address, src, immediate) {
        ops.query("prepareWrite", address, ops.constant(isWide ? 16 : 8, 32));
        const result = ops.keep(halves(ops, isWide, src, immediate));
        ops.system("commitSse");
        ops.store(address, isWide ? result : ops.low64(result));
      },
    }),
  ];
}

export const f16c: readonly Instruction[] = [
  instruction({
    ...F16C,
    mnemonic: "vcvtph2ps",
    source: sdm("VCVTPH2PS"),
    access: "w r",
    forms: [form("VEX.128.66.0F38.W0 13 /r", "xmm, xmm/m64")],
    execute(ops, _dst, src) {
      return fromHalf(ops, src, 0);
    },
  }),
  instruction({
    ...F16C,
    mnemonic: "vcvtph2ps",
    source: sdm("VCVTPH2PS"),
    access: "w r",
    forms: [form("VEX.256.66.0F38.W0 13 /r", "ymm, xmm/m128")],
    execute(ops, _dst, src) {
      return ops.joined(fromHalf(ops, src, 0), fromHalf(ops, src, 4));
    },
  }),
  ...toHalfRows(false),
  ...toHalfRows(true),
];
