import { form, instruction } from "../instruction.ts";
import type { OperandBits, Ops } from "../ops.ts";

// What the manual leaves undefined is as AMD processors (Zen 4) have it: multiplications
// leave SF, ZF, AF and PF alone; divisions leave CF and OF, set AF and clear the others.

const MULTIPLY_FLAGS = { writes: "cf of", undefined: "sf zf af pf" };
const DIVIDE_FLAGS = { writes: "", undefined: "cf of sf zf af pf" };

function setOverflow<V>(ops: Ops<V>, overflow: V): void {
  const kept = ops.keep(overflow);
  ops.setFlag("cf", kept);
  ops.setFlag("of", kept);
}

/** The accumulator of twice the operand size: AX, DX:AX, EDX:EAX or RDX:RAX. */
function setDouble<V>(ops: Ops<V>, low: V, high: V): void {
  if (ops.operandBits === 8) {
    ops.setRegister("rax", ops.or(ops.shiftLeft(ops.zeroExtend(high, 16), 8), ops.zeroExtend(low, 16)));
    return;
  }
  ops.setRegister("rax", low);
  ops.setRegister("rdx", high);
}

/** The two halves of a product that was computed at twice the width or more. */
function halves<V>(ops: Ops<V>, product: V): [low: V, high: V] {
  const bits = ops.operandBits;
  const high = ops.shiftRight(product, bits);
  return [ops.keep(ops.truncate(product, bits)), ops.keep(ops.truncate(high, bits))];
}

export const mul = instruction({
  mnemonic: "mul",
  source: "Intel SDM Vol. 2B, MUL",
  access: "r",
  flags: MULTIPLY_FLAGS,
  forms: [form("F6 /4", "rm8"), form("F7 /4", "rm:v")],
  execute(ops, src) {
    const accumulator = ops.register("rax", ops.operandBits);
    const [low, high] =
      ops.operandBits === 64
        ? [ops.keep(ops.multiply(accumulator, src)), ops.keep(ops.call("multiplyHigh", accumulator, src))]
        : halves(ops, ops.multiply(ops.zeroExtend(accumulator, 64), ops.zeroExtend(src, 64)));
    setDouble(ops, low, high);
    setOverflow(ops, ops.not(ops.isZero(high)));
  },
});

export const imul = instruction({
  mnemonic: "imul",
  source: "Intel SDM Vol. 2A, IMUL",
  access: "r",
  flags: MULTIPLY_FLAGS,
  forms: [form("F6 /5", "rm8"), form("F7 /5", "rm:v")],
  execute(ops, src) {
    const accumulator = ops.register("rax", ops.operandBits);
    const [low, high] =
      ops.operandBits === 64
        ? [
            ops.keep(ops.multiply(accumulator, src)),
            ops.keep(ops.call("multiplyHighSigned", accumulator, src)),
          ]
        : halves(ops, ops.multiply(ops.signExtend(accumulator, 64), ops.signExtend(src, 64)));
    setDouble(ops, low, high);
    setOverflow(ops, ops.not(ops.equal(high, ops.shiftRightSigned(low, ops.operandBits - 1))));
  },
});

/** The low half of a signed product; CF and OF tell whether it is all of it. */
function multiplyTruncated<V>(ops: Ops<V>, a: V, b: V): V {
  const bits = ops.operandBits;
  if (bits !== 64) {
    const product = ops.keep(ops.multiply(ops.signExtend(a, 64), ops.signExtend(b, 64)));
    const low = ops.keep(ops.truncate(product, bits));
    setOverflow(ops, ops.not(ops.equal(ops.signExtend(low, 64), product)));
    return low;
  }
  const low = ops.keep(ops.multiply(a, b));
  const isNarrow = (v: V): V => ops.equal(ops.signExtend(ops.truncate(v, 32), 64), v);
  // Factors of 32 bits are the rule and cannot overflow; the high half of others takes a call.
  ops.when(
    ops.and(isNarrow(a), isNarrow(b)),
    () => setOverflow(ops, ops.constant(0, 1)),
    () => {
      const high = ops.call("multiplyHighSigned", a, b);
      setOverflow(ops, ops.not(ops.equal(high, ops.shiftRightSigned(low, 63))));
    },
  );
  return low;
}

export const imulTwo = instruction({
  mnemonic: "imul",
  source: "Intel SDM Vol. 2A, IMUL",
  access: "rw r",
  flags: MULTIPLY_FLAGS,
  forms: [form("0F AF /r", "r:v, rm:v")],
  execute(ops, dst, src) {
    return multiplyTruncated(ops, dst, src);
  },
});

export const imulThree = instruction({
  mnemonic: "imul",
  source: "Intel SDM Vol. 2A, IMUL",
  access: "w r r",
  flags: MULTIPLY_FLAGS,
  forms: [form("6B /r", "r:v, rm:v, imm8:sx"), form("69 /r", "r:v, rm:v, imm:z")],
  execute(ops, _dst, a, b) {
    return multiplyTruncated(ops, a, b);
  },
});

