import type { HelperName } from "../helpers.ts";
import { form, type Instruction, instruction } from "../instruction.ts";
import type { Ops } from "../ops.ts";
import { sdm, sse } from "./sse2-packed-forms.ts";

const SSE42 = ["sse4.2"] as const;

/** Of the comparison's result: bits 0 to 15 are IntRes2, then which strings end within their vectors. */
const FIRST_ENDS_BIT = 16;
const SECOND_ENDS_BIT = 17;

type Compare = <V>(ops: Ops<V>, a: V, b: V, immediate: V) => V;

const halves = <V>(ops: Ops<V>, a: V): [V, V] => [ops.lane(64, a, 0), ops.lane(64, a, 1)];

const explicit: Compare = (ops, a, b, immediate) => {
  const bits = ops.operandBits === 64 ? 64 : 32;
  const length = (register: "rax" | "rdx") => ops.signExtend(ops.register(register, bits), 64);
  const helper: HelperName = "compareStringsExplicit";
  const control = ops.zeroExtend(immediate, 32);
  return ops.call(helper, ...halves(ops, a), ...halves(ops, b), length("rax"), length("rdx"), control);
};

const implicit: Compare = (ops, a, b, immediate) =>
  ops.call("compareStringsImplicit", ...halves(ops, a), ...halves(ops, b), ops.zeroExtend(immediate, 32));

function setFlags<V>(ops: Ops<V>, compared: V): void {
  ops.setFlag("pf", ops.constant(0, 1));
  ops.setFlag("af", ops.constant(0, 1));
  ops.setFlag("cf", ops.not(ops.isZero(ops.and(compared, ops.constant(0xffff, 32)))));
  ops.setFlag("zf", ops.bit(compared, SECOND_ENDS_BIT));
  ops.setFlag("sf", ops.bit(compared, FIRST_ENDS_BIT));
  ops.setFlag("of", ops.bit(compared, 0));
}

/** The number of the lowest or, with bit 6 of the immediate, the highest bit; the number of elements when there is none. */
function indexOf<V>(ops: Ops<V>, compared: V, immediate: V): V {
  const bits = ops.and(compared, ops.constant(0xffff, 32));
  const count = ops.select(ops.bit(immediate, 0), ops.constant(8, 32), ops.constant(16, 32));
  const lowest = ops.countTrailingZeros(bits);
  const highest = ops.subtract(ops.constant(31, 32), ops.countLeadingZeros(bits));
  return ops.select(ops.isZero(bits), count, ops.select(ops.bit(immediate, 6), highest, lowest));
}

/** The bits as they are or, with bit 6 of the immediate, spread over bytes or words. */
function maskOf<V>(ops: Ops<V>, compared: V, immediate: V): V {
  const bits = ops.keep(ops.truncate(compared, 16));
  const spread = ops.splat(bits);
  const places = ops.constant(0x80402010_08040201_80402010_08040201n, 128);
  const upper = ops.constant(0x01010101_01010101_00000000_00000000n, 128);
  const ofBytes = ops.laneOp("equal", 8, ops.and(ops.lookupBytes(spread, upper), places), places);
  const wordPlaces = ops.constant(0x00800040_00200010_00080004_00020001n, 128);
  const ofWords = ops.laneOp("equal", 16, ops.and(spread, wordPlaces), wordPlaces);
  const wide = ops.select(ops.bit(immediate, 0), ofWords, ofBytes);
  return ops.select(ops.bit(immediate, 6), wide, ops.vector64(ops.zeroExtend(bits, 64)));
}

/** The lengths are in 32-bit registers, or in 64-bit ones with REX.W. */
const bySize = (opcode: string, operands: string) => [
  form(opcode, operands, { rexW: false, size: 32 }),
  form(opcode, operands, { rexW: true, size: 64 }),
];

/** `pcmp.stri` leaves an index in ECX, `pcmp.strm` a mask in XMM0. */
function comparison(letter: "e" | "i", opcodes: readonly [index: string, mask: string]): Instruction[] {
  const compare = letter === "e" ? explicit : implicit;
  const forms = (opcode: string, operands: string) =>
    letter === "i" ? [form(opcode, operands)] : bySize(opcode, operands);
  const common = {
    flags: { writes: "cf pf af zf sf of" },
    unit: "sse",
    features: SSE42,
    unaligned: true,
  } as const;
  return [
    instruction({
      ...common,
      mnemonic: `pcmp${letter}stri`,
      source: sdm(`PCMP${letter.toUpperCase()}STRI`),
      access: "r r r",
      forms: forms(opcodes[0], "xmm, xmm/m128, imm8"),
      execute(ops, a, b, immediate) {
        const compared = ops.keep(compare(ops, a, b, immediate));
        setFlags(ops, compared);
        ops.setRegister("rcx", indexOf(ops, compared, immediate));
      },
    }),
    instruction({
      ...common,
      mnemonic: `pcmp${letter}strm`,
      source: sdm(`PCMP${letter.toUpperCase()}STRM`),
      access: "r r r w",
      forms: forms(opcodes[1], "xmm, xmm/m128, imm8, xmm0"),
      execute(ops, a, b, immediate) {
        const compared = ops.keep(compare(ops, a, b, immediate));
        setFlags(ops, compared);
        return maskOf(ops, compared, immediate);
      },
    }),
  ];
}

const crc32 = instruction({
  mnemonic: "crc32",
  source: sdm("CRC32"),
  access: "rw r",
  features: SSE42,
  forms: [form("F2 0F 38 F0 /r", "r:y, rm8"), form("F2 0F 38 F1 /r", "r:y, rm:v")],
  execute(ops, dst, src) {
    const bits = ops.constant(ops.bitsOf(src), 32);
    const sum = ops.call("crc32", ops.truncate(dst, 32), ops.zeroExtend(src, 64), bits);
    return ops.zeroExtend(sum, ops.bitsOf(dst));
  },
});

/** SSE4.2. */
export const sse42: readonly Instruction[] = [
  crc32,
  ...comparison("e", ["66 0F 3A 61 /r", "66 0F 3A 60 /r"]),
  ...comparison("i", ["66 0F 3A 63 /r", "66 0F 3A 62 /r"]),
  ...sse("pcmpgtq", "PCMPGTQ", "66 0F 38 37 /r", (ops, a, b) => ops.laneOp("greaterSigned", 64, a, b), SSE42),
];
