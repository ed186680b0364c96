import { form, instruction, not64 } from "../instruction.ts";
import type { Ops } from "../ops.ts";

// Decimal arithmetic, outside of 64-bit code only. Flags that the manual leaves undefined are as AMD
// processors (Zen 4) have them: those of the addition or subtraction that makes the correction.

/** AL's low digit needs a correction: it is above 9, or AF is set. */
function lowDigitOff<V>(ops: Ops<V>, al: V): V {
  const digit = ops.and(al, ops.constant(15, 8));
  return ops.or(ops.lessUnsigned(ops.constant(9, 8), digit), ops.flag("af"));
}

/** `amount` where `condition` holds, else 0. */
function amountWhen<V>(ops: Ops<V>, condition: V, amount: number, bits: 8 | 16): V {
  return ops.select(condition, ops.constant(amount, bits), ops.constant(0, bits));
}

function packed(mnemonic: string, source: string, opcode: string, subtracts: boolean) {
  return instruction({
    mnemonic,
    source,
    access: "",
    flags: { reads: "cf af", writes: "cf pf af zf sf", undefined: "of" },
    forms: [form(opcode, "", { ...not64, size: 8 })],
    execute(ops) {
      const al = ops.register("rax", 8);
      const low = ops.keep(lowDigitOff(ops, al));
      const high = ops.keep(ops.or(ops.lessUnsigned(ops.constant(0x99, 8), al), ops.flag("cf")));
      const correction = ops.keep(ops.or(amountWhen(ops, low, 6, 8), amountWhen(ops, high, 0x60, 8)));
      const result = ops.keep(subtracts ? ops.subtract(al, correction) : ops.add(al, correction));
      ops.setRegister("rax", result);
      if (subtracts) {
        ops.setSubtractionOverflow(al, correction, result);
        // The subtraction of 6 alone may borrow as well.
        ops.setFlag("cf", ops.or(high, ops.and(low, ops.lessUnsigned(al, ops.constant(6, 8)))));
      } else {
        ops.setAdditionOverflow(al, correction, result);
        ops.setFlag("cf", high);
      }
      ops.setFlag("af", low);
      ops.setResultFlags(result);
    },
  });
}

export const daa = packed("daa", "Intel SDM Vol. 2A, DAA", "27", false);
export const das = packed("das", "Intel SDM Vol. 2A, DAS", "2F", true);

function unpacked(mnemonic: string, source: string, opcode: string, subtracts: boolean) {
  return instruction({
    mnemonic,
    source,
    access: "",
    flags: { reads: "af", writes: "cf af", undefined: "of sf zf pf" },
    forms: [form(opcode, "", { ...not64, size: 8 })],
    execute(ops) {
      const ax = ops.register("rax", 16);
      const off = ops.keep(lowDigitOff(ops, ops.register("rax", 8)));
      const correction = ops.keep(amountWhen(ops, off, 0x106, 16));
      const sum = ops.keep(subtracts ? ops.subtract(ax, correction) : ops.add(ax, correction));
      ops.setRegister("rax", ops.and(sum, ops.constant(0xff0f, 16)));
      if (subtracts) ops.setSubtractionOverflow(ax, correction, sum);
      else ops.setAdditionOverflow(ax, correction, sum);
      ops.setFlag("cf", off);
      ops.setFlag("af", off);
      ops.setResultFlags(sum);
    },
  });
}

export const aaa = unpacked("aaa", "Intel SDM Vol. 2A, AAA", "37", false);
export const aas = unpacked("aas", "Intel SDM Vol. 2A, AAS", "3F", true);

export const aam = instruction({
  mnemonic: "aam",
  source: "Intel SDM Vol. 2A, AAM",
  access: "r",
  flags: { writes: "sf zf pf", undefined: "cf of af" },
  forms: [form("D4", "imm8", { ...not64, size: 8 })],
  execute(ops, base) {
    ops.raiseWhen(ops.isZero(base), "#DE");
    const al = ops.zeroExtend(ops.register("rax", 8), 32);
    const divisor = ops.zeroExtend(base, 32);
    const digit = ops.keep(ops.truncate(ops.remainderUnsigned(al, divisor), 8));
    const rest = ops.truncate(ops.divideUnsigned(al, divisor), 16);
    ops.setRegister("rax", ops.or(ops.shiftLeft(rest, 8), ops.zeroExtend(digit, 16)));
    ops.setFlag("cf", ops.constant(0, 1));
    ops.setAdditionOverflow(digit, ops.constant(0, 8), digit);
    ops.setResultFlags(digit);
  },
});

export const aad = instruction({
  mnemonic: "aad",
  source: "Intel SDM Vol. 2A, AAD",
  access: "r",
  flags: { writes: "sf zf pf", undefined: "cf of af" },
  forms: [form("D5", "imm8", { ...not64, size: 8 })],
  execute(ops, base) {
    const al = ops.register("rax", 8);
    const ah = ops.truncate(ops.shiftRight(ops.register("rax", 16), 8), 8);
    const tens = ops.keep(ops.multiply(ah, base));
    const sum = ops.keep(ops.add(al, tens));
    ops.setRegister("rax", ops.zeroExtend(sum, 16));
    ops.setFlag("cf", ops.lessUnsigned(sum, al));
    ops.setAdditionOverflow(al, tens, sum);
    ops.setResultFlags(sum);
  },
});

export const salc = instruction({
  mnemonic: "salc",
  source: "AMD APM Vol. 3, opcode map, SALC",
  access: "",
  flags: { reads: "cf" },
  forms: [form("D6", "", { ...not64, size: 8 })],
  execute(ops) {
    ops.setRegister("rax", ops.signExtend(ops.flag("cf"), 8));
  },
});

export const decimal = [daa, das, aaa, aas, aam, aad, salc] as const;
