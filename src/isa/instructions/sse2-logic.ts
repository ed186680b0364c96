import { form, type Instruction, instruction } from "../instruction.ts";
import type { LaneShift } from "../ops.ts";
import { type Combine, packed, sdm, sse } from "./sse2-packed-forms.ts";

const and: Combine = (ops, a, b) => ops.and(a, b);
const andNot: Combine = (ops, a, b) => ops.and(ops.not(a), b);
const or: Combine = (ops, a, b) => ops.or(a, b);
const xor: Combine = (ops, a, b) => ops.xor(a, b);

/** A shift's four rows: by a register's or memory's low 64 bits and by an immediate, MMX and SSE2. */
function shifts(
  mnemonic: string,
  title: string,
  op: LaneShift,
  laneBits: 16 | 32 | 64,
  byVector: string,
  byImmediate: string,
): Instruction[] {
  return [
    instruction({
      mnemonic,
      source: sdm(title),
      access: "rw r",
      unit: "mmx",
      forms: [form(`NP ${byVector} /r`, "mm, mm/m64"), form(`NP ${byImmediate}`, "mm:rm, imm8")],
      execute(ops, dst, count) {
        return ops.low64(ops.laneShift(op, laneBits, ops.vector64(dst), ops.zeroExtend(count, 64)));
      },
    }),
    instruction({
      mnemonic,
      source: sdm(title),
      access: "rw r",
      unit: "sse",
      forms: [form(`66 ${byVector} /r`, "xmm, xmm/m128")],
      execute(ops, dst, count) {
        return ops.laneShift(op, laneBits, dst, ops.low64(count));
      },
    }),
    instruction({
      mnemonic,
      source: sdm(title),
      access: "rw r",
      unit: "sse",
      forms: [form(`66 ${byImmediate}`, "xmm:rm, imm8")],
      execute(ops, dst, count) {
        return ops.laneShift(op, laneBits, dst, ops.zeroExtend(count, 64));
      },
    }),
  ];
}

function byteShift(mnemonic: string, digit: number, direction: "left" | "right"): Instruction {
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "rw r",
    unit: "sse",
    forms: [form(`66 0F 73 /${digit}`, "xmm:rm, imm8")],
    execute(ops, dst, count) {
      const all = ops.constant(16, 8);
      return ops.shiftBytes(direction, dst, ops.select(ops.lessUnsigned(count, all), count, all));
    },
  });
}

const LEFT = "PSLLW/PSLLD/PSLLQ";
const RIGHT_SIGNED = "PSRAW/PSRAD/PSRAQ";
const RIGHT = "PSRLW/PSRLD/PSRLQ";

/** Logic and shifts on whole registers and packed integers. */
export const sse2Logic: readonly Instruction[] = [
  ...sse("andps", "ANDPS", "NP 0F 54 /r", and),
  ...sse("andpd", "ANDPD", "66 0F 54 /r", and),
  ...sse("andnps", "ANDNPS", "NP 0F 55 /r", andNot),
  ...sse("andnpd", "ANDNPD", "66 0F 55 /r", andNot),
  ...sse("orps", "ORPS", "NP 0F 56 /r", or),
  ...sse("orpd", "ORPD", "66 0F 56 /r", or),
  ...sse("xorps", "XORPS", "NP 0F 57 /r", xor),
  ...sse("xorpd", "XORPD", "66 0F 57 /r", xor),
  ...packed("pand", "PAND", "0F DB", and),
  ...packed("pandn", "PANDN", "0F DF", andNot),
  ...packed("por", "POR", "0F EB", or),
  ...packed("pxor", "PXOR", "0F EF", xor),
  ...shifts("psllw", LEFT, "shiftLeft", 16, "0F F1", "0F 71 /6"),
  ...shifts("pslld", LEFT, "shiftLeft", 32, "0F F2", "0F 72 /6"),
  ...shifts("psllq", LEFT, "shiftLeft", 64, "0F F3", "0F 73 /6"),
  ...shifts("psraw", RIGHT_SIGNED, "shiftRightSigned", 16, "0F E1", "0F 71 /4"),
  ...shifts("psrad", RIGHT_SIGNED, "shiftRightSigned", 32, "0F E2", "0F 72 /4"),
  ...shifts("psrlw", RIGHT, "shiftRight", 16, "0F D1", "0F 71 /2"),
  ...shifts("psrld", RIGHT, "shiftRight", 32, "0F D2", "0F 72 /2"),
  ...shifts("psrlq", RIGHT, "shiftRight", 64, "0F D3", "0F 73 /2"),
  byteShift("pslldq", 7, "left"),
  byteShift("psrldq", 3, "right"),
];
