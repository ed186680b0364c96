import type { IsaFeature } from "../features.ts";
import { form, type Instruction, instruction } from "../instruction.ts";
import type { Ops } from "../ops.ts";
import { sdm } from "./sse2-packed-forms.ts";
import { setTestFlags } from "./sse41-integer.ts";

const zero = <V>(ops: Ops<V>, bits: 32 | 64): V => ops.constant(0, bits);
const widthOf = <V>(ops: Ops<V>): 32 | 64 => (ops.operandBits === 64 ? 64 : 32);

const popcnt = instruction({
  mnemonic: "popcnt",
  source: sdm("POPCNT"),
  access: "w r",
  flags: { writes: "cf pf af zf sf of" },
  features: ["popcnt"],
  forms: [form("F3 0F B8 /r", "r:v, rm:v")],
  execute(ops, _dst, src) {
    setTestFlags(ops, ops.isZero(src), ops.constant(0, 1));
    return ops.populationCount(src);
  },
});

/** LZCNT and TZCNT: of 0 they count all bits. Of the undefined flags OF stays, the others are cleared. */
function zeroCount(mnemonic: "lzcnt" | "tzcnt", opcode: string, feature: IsaFeature): Instruction {
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "w r",
    flags: { writes: "cf zf", undefined: "of sf pf af" },
    features: [feature],
    forms: [form(opcode, "r:v, rm:v")],
    execute(ops, _dst, src) {
      const count = mnemonic === "lzcnt" ? ops.countLeadingZeros(src) : ops.countTrailingZeros(src);
      const kept = ops.keep(count);
      for (const flag of ["sf", "pf", "af"] as const) ops.setFlag(flag, ops.constant(0, 1));
      ops.setFlag("cf", ops.isZero(src));
      ops.setFlag("zf", ops.isZero(kept));
      return kept;
    },
  });
}

/** ZF, SF and PF of the result, CF as given, OF and AF clear. */
function setLogicFlags<V>(ops: Ops<V>, result: V, carry: V): void {
  ops.setResultFlags(result);
  ops.setFlag("cf", carry);
  ops.setFlag("of", ops.constant(0, 1));
  ops.setFlag("af", ops.constant(0, 1));
}

const LOGIC_FLAGS = { writes: "cf zf sf of", undefined: "af pf" };

const andn = instruction({
  mnemonic: "andn",
  source: sdm("ANDN"),
  access: "w r r",
  flags: LOGIC_FLAGS,
  features: ["bmi1"],
  forms: [form("VEX.LZ.0F38.W F2 /r", "r:y, r:y:v, rm:y")],
  execute(ops, _dst, a, b) {
    const result = ops.keep(ops.and(ops.not(a), b));
    setLogicFlags(ops, result, ops.constant(0, 1));
    return result;
  },
});

/** BLSR, BLSMSK and BLSI: what becomes of the lowest bit that is set. CF tells of the source being 0, or not 0. */
function lowestBit(
  mnemonic: string,
  digit: number,
  carryWhenZero: boolean,
  combine: <V>(ops: Ops<V>, src: V) => V,
): Instruction {
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "w r",
    flags: LOGIC_FLAGS,
    features: ["bmi1"],
    forms: [form(`VEX.LZ.0F38.W F3 /${digit}`, "r:y:v, rm:y")],
    execute(ops, _dst, src) {
      const result = ops.keep(combine(ops, src));
      const vanishes = ops.isZero(src);
      setLogicFlags(ops, result, carryWhenZero ? vanishes : ops.not(vanishes));
      return result;
    },
  });
}

const lessOne = <V>(ops: Ops<V>, src: V): V => ops.subtract(src, ops.constant(1, widthOf(ops)));

/** The low `count` bits of `a`, whose width `count` (8 bits) may exceed. */
function lowBits<V>(ops: Ops<V>, a: V, count: V): V {
  const width = widthOf(ops);
  const isAll = ops.not(ops.lessUnsigned(count, ops.constant(width, 8)));
  const amount = ops.and(count, ops.constant(width - 1, 8));
  const mask = ops.not(ops.shiftLeft(ops.constant(-1n, width), amount));
  return ops.select(isAll, a, ops.and(a, mask));
}

const bextr = instruction({
  mnemonic: "bextr",
  source: sdm("BEXTR"),
  access: "w r r",
  flags: { writes: "zf cf of", undefined: "af sf pf" },
  features: ["bmi1"],
  forms: [form("VEX.LZ.0F38.W F7 /r", "r:y, rm:y, r:y:v")],
  execute(ops, _dst, src, control) {
    const width = widthOf(ops);
    const start = ops.keep(ops.truncate(control, 8));
    const length = ops.truncate(ops.shiftRight(control, 8), 8);
    const isBeyond = ops.not(ops.lessUnsigned(start, ops.constant(width, 8)));
    const moved = ops.shiftRight(src, ops.and(start, ops.constant(width - 1, 8)));
    const result = ops.keep(lowBits(ops, ops.select(isBeyond, zero(ops, width), moved), ops.keep(length)));
    setLogicFlags(ops, result, ops.constant(0, 1));
    ops.setFlag("sf", ops.constant(0, 1));
    ops.setFlag("af", ops.constant(1, 1));
    return result;
  },
});

