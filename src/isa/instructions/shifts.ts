import { type Form, form, instruction } from "../instruction.ts";
import type { Ops } from "../ops.ts";

/** The six rows that all shifts and rotates share; `n` is the ModRM digit. The count has 8 bits in all of them. */
function shiftForms(n: number): Form[] {
  return [
    form(`D0 /${n}`, "rm8, 1"),
    form(`D2 /${n}`, "rm8, cl"),
    form(`C0 /${n}`, "rm8, imm8"),
    form(`D1 /${n}`, "rm:v, 1"),
    form(`D3 /${n}`, "rm:v, cl"),
    form(`C1 /${n}`, "rm:v, imm8"),
  ];
}

// What the manual leaves undefined is as AMD processors (Zen 4) have it, for all counts but 0:
// AF is 1 after shifts and stays after rotates; OF follows from the result as for a count of 1.
const SHIFT_FLAGS = { writes: "cf pf zf sf of", undefined: "af of cf" };
/** CF is the sign for all counts beyond the width. */
const SAR_FLAGS = { writes: "cf pf zf sf of", undefined: "af of" };
const ROTATE_FLAGS = { writes: "cf of", undefined: "of" };

/** The count within its 5 or 6 bits, as 32 bits. */
function countOf<V>(ops: Ops<V>, dst: V, count: V): V {
  const mask = ops.bitsOf(dst) === 64 ? 63 : 31;
  return ops.keep(ops.and(ops.zeroExtend(count, 32), ops.constant(mask, 32)));
}

function topBit<V>(ops: Ops<V>, v: V): V {
  return ops.bit(v, ops.bitsOf(v) - 1);
}

function nextToTopBit<V>(ops: Ops<V>, v: V): V {
  return ops.bit(v, ops.bitsOf(v) - 2);
}

function lowBit<V>(ops: Ops<V>, v: V): V {
  return ops.bit(v, 0);
}

