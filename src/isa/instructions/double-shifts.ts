import { type Form, form, instruction } from "../instruction.ts";
import type { Ops } from "../ops.ts";

// SHLD and SHRD. What the manual leaves undefined is as AMD processors (Zen 4) have it:
// AF is 1, OF follows from the result as for a count of 1, and a 16-bit operand shifted
// by more than 16 gets the source's bits twice.

const FLAGS = { writes: "cf pf zf sf of", undefined: "af of cf" };

function doubleShiftForms(immediate: string, register: string): Form[] {
  return [form(`0F ${immediate} /r`, "rm:v, r:v, imm8"), form(`0F ${register} /r`, "rm:v, r:v, cl")];
}

/** The count within its 5 or 6 bits, as 32 bits. */
function countOf<V>(ops: Ops<V>, count: V): V {
  return ops.keep(ops.and(ops.zeroExtend(count, 32), ops.constant(ops.operandBits === 64 ? 63 : 31, 32)));
}

/** `width - count`, kept below `width`; means nothing for a count of 0. */
function opposite<V>(ops: Ops<V>, count: V): V {
  return ops.and(ops.negate(count), ops.constant(ops.operandBits === 64 ? 63 : 31, 32));
}

/** Sets the flags, unless the count is 0. `of` is computed from the operands and the result. */
function setFlags<V>(
  ops: Ops<V>,
  count: V,
  result: V,
  flags: () => { readonly cf: V; readonly of: V },
): void {
  ops.when(ops.not(ops.isZero(count)), () => {
    const { cf, of } = flags();
    ops.setFlag("cf", cf);
    ops.setFlag("of", of);
    ops.setFlag("af", ops.constant(1, 1));
    ops.setResultFlags(result);
  });
}

/** 16 bits: the three words `high:middle:low`, 48 bits of 64. */
function threeWords<V>(ops: Ops<V>, high: V, middle: V, low: V): V {
  const word = (v: V, shift: number): V => ops.shiftLeft(ops.zeroExtend(v, 64), shift);
  return ops.or(ops.or(word(high, 32), word(middle, 16)), word(low, 0));
}

export const shld = instruction({
  mnemonic: "shld",
  source: "Intel SDM Vol. 2B, SHLD",
  access: "rw r r",
  flags: FLAGS,
  forms: doubleShiftForms("A4", "A5"),
  execute(ops, dst, src, by) {
    const count = countOf(ops, by);
    const bits = ops.operandBits;
    const top = (v: typeof dst) => ops.bit(v, bits - 1);
    if (bits === 16) {
      const shifted = ops.shiftLeft(threeWords(ops, dst, src, src), count);
      const result = ops.keep(ops.truncate(ops.shiftRight(shifted, 32), 16));
      setFlags(ops, count, result, () => {
        const alone = ops.keep(ops.shiftLeft(ops.zeroExtend(dst, 32), count));
        return { cf: ops.bit(alone, 16), of: ops.xor(ops.bit(alone, 15), ops.bit(alone, 16)) };
      });
      return result;
    }
    const both = ops.or(ops.shiftLeft(dst, count), ops.shiftRight(src, opposite(ops, count)));
    const result = ops.keep(ops.select(ops.isZero(count), dst, both));
    setFlags(ops, count, result, () => {
      const cf = ops.keep(ops.bit(ops.rotateLeft(dst, count), 0));
      return { cf, of: ops.xor(top(result), cf) };
    });
    return result;
  },
});

export const shrd = instruction({
  mnemonic: "shrd",
  source: "Intel SDM Vol. 2B, SHRD",
  access: "rw r r",
  flags: FLAGS,
  forms: doubleShiftForms("AC", "AD"),
  execute(ops, dst, src, by) {
    const count = countOf(ops, by);
    const bits = ops.operandBits;
    const wide = bits === 16 ? ops.zeroExtend(dst, 32) : dst;
    const shifted =
      bits === 16
        ? ops.truncate(ops.shiftRight(threeWords(ops, src, src, dst), count), 16)
        : ops.or(ops.shiftRight(dst, count), ops.shiftLeft(src, opposite(ops, count)));
    const result = ops.keep(ops.select(ops.isZero(count), dst, shifted));
    setFlags(ops, count, result, () => ({
      cf: ops.bit(ops.shiftRight(wide, ops.subtract(count, ops.constant(1, 32))), 0),
      of: ops.xor(ops.bit(result, bits - 1), ops.bit(result, bits - 2)),
    }));
    return result;
  },
});

export const doubleShifts = [shld, shrd] as const;
