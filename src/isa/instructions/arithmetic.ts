import { type Form, form, instruction, lockable, not64 } from "../instruction.ts";
import type { Ops } from "../ops.ts";

/** The nine rows that ADD, OR, ADC, SBB, AND, SUB, XOR and CMP share; `n` is the ModRM digit. */
function arithmeticForms(n: number, writes: boolean): Form[] {
  const lock = writes ? lockable : {};
  const opcode = (low: number) => (8 * n + low).toString(16).padStart(2, "0");
  return [
    form(opcode(4), "al, imm8"),
    form(opcode(5), "rax:v, imm:z"),
    form(`80 /${n}`, "rm8, imm8", lock),
    form(`82 /${n}`, "rm8, imm8", { ...lock, ...not64 }),
    form(`81 /${n}`, "rm:v, imm:z", lock),
    form(`83 /${n}`, "rm:v, imm8:sx", lock),
    form(`${opcode(0)} /r`, "rm8, r8", lock),
    form(`${opcode(1)} /r`, "rm:v, r:v", lock),
    form(`${opcode(2)} /r`, "r8, rm8"),
    form(`${opcode(3)} /r`, "r:v, rm:v"),
  ];
}

const ALL = "cf pf af zf sf of";

function setAdditionFlags<V>(ops: Ops<V>, a: V, b: V, sum: V, carry: V): void {
  ops.setFlag("cf", carry);
  ops.setAdditionOverflow(a, b, sum);
  ops.setResultFlags(sum);
}

/** Sets all six flags for `difference` = `a` - `b`, perhaps minus a borrow, with the resulting borrow. */
function setDifferenceFlags<V>(ops: Ops<V>, a: V, b: V, difference: V, borrow: V): void {
  ops.setFlag("cf", borrow);
  ops.setSubtractionOverflow(a, b, difference);
  ops.setResultFlags(difference);
}

/** Sets all six flags for `difference` = `a` - `b` with the given borrow. */
export function setSubtractionFlags<V>(ops: Ops<V>, a: V, b: V, difference: V, borrow: V): void {
  setDifferenceFlags(ops, a, b, difference, borrow);
  ops.setComparison(a, b);
}

/** AND, OR, XOR and TEST clear CF and OF; AF is undefined and cleared, as processors do. */
export function setLogicFlags<V>(ops: Ops<V>, result: V): void {
  const zero = ops.constant(0, ops.bitsOf(result));
  ops.setFlag("cf", ops.constant(0, 1));
  ops.setAdditionOverflow(result, zero, result);
  ops.setResultFlags(result);
}

export const add = instruction({
  mnemonic: "add",
  source: "Intel SDM Vol. 2A, ADD",
  access: "rw r",
  flags: { writes: ALL },
  forms: arithmeticForms(0, true),
  execute(ops, dst, src) {
    const sum = ops.add(dst, src);
    setAdditionFlags(ops, dst, src, sum, ops.lessUnsigned(sum, dst));
    ops.setSum(dst, src);
    return sum;
  },
});

export const or = instruction({
  mnemonic: "or",
  source: "Intel SDM Vol. 2B, OR",
  access: "rw r",
  flags: { writes: ALL, undefined: "af" },
  forms: arithmeticForms(1, true),
  execute(ops, dst, src) {
    const result = ops.or(dst, src);
    setLogicFlags(ops, result);
    return result;
  },
});

export const adc = instruction({
  mnemonic: "adc",
  source: "Intel SDM Vol. 2A, ADC",
  access: "rw r",
  flags: { reads: "cf", writes: ALL },
  forms: arithmeticForms(2, true),
  execute(ops, dst, src) {
    const carry = ops.flag("cf");
    const partial = ops.add(dst, src);
    const sum = ops.keep(ops.add(partial, ops.zeroExtend(carry, ops.bitsOf(dst))));
    const carryOut = ops.or(ops.lessUnsigned(partial, dst), ops.lessUnsigned(sum, partial));
    setAdditionFlags(ops, dst, src, sum, carryOut);
    return sum;
  },
});

export const sbb = instruction({
  mnemonic: "sbb",
  source: "Intel SDM Vol. 2B, SBB",
  access: "rw r",
  flags: { reads: "cf", writes: ALL },
  forms: arithmeticForms(3, true),
  execute(ops, dst, src) {
    const borrow = ops.flag("cf");
    const partial = ops.subtract(dst, src);
    const difference = ops.keep(ops.subtract(partial, ops.zeroExtend(borrow, ops.bitsOf(dst))));
    const borrowOut = ops.or(ops.lessUnsigned(dst, src), ops.lessUnsigned(partial, difference));
    setDifferenceFlags(ops, dst, src, difference, borrowOut);
    return difference;
  },
});