function setDivisionFlags<V>(ops: Ops<V>): void {
  ops.setFlag("cf", ops.flag("cf"));
  ops.setFlag("of", ops.flag("of"));
  ops.setFlag("af", ops.constant(1, 1));
  // One bit set: not zero, not negative, parity odd.
  ops.setResultFlags(ops.constant(1, 8));
}

/** DX:AX or EDX:EAX as one value; AX for operands of 8 bits. */
function dividend<V>(ops: Ops<V>): V {
  const bits = ops.operandBits;
  if (bits === 8) return ops.register("rax", 16);
  const double = (2 * bits) as OperandBits;
  const high = ops.shiftLeft(ops.zeroExtend(ops.register("rdx", bits), double), bits);
  return ops.or(high, ops.zeroExtend(ops.register("rax", bits), double));
}

/** Quotient and remainder, computed at a greater width, to their registers. */
function setQuotient<V>(ops: Ops<V>, quotient: V, remainder: V): void {
  setDouble(ops, ops.truncate(quotient, ops.operandBits), ops.truncate(remainder, ops.operandBits));
}

export const div = instruction({
  mnemonic: "div",
  source: "Intel SDM Vol. 2A, DIV",
  access: "r",
  flags: DIVIDE_FLAGS,
  forms: [form("F6 /6", "rm8"), form("F7 /6", "rm:v")],
  execute(ops, src) {
    if (ops.operandBits === 64) divideWide(ops, src);
    else {
      ops.raiseWhen(ops.isZero(src), "#DE");
      const wide = ops.operandBits === 32 ? 64 : 32;
      const numerator = ops.keep(ops.zeroExtend(dividend(ops), wide));
      const denominator = ops.zeroExtend(src, wide);
      const quotient = ops.keep(ops.divideUnsigned(numerator, denominator));
      ops.raiseWhen(ops.not(ops.isZero(ops.shiftRight(quotient, ops.operandBits))), "#DE");
      setQuotient(ops, quotient, ops.keep(ops.remainderUnsigned(numerator, denominator)));
    }
    setDivisionFlags(ops);
  },
});

/** RDX:RAX; RDX is nearly always 0. */
function divideWide<V>(ops: Ops<V>, divisor: V): void {
  const high = ops.register("rdx", 64);
  const low = ops.register("rax", 64);
  ops.when(
    ops.isZero(high),
    () => {
      ops.raiseWhen(ops.isZero(divisor), "#DE");
      const quotient = ops.keep(ops.divideUnsigned(low, divisor));
      setQuotient(ops, quotient, ops.keep(ops.remainderUnsigned(low, divisor)));
    },
    () => {
      ops.system("divide128", high, low, divisor);
      setQuotient(ops, ops.helperResult(0), ops.helperResult(1));
    },
  );
}

export const idiv = instruction({
  mnemonic: "idiv",
  source: "Intel SDM Vol. 2A, IDIV",
  access: "r",
  flags: DIVIDE_FLAGS,
  forms: [form("F6 /7", "rm8"), form("F7 /7", "rm:v")],
  execute(ops, src) {
    if (ops.operandBits === 64) divideWideSigned(ops, src);
    else {
      ops.raiseWhen(ops.isZero(src), "#DE");
      const numerator = ops.keep(ops.signExtend(dividend(ops), 64));
      // The quotient of the least number never fits, and by -1 not even in 64 bits.
      if (ops.operandBits === 32) ops.raiseWhen(ops.equal(numerator, ops.constant(1n << 63n, 64)), "#DE");
      const denominator = ops.signExtend(src, 64);
      const quotient = ops.keep(ops.divideSigned(numerator, denominator));
      const fits = ops.equal(ops.signExtend(ops.truncate(quotient, ops.operandBits), 64), quotient);
      ops.raiseWhen(ops.not(fits), "#DE");
      setQuotient(ops, quotient, ops.keep(ops.remainderSigned(numerator, denominator)));
    }
    setDivisionFlags(ops);
  },
});

/** RDX:RAX; RDX is nearly always the sign of RAX. */
function divideWideSigned<V>(ops: Ops<V>, divisor: V): void {
  const high = ops.register("rdx", 64);
  const low = ops.register("rax", 64);
  const least = ops.equal(low, ops.constant(1n << 63n, 64));
  const narrow = ops.and(ops.equal(high, ops.shiftRightSigned(low, 63)), ops.not(least));
  ops.when(
    narrow,
    () => {
      ops.raiseWhen(ops.isZero(divisor), "#DE");
      const quotient = ops.keep(ops.divideSigned(low, divisor));
      setQuotient(ops, quotient, ops.keep(ops.remainderSigned(low, divisor)));
    },
    () => {
      ops.system("divideSigned128", high, low, divisor);
      setQuotient(ops, ops.helperResult(0), ops.helperResult(1));
    },
  );
}

export const multiplyDivide = [mul, imul, imulTwo, imulThree, div, idiv] as const;
