import { form, instruction, lockable } from "../instruction.ts";
import type { Ops } from "../ops.ts";
import { CONDITIONS } from "../registers.ts";
import { conditionFlags, wrapAddress } from "./data-transfer.ts";

/** What becomes of a chosen bit: `mask` has it set. */
type Change = <V>(ops: Ops<V>, value: V, mask: V) => V;

interface BitTest {
  readonly mnemonic: string;
  readonly source: string;
  /** ModRM digit of the form with an immediate, and the opcode of the one with a register. */
  readonly digit: number;
  readonly opcode: string;
  readonly change?: Change;
}

const BIT_TESTS: readonly BitTest[] = [
  { mnemonic: "bt", source: "Intel SDM Vol. 2A, BT", digit: 4, opcode: "A3" },
  {
    mnemonic: "bts",
    source: "Intel SDM Vol. 2A, BTS",
    digit: 5,
    opcode: "AB",
    change: (ops, value, mask) => ops.or(value, mask),
  },
  {
    mnemonic: "btr",
    source: "Intel SDM Vol. 2A, BTR",
    digit: 6,
    opcode: "B3",
    change: (ops, value, mask) => ops.and(value, ops.not(mask)),
  },
  {
    mnemonic: "btc",
    source: "Intel SDM Vol. 2A, BTC",
    digit: 7,
    opcode: "BB",
    change: (ops, value, mask) => ops.xor(value, mask),
  },
];

// OF, SF, AF and PF are undefined; processors leave them alone.
const BIT_TEST_FLAGS = { writes: "cf", undefined: "of sf af pf" };

/** The bit's position within the operand. */
function positionOf<V>(ops: Ops<V>, offset: V): V {
  return ops.keep(
    ops.and(ops.truncate(ops.zeroExtend(offset, 64), 32), ops.constant(ops.operandBits - 1, 32)),
  );
}

function chosenBit<V>(ops: Ops<V>, value: V, position: V): V {
  return ops.bit(ops.shiftRight(value, position), 0);
}

function maskAt<V>(ops: Ops<V>, position: V): V {
  return ops.shiftLeft(ops.constant(1, ops.operandBits), position);
}

/** The bit lies within the operand: the offset is taken modulo its width. */
function bitTest({ mnemonic, source, digit, opcode, change }: BitTest) {
  const lock = change === undefined ? {} : lockable;
  return instruction({
    mnemonic,
    source,
    access: change === undefined ? "r r" : "rw r",
    flags: BIT_TEST_FLAGS,
    forms: [form(`0F ${opcode} /r`, "r:v:rm, r:v"), form(`0F BA /${digit}`, "rm:v, imm8", lock)],
    execute(ops, base, offset) {
      const position = positionOf(ops, offset);
      ops.setFlag("cf", chosenBit(ops, base, position));
      return change?.(ops, base, maskAt(ops, position));
    },
  });
}

/** The base is memory and the offset a register, which is signed and may lead beyond the operand. */
function bitTestInMemory({ mnemonic, source, opcode, change }: BitTest) {
  const lock = change === undefined ? {} : lockable;
  return instruction({
    mnemonic,
    source,
    access: "r r",
    flags: BIT_TEST_FLAGS,
    forms: [form(`0F ${opcode} /r`, "m, r:v", { ...lock, offsetOnly: true, addressPrefixes: true })],
    execute(ops, base, offset) {
      const bits = ops.operandBits as 16 | 32 | 64;
      const words = ops.shiftRightSigned(ops.signExtend(offset, 64), Math.log2(bits));
      const sum = wrapAddress(ops, ops.add(base, ops.multiply(words, ops.constant(bits / 8, 64))));
      const access = change === undefined ? "read" : "write";
      const address = ops.keep(ops.dataSegmented(sum, bits / 8, access));
      const position = positionOf(ops, offset);
      if (change === undefined) {
        ops.setFlag("cf", chosenBit(ops, ops.load(bits, address), position));
        return;
      }
      ops.modify(bits, address, (old) => {
        ops.setFlag("cf", chosenBit(ops, old, position));
        return change(ops, old, maskAt(ops, position));
      });
    },
  });
}

/**
 * BSF and BSR. A source of 0 leaves all 64 bits of the destination alone, so
 * all of them are the operand, whatever the operand size. PF is that of the
 * result and the other undefined flags are 0, as AMD processors have it.
 */
function bitScan(mnemonic: string, source: string, opcode: string, find: <V>(ops: Ops<V>, source: V) => V) {
  return instruction({
    mnemonic,
    source,
    access: "rw r",
    flags: { writes: "zf", undefined: "cf of sf af pf" },
    forms: [form(`0F ${opcode} /r`, "r64, rm:v")],
    execute(ops, dst, src) {
      const zero = ops.keep(ops.isZero(src));
      const found = ops.keep(find(ops, src));
      for (const flag of ["cf", "of", "af"] as const) ops.setFlag(flag, ops.constant(0, 1));
      // Bit 8 keeps the result of a source that is not 0 from being 0, and counts neither for SF nor for PF.
      const found32 = ops.truncate(ops.zeroExtend(found, 64), 32);
      const result = ops.or(found32, ops.constant(0x100, 32));
      ops.setResultFlags(ops.select(zero, ops.constant(0, 32), result));
      return ops.select(zero, dst, placed(ops, dst, found));
    },
  });
}

/** What 64 bits of a register become when `value` is written to it. */
export function placed<V>(ops: Ops<V>, register: V, value: V): V {
  const wide = ops.zeroExtend(value, 64);
  if (ops.bitsOf(value) !== 16) return wide;
  return ops.or(ops.and(register, ops.constant(~0xffffn, 64)), wide);
}

export const bsf = bitScan("bsf", "Intel SDM Vol. 2A, BSF", "BC", (ops, src) => ops.countTrailingZeros(src));

export const bsr = bitScan("bsr", "Intel SDM Vol. 2A, BSR", "BD", (ops, src) =>
  ops.subtract(ops.constant(ops.operandBits - 1, ops.operandBits), ops.countLeadingZeros(src)),
);

/** SETcc. The digit of its ModRM byte means nothing. */
export const conditionalSets = CONDITIONS.map((condition, code) =>
  instruction({
    mnemonic: `set${condition}`,
    source: "Intel SDM Vol. 2B, SETcc",
    access: "w",
    flags: { reads: conditionFlags(code) },
    forms: [form(`0F 9${code.toString(16)} /r`, "rm8")],
    execute(ops) {
      return ops.zeroExtend(ops.condition(condition), 8);
    },
  }),
);

// biome-ignore format: a table
export const bits = [
  ...BIT_TESTS.map(bitTest), ...BIT_TESTS.map(bitTestInMemory), bsf, bsr, ...conditionalSets,
] as const;