export const and = instruction({
  mnemonic: "and",
  source: "Intel SDM Vol. 2A, AND",
  access: "rw r",
  flags: { writes: ALL, undefined: "af" },
  forms: arithmeticForms(4, true),
  execute(ops, dst, src) {
    const result = ops.and(dst, src);
    setLogicFlags(ops, result);
    return result;
  },
});

export const sub = instruction({
  mnemonic: "sub",
  source: "Intel SDM Vol. 2B, SUB",
  access: "rw r",
  flags: { writes: ALL },
  forms: arithmeticForms(5, true),
  execute(ops, dst, src) {
    const difference = ops.subtract(dst, src);
    setSubtractionFlags(ops, dst, src, difference, ops.lessUnsigned(dst, src));
    return difference;
  },
});

export const xor = instruction({
  mnemonic: "xor",
  source: "Intel SDM Vol. 2D, XOR",
  access: "rw r",
  flags: { writes: ALL, undefined: "af" },
  forms: arithmeticForms(6, true),
  execute(ops, dst, src) {
    const result = ops.xor(dst, src);
    setLogicFlags(ops, result);
    return result;
  },
});

export const cmp = instruction({
  mnemonic: "cmp",
  source: "Intel SDM Vol. 2A, CMP",
  access: "r r",
  flags: { writes: ALL },
  forms: arithmeticForms(7, false),
  execute(ops, a, b) {
    setSubtractionFlags(ops, a, b, ops.subtract(a, b), ops.lessUnsigned(a, b));
  },
});

export const test = instruction({
  mnemonic: "test",
  source: "Intel SDM Vol. 2B, TEST",
  access: "r r",
  flags: { writes: ALL, undefined: "af" },
  forms: [
    form("A8", "al, imm8"),
    form("A9", "rax:v, imm:z"),
    form("F6 /0", "rm8, imm8"),
    form("F6 /1", "rm8, imm8"), // not in Intel's table; AMD APM Vol. 3, "TEST"
    form("F7 /0", "rm:v, imm:z"),
    form("F7 /1", "rm:v, imm:z"),
    form("84 /r", "rm8, r8"),
    form("85 /r", "rm:v, r:v"),
  ],
  execute(ops, a, b) {
    setLogicFlags(ops, ops.and(a, b));
  },
});

// 40+r and 48+r are REX prefixes in 64-bit code, INC and DEC elsewhere.

export const inc = instruction({
  mnemonic: "inc",
  source: "Intel SDM Vol. 2A, INC",
  access: "rw",
  flags: { writes: "pf af zf sf of" },
  forms: [form("FE /0", "rm8", lockable), form("FF /0", "rm:v", lockable), form("40", "+r:v", not64)],
  execute(ops, dst) {
    const one = ops.constant(1, ops.bitsOf(dst));
    const sum = ops.add(dst, one);
    ops.setAdditionOverflow(dst, one, sum);
    ops.setResultFlags(sum);
    return sum;
  },
});

export const dec = instruction({
  mnemonic: "dec",
  source: "Intel SDM Vol. 2A, DEC",
  access: "rw",
  flags: { writes: "pf af zf sf of" },
  forms: [form("FE /1", "rm8", lockable), form("FF /1", "rm:v", lockable), form("48", "+r:v", not64)],
  execute(ops, dst) {
    const one = ops.constant(1, ops.bitsOf(dst));
    const difference = ops.subtract(dst, one);
    ops.setSubtractionOverflow(dst, one, difference);
    ops.setResultFlags(difference);
    return difference;
  },
});

export const neg = instruction({
  mnemonic: "neg",
  source: "Intel SDM Vol. 2B, NEG",
  access: "rw",
  flags: { writes: ALL },
  forms: [form("F6 /3", "rm8", lockable), form("F7 /3", "rm:v", lockable)],
  execute(ops, dst) {
    const zero = ops.constant(0, ops.bitsOf(dst));
    const difference = ops.subtract(zero, dst);
    setSubtractionFlags(ops, zero, dst, difference, ops.lessUnsigned(zero, dst));
    return difference;
  },
});

export const not = instruction({
  mnemonic: "not",
  source: "Intel SDM Vol. 2B, NOT",
  access: "rw",
  forms: [form("F6 /2", "rm8", lockable), form("F7 /2", "rm:v", lockable)],
  execute(ops, dst) {
    return ops.not(dst);
  },
});

export const xadd = instruction({
  mnemonic: "xadd",
  source: "Intel SDM Vol. 2D, XADD",
  access: "rw rw",
  flags: { writes: ALL },
  forms: [form("0F C0 /r", "rm8, r8", lockable), form("0F C1 /r", "rm:v, r:v", lockable)],
  execute(ops, dst, src) {
    const sum = ops.add(dst, src);
    setAdditionFlags(ops, dst, src, sum, ops.lessUnsigned(sum, dst));
    ops.setSum(dst, src);
    return [sum, dst];
  },
});

export const arithmetic = [add, or, adc, sbb, and, sub, xor, cmp, test, inc, dec, neg, not, xadd] as const;