const bzhi = instruction({
  mnemonic: "bzhi",
  source: sdm("BZHI"),
  access: "w r r",
  flags: LOGIC_FLAGS,
  features: ["bmi2"],
  forms: [form("VEX.LZ.0F38.W F5 /r", "r:y, rm:y, r:y:v")],
  execute(ops, _dst, src, index) {
    const count = ops.keep(ops.truncate(index, 8));
    const result = ops.keep(lowBits(ops, src, count));
    setLogicFlags(ops, result, ops.lessUnsigned(ops.constant(widthOf(ops) - 1, 8), count));
    return result;
  },
});

const mulx = instruction({
  mnemonic: "mulx",
  source: sdm("MULX"),
  // The first operand is written last: when both name one register, it gets the high half.
  access: "w w r",
  features: ["bmi2"],
  forms: [form("VEX.LZ.F2.0F38.W F6 /r", "r:y, r:y:v, rm:y")],
  execute(ops, _high, _low, src) {
    if (widthOf(ops) === 32) {
      const product = ops.multiply(ops.zeroExtend(ops.register("rdx", 32), 64), ops.zeroExtend(src, 64));
      const kept = ops.keep(product);
      return [ops.truncate(ops.shiftRight(kept, 32), 32), ops.truncate(kept, 32)];
    }
    const factor = ops.keep(ops.register("rdx", 64));
    return [ops.call("multiplyHigh", factor, src), ops.multiply(factor, src)];
  },
});

/** PDEP and PEXT. */
function byMask(mnemonic: "pdep" | "pext", prefix: string): Instruction {
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "w r r",
    features: ["bmi2"],
    forms: [form(`VEX.LZ.${prefix}.0F38.W F5 /r`, "r:y, r:y:v, rm:y")],
    execute(ops, _dst, src, mask) {
      const result = ops.call(mnemonic, ops.zeroExtend(src, 64), ops.zeroExtend(mask, 64));
      return ops.truncate(result, widthOf(ops));
    },
  });
}

const rorx = instruction({
  mnemonic: "rorx",
  source: sdm("RORX"),
  access: "w r r",
  features: ["bmi2"],
  forms: [form("VEX.LZ.F2.0F3A.W F0 /r", "r:y, rm:y, imm8")],
  execute(ops, _dst, src, count) {
    return ops.rotateRight(src, ops.and(count, ops.constant(widthOf(ops) - 1, 8)));
  },
});

/** SARX, SHLX and SHRX: shifts that leave the flags alone. */
function shift(
  mnemonic: string,
  prefix: string,
  op: "shiftLeft" | "shiftRight" | "shiftRightSigned",
): Instruction {
  return instruction({
    mnemonic,
    source: sdm("SARX/SHLX/SHRX"),
    access: "w r r",
    features: ["bmi2"],
    forms: [form(`VEX.LZ.${prefix}.0F38.W F7 /r`, "r:y, rm:y, r:y:v")],
    execute(ops, _dst, src, count) {
      return ops[op](src, ops.and(ops.truncate(count, 8), ops.constant(widthOf(ops) - 1, 8)));
    },
  });
}

/** ADCX and ADOX: additions with a carry in one flag that touch no other. */
function addWithFlag(mnemonic: string, opcode: string, flag: "cf" | "of"): Instruction {
  return instruction({
    mnemonic,
    source: sdm(mnemonic.toUpperCase()),
    access: "rw r",
    flags: { reads: flag, writes: flag },
    features: ["adx"],
    forms: [
      form(opcode, "r32, rm32", { rexW: false, size: 32 }),
      form(opcode, "r64, rm64", { rexW: true, size: 64 }),
    ],
    execute(ops, dst, src) {
      const carry = ops.zeroExtend(ops.flag(flag), widthOf(ops));
      const partial = ops.keep(ops.add(dst, src));
      const sum = ops.keep(ops.add(partial, carry));
      ops.setFlag(flag, ops.or(ops.lessUnsigned(partial, dst), ops.lessUnsigned(sum, partial)));
      return sum;
    },
  });
}

const movbe = instruction({
  mnemonic: "movbe",
  source: sdm("MOVBE"),
  access: "w r",
  features: ["movbe"],
  forms: [form("NFx 0F 38 F0 /r", "r:v, m:v"), form("NFx 0F 38 F1 /r", "m:v, r:v")],
  execute(ops, _dst, src) {
    return ops.byteSwap(src);
  },
});

/** POPCNT, LZCNT, MOVBE, BMI1, BMI2 and ADX. */
export const bitManipulation: readonly Instruction[] = [
  addWithFlag("adcx", "66 0F 38 F6 /r", "cf"),
  addWithFlag("adox", "F3 0F 38 F6 /r", "of"),
  andn,
  bextr,
  lowestBit("blsi", 3, false, (ops, src) => ops.and(ops.negate(src), src)),
  lowestBit("blsmsk", 2, true, (ops, src) => ops.xor(lessOne(ops, src), src)),
  lowestBit("blsr", 1, true, (ops, src) => ops.and(lessOne(ops, src), src)),
  bzhi,
  zeroCount("lzcnt", "F3 0F BD /r", "lzcnt"),
  movbe,
  mulx,
  byMask("pdep", "F2"),
  byMask("pext", "F3"),
  popcnt,
  rorx,
  shift("sarx", "F3", "shiftRightSigned"),
  shift("shlx", "66", "shiftLeft"),
  shift("shrx", "F2", "shiftRight"),
  zeroCount("tzcnt", "F3 0F BC /r", "bmi1"),
];