/** Sets the flags of a shift, unless its count is 0. */
function setShiftFlags<V>(
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

export const shl = instruction({
  mnemonic: "shl",
  source: "Intel SDM Vol. 2B, SAL/SAR/SHL/SHR",
  access: "rw r",
  flags: SHIFT_FLAGS,
  // Digit 6 is not in Intel's table; AMD APM Vol. 3, "One-Byte Opcodes, Extended" has it.
  forms: [...shiftForms(4), ...shiftForms(6)],
  execute(ops, dst, src) {
    const count = countOf(ops, dst, src);
    const bits = ops.bitsOf(dst);
    if (bits === 32 || bits === 64) {
      const result = ops.keep(ops.shiftLeft(dst, count));
      setShiftFlags(ops, count, result, () => {
        const cf = ops.keep(lowBit(ops, ops.rotateLeft(dst, count)));
        return { cf, of: ops.xor(topBit(ops, result), cf) };
      });
      return result;
    }
    // Counts go up to 31: the bit shifted out last lies just above the operand.
    const wide = ops.keep(ops.shiftLeft(ops.zeroExtend(dst, 32), count));
    const result = ops.keep(ops.truncate(wide, bits));
    setShiftFlags(ops, count, result, () => {
      const cf = ops.keep(ops.bit(wide, bits));
      return { cf, of: ops.xor(topBit(ops, result), cf) };
    });
    return result;
  },
});

/** SHR and SAR: `wide` is the operand extended to at least 32 bits, whose bit `count - 1` goes to CF. */
function shiftOutRight<V>(ops: Ops<V>, wide: V, count: V): V {
  return lowBit(ops, ops.shiftRight(wide, ops.subtract(count, ops.constant(1, 32))));
}

export const shr = instruction({
  mnemonic: "shr",
  source: "Intel SDM Vol. 2B, SAL/SAR/SHL/SHR",
  access: "rw r",
  flags: SHIFT_FLAGS,
  forms: shiftForms(5),
  execute(ops, dst, src) {
    const count = countOf(ops, dst, src);
    const bits = ops.bitsOf(dst);
    const wide = bits < 32 ? ops.zeroExtend(dst, 32) : dst;
    const result = ops.keep(ops.truncate(ops.shiftRight(wide, count), bits));
    setShiftFlags(ops, count, result, () => ({
      cf: shiftOutRight(ops, wide, count),
      of: ops.xor(topBit(ops, result), nextToTopBit(ops, result)),
    }));
    return result;
  },
});

export const sar = instruction({
  mnemonic: "sar",
  source: "Intel SDM Vol. 2B, SAL/SAR/SHL/SHR",
  access: "rw r",
  flags: SAR_FLAGS,
  forms: shiftForms(7),
  execute(ops, dst, src) {
    const count = countOf(ops, dst, src);
    const bits = ops.bitsOf(dst);
    const wide = bits < 32 ? ops.keep(ops.signExtend(dst, 32)) : dst;
    const result = ops.keep(ops.truncate(ops.shiftRightSigned(wide, count), bits));
    setShiftFlags(ops, count, result, () => ({
      cf: shiftOutRight(ops, wide, count),
      of: ops.constant(0, 1),
    }));
    return result;
  },
});

function setRotateFlags<V>(ops: Ops<V>, count: V, flags: () => { readonly cf: V; readonly of: V }): void {
  ops.when(ops.not(ops.isZero(count)), () => {
    const { cf, of } = flags();
    ops.setFlag("cf", cf);
    ops.setFlag("of", of);
  });
}

/** The count of a rotation without the carry, below the operand's width. */
function rotation<V>(ops: Ops<V>, dst: V, count: V): V {
  const bits = ops.bitsOf(dst);
  return bits >= 32 ? count : ops.and(count, ops.constant(bits - 1, 32));
}

export const rol = instruction({
  mnemonic: "rol",
  source: "Intel SDM Vol. 2B, RCL/RCR/ROL/ROR",
  access: "rw r",
  flags: ROTATE_FLAGS,
  forms: shiftForms(0),
  execute(ops, dst, src) {
    const count = countOf(ops, dst, src);
    const result = ops.keep(ops.rotateLeft(dst, rotation(ops, dst, count)));
    setRotateFlags(ops, count, () => ({
      cf: lowBit(ops, result),
      of: ops.xor(topBit(ops, result), lowBit(ops, result)),
    }));
    return result;
  },
});

export const ror = instruction({
  mnemonic: "ror",
  source: "Intel SDM Vol. 2B, RCL/RCR/ROL/ROR",
  access: "rw r",
  flags: ROTATE_FLAGS,
  forms: shiftForms(1),
  execute(ops, dst, src) {
    const count = countOf(ops, dst, src);
    const result = ops.keep(ops.rotateRight(dst, rotation(ops, dst, count)));
    setRotateFlags(ops, count, () => ({
      cf: topBit(ops, result),
      of: ops.xor(topBit(ops, result), nextToTopBit(ops, result)),
    }));
    return result;
  },
});

/** The operand with CF above it, rotated by `count`, which is 0..63. */
interface CarryRotation<V> {
  readonly result: V;
  readonly cf: V;
}

/** 8, 16 and 32 bits: 9, 17 or 33 bits rotate within 64. */
function rotateNarrow<V>(ops: Ops<V>, dst: V, count: V, right: boolean): CarryRotation<V> {
  const bits = ops.bitsOf(dst);
  const ring = ops.constant(bits + 1, 32);
  const within = bits === 32 ? count : ops.remainderUnsigned(count, ring);
  const opposite = ops.subtract(ring, within);
  const carry = ops.shiftLeft(ops.zeroExtend(ops.flag("cf"), 64), bits);
  const all = ops.keep(ops.or(carry, ops.zeroExtend(dst, 64)));
  const [up, down] = right ? [opposite, within] : [within, opposite];
  const rotated = ops.keep(ops.or(ops.shiftLeft(all, up), ops.shiftRight(all, down)));
  return { result: ops.truncate(rotated, bits), cf: ops.bit(rotated, bits) };
}

/** 64 bits: the operand's own bits move, and the carry comes between the two parts. Means nothing for a count of 0. */
function rotateWide<V>(ops: Ops<V>, dst: V, count: V, right: boolean): CarryRotation<V> {
  const rest = ops.keep(ops.and(ops.negate(count), ops.constant(63, 32)));
  const carry = ops.zeroExtend(ops.flag("cf"), 64);
  const before = ops.keep(ops.and(ops.subtract(count, ops.constant(1, 32)), ops.constant(63, 32)));
  if (right) {
    const low = ops.shiftRight(dst, count);
    const high = ops.shiftLeft(ops.shiftLeft(dst, 1), rest);
    return {
      result: ops.or(ops.or(low, high), ops.shiftLeft(carry, rest)),
      cf: lowBit(ops, ops.shiftRight(dst, before)),
    };
  }
  const high = ops.shiftLeft(dst, count);
  const low = ops.shiftRight(ops.shiftRight(dst, 1), rest);
  return {
    result: ops.or(ops.or(high, low), ops.shiftLeft(carry, before)),
    cf: lowBit(ops, ops.shiftRight(dst, rest)),
  };
}

function rotateThroughCarry(mnemonic: string, digit: number, right: boolean) {
  return instruction({
    mnemonic,
    source: "Intel SDM Vol. 2B, RCL/RCR/ROL/ROR",
    access: "rw r",
    flags: { reads: "cf", ...ROTATE_FLAGS },
    forms: shiftForms(digit),
    execute(ops, dst, src) {
      const count = countOf(ops, dst, src);
      const rotate = ops.bitsOf(dst) === 64 ? rotateWide : rotateNarrow;
      const rotated = rotate(ops, dst, count, right);
      const cf = ops.keep(rotated.cf);
      const result = ops.keep(ops.select(ops.isZero(count), dst, rotated.result));
      setRotateFlags(ops, count, () => ({
        cf,
        of: ops.xor(topBit(ops, result), right ? nextToTopBit(ops, result) : cf),
      }));
      return result;
    },
  });
}

export const rcl = rotateThroughCarry("rcl", 2, false);
export const rcr = rotateThroughCarry("rcr", 3, true);

export const shifts = [rol, ror, rcl, rcr, shl, shr, sar] as const;
