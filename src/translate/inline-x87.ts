import type { HelperName } from "../isa/helpers.ts";
import { FLAG_C, FLAG_R, FLAG_X, FLAG_Y, X87, X87_EMPTY, X87_FSW, X87_TOP } from "../layout/cpu-state.ts";
import { CPU_STATE } from "../layout/memory-map.ts";
import { constantOf, type Expr, type FunctionBuilder } from "../wasm/function-builder.ts";
import type { FunctionRef } from "../wasm/module-writer.ts";

const REGISTERS = CPU_STATE + X87;
const SIGN_EXPONENT = 8;
const TOP_BIT = -(1n << 63n);
const SIGN = 0x8000;
const BIAS = 16383;
const C0_BIT = 8;
const C1 = 0x0200;
const C3_BIT = 14;
const CONDITION_CODES = 0x4700;

// Operations, numbered as in the reg field of D8.
const ADD = 0;
const MULTIPLY = 1;
const SUBTRACT = 4;
const SUBTRACT_REVERSED = 5;
const DIVIDE = 6;
const DIVIDE_REVERSED = 7;

/** What inlined x87 instructions need of the code around them. Words are FSW, TOP and the tags. */
export interface X87Context {
  readonly b: FunctionBuilder;
  helper(name: HelperName): FunctionRef;
  word(offset: number): Expr;
  setWord(offset: number, value: Expr): void;
  setFlagWord(offset: number, value: Expr): void;
}

/** A number in the extended format. */
interface Extended {
  readonly significand: Expr;
  readonly signExponent: Expr;
}

/**
 * What an x87 helper does, inline, where registers that are read hold a value, those that are pushed to are empty, and numbers are
 * normal; otherwise `call` calls it. The control word is the plain one of core/float/x87/plain.ts. Says whether there is such a form.
 */
export function inlineX87(
  context: X87Context,
  name: HelperName,
  args: readonly Expr[],
  call: () => void,
): boolean {
  const { b } = context;
  const numbers = args.map((arg) => constantOf(arg));
  const body = formOf(context, name, args, numbers);
  if (body === undefined) return false;
  b.block((done) => {
    b.block((otherwise) => {
      body((condition) => b.if(condition, () => b.br(otherwise), undefined, "unlikely"));
      b.br(done);
    });
    call();
  });
  return true;
}

type Body = (unless: (condition: Expr) => void) => void;

function formOf(
  context: X87Context,
  name: HelperName,
  args: readonly Expr[],
  numbers: readonly unknown[],
): Body | undefined {
  const stack = new X87Stack(context);
  const { b } = context;
  const [first, second, third, fourth] = numbers as number[];
  switch (name) {
    case "x87Arith":
      return (unless) => {
        unless(stack.isEmpty(second!, third!));
        stack.operate(first!, second!, stack.read(third!), unless);
        if (fourth !== 0) stack.pop();
      };
    case "x87Arith32":
    case "x87Arith64":
      if (first === 2 || first === 3) return undefined;
      return (unless) => {
        unless(stack.isEmpty(0));
        const operand =
          name === "x87Arith32" ? fromSingle(b, args[1]!, unless) : fromDouble(b, args[1]!, unless);
        stack.operate(first!, 0, operand, unless);
      };
    case "x87Unary":
      if (first === 3) return undefined;
      return (unless) => {
        unless(stack.isEmpty(0));
        if (first === 2)
          stack.takeRounding(b.call(context.helper("x87PlainRoot"), stack.address(0))!, unless);
        else stack.changeSign(first === 0);
      };
    case "x87Load32":
      return (unless) => stack.push(fromSingle(b, args[0]!, unless), unless);
    case "x87Load64":
      return (unless) => stack.push(fromDouble(b, args[0]!, unless), unless);
    case "x87Load80":
      return (unless) => stack.push({ significand: args[0]!, signExponent: args[1]! }, unless);
    case "x87LoadI16":
    case "x87LoadI32":
      return (unless) => stack.push(fromInteger(b, b.op("i64.extend_i32_s", args[0]!), unless), unless);
    case "x87LoadI64":
      return (unless) => stack.push(fromInteger(b, args[0]!, unless), unless);
    case "x87LoadSt":
      return (unless) => {
        unless(stack.isEmpty(first!));
        stack.push(stack.read(first!), unless);
      };
    case "x87LoadConstant": {
      // 1 and 0; the others depend on how FCW rounds.
      if (first !== 0 && first !== 6) return undefined;
      const [significand, signExponent] = first === 0 ? [TOP_BIT, BIAS] : [0n, 0];
      return (unless) =>
        stack.push({ significand: b.i64(significand), signExponent: b.i32(signExponent) }, unless);
    }
    case "x87StoreSt":
      return (unless) => {
        unless(stack.isEmpty(0));
        stack.clearC1();
        stack.write(first!, stack.read(0));
        if (second !== 0) stack.pop();
      };
    case "x87Exchange":
      return (unless) => {
        unless(stack.isEmpty(0, first!));
        const [top, other] = [stack.read(0), stack.read(first!)];
        stack.clearC1();
        stack.overwrite(0, other);
        stack.overwrite(first!, top);
      };
    case "x87Compare":
      return (unless) => {
        const { less, equal } = stack.compare(first!, unless);
        const codes = b.op(
          "i32.or",
          b.op("i32.shl", less, b.i32(C0_BIT)),
          b.op("i32.shl", equal, b.i32(C3_BIT)),
        );
        const rest = b.op("i32.and", context.word(X87_FSW), b.i32(~CONDITION_CODES));
        context.setWord(X87_FSW, b.op("i32.or", rest, codes));
        for (let pops = 0; pops < second!; pops++) stack.pop();
      };
    case "x87CompareFlags":
      return (unless) => {
        const { less, equal } = stack.compare(first!, unless);
        // R is 0 for ZF, else 0x100; the parity of its low byte is even either way, which PF's correction undoes.
        context.setFlagWord(FLAG_C, b.op("i32.or", less, b.i32(4)));
        const result = b.op("i64.shl", b.op("i64.extend_i32_u", b.op("i32.eqz", equal)), b.i64(8n));
        context.setFlagWord(FLAG_R, result);
        context.setFlagWord(FLAG_X, b.i64(0n));
        context.setFlagWord(FLAG_Y, b.i64(0n));
        if (second !== 0) stack.pop();
      };
    default:
      return undefined;
  }
}

/** The register stack: registers in memory, TOP and the tags in words. */
class X87Stack {
  readonly #context: X87Context;
  readonly #b: FunctionBuilder;

  constructor(context: X87Context) {
    this.#context = context;
    this.#b = context.b;
  }

  /** The physical register that ST(i) is. */
  #number(i: number): Expr {
    const b = this.#b;
    const top = this.#context.word(X87_TOP);
    return i === 0 ? top : b.bind(b.op("i32.and", b.op("i32.add", top, b.i32(i)), b.i32(7)));
  }

  #offset(number: Expr): Expr {
    return this.#b.op("i32.shl", number, this.#b.i32(4));
  }

  /** Address of ST(i). */
  address(i: number): Expr {
    return this.#b.op("i32.add", this.#offset(this.#number(i)), this.#b.i32(REGISTERS));
  }

  /** Non-zero when one of these is empty. */
  isEmpty(...stack: readonly number[]): Expr {
    const b = this.#b;
    const tags = this.#context.word(X87_EMPTY);
    const found = [...new Set(stack)].map((i) => b.op("i32.shr_u", tags, this.#number(i)));
    const any = found.reduce((x, y) => b.op("i32.or", x, y));
    return b.op("i32.and", any, b.i32(1));
  }

  read(i: number): Extended {
    const b = this.#b;
    const at = b.bind(this.#offset(this.#number(i)));
    return {
      significand: b.load("i64.load", at, REGISTERS),
      signExponent: b.load("i32.load16_u", at, REGISTERS + SIGN_EXPONENT),
    };
  }

  /** Writes a register that holds a value. */
  overwrite(i: number, { significand, signExponent }: Extended): void {
    this.#store(this.#number(i), significand, signExponent);
  }

  #store(number: Expr, significand: Expr, signExponent: Expr): void {
    const b = this.#b;
    const at = b.bind(this.#offset(number));
    b.store("i64.store", at, significand, REGISTERS);
    b.store("i32.store16", at, signExponent, REGISTERS + SIGN_EXPONENT);
  }

  write(i: number, value: Extended): void {
    this.overwrite(i, value);
    this.#fill(this.#number(i));
  }

  #fill(number: Expr): void {
    const b = this.#b;
    const bit = b.op("i32.shl", b.i32(1), number);
    const others = b.op("i32.xor", bit, b.i32(-1));
    this.#context.setWord(X87_EMPTY, b.op("i32.and", this.#context.word(X87_EMPTY), others));
  }

  push({ significand, signExponent }: Extended, unless: (condition: Expr) => void): void {
    const b = this.#b;
    const next = this.#number(7);
    const isEmpty = b.op("i32.and", b.op("i32.shr_u", this.#context.word(X87_EMPTY), next), b.i32(1));
    unless(b.op("i32.eqz", isEmpty));
    this.clearC1();
    this.#store(next, significand, signExponent);
    this.#fill(next);
    this.#context.setWord(X87_TOP, next);
  }

  pop(): void {
    const b = this.#b;
    const top = this.#number(0);
    const next = this.#number(1);
    const bit = b.op("i32.shl", b.i32(1), top);
    this.#context.setWord(X87_EMPTY, b.op("i32.or", this.#context.word(X87_EMPTY), bit));
    this.#context.setWord(X87_TOP, next);
  }

  clearC1(): void {
    const b = this.#b;
    this.#context.setWord(X87_FSW, b.op("i32.and", this.#context.word(X87_FSW), b.i32(~C1)));
  }

  /** FCHS, or FABS. */
  changeSign(inverts: boolean): void {
    const b = this.#b;
    const at = b.bind(this.#offset(this.#number(0)));
    const old = b.load("i32.load16_u", at, REGISTERS + SIGN_EXPONENT);
    const changed = inverts ? b.op("i32.xor", old, b.i32(SIGN)) : b.op("i32.and", old, b.i32(SIGN - 1));
    this.clearC1();
    b.store("i32.store16", at, changed, REGISTERS + SIGN_EXPONENT);
  }

  /** ST(i) = ST(i) op the operand. */
  operate(
    operation: number,
    i: number,
    { significand, signExponent }: Extended,
    unless: (e: Expr) => void,
  ): void {
    const b = this.#b;
    const flipped = (): Expr => b.op("i32.xor", signExponent, b.i32(SIGN));
    const call = (name: HelperName, ...args: Expr[]): Expr =>
      b.call(this.#context.helper(name), this.address(i), ...args)!;
    const result = ((): Expr => {
      switch (operation) {
        case ADD:
          return call("x87PlainAdd", b.i32(0), significand, signExponent);
        case MULTIPLY:
          return call("x87PlainMultiply", significand, signExponent);
        case SUBTRACT:
          return call("x87PlainAdd", b.i32(0), significand, flipped());
        case SUBTRACT_REVERSED:
          return call("x87PlainAdd", b.i32(SIGN), significand, signExponent);
        case DIVIDE:
        case DIVIDE_REVERSED:
          return call("x87PlainDivide", b.i32(operation - DIVIDE), significand, signExponent);
        default:
          throw new RangeError(`x87 operation ${operation}`);
      }
    })();
    this.takeRounding(result, unless);
  }

  /** PE and C1 of a function of core/float/x87/plain-registers.ts, which may not have done anything. */
  takeRounding(result: Expr, unless: (condition: Expr) => void): void {
    const b = this.#b;
    unless(b.op("i32.lt_s", result, b.i32(0)));
    const rest = b.op("i32.and", this.#context.word(X87_FSW), b.i32(~C1));
    this.#context.setWord(X87_FSW, b.op("i32.or", rest, result));
  }

  /** ST(0) and ST(i). */
  compare(i: number, unless: (condition: Expr) => void): { less: Expr; equal: Expr } {
    const b = this.#b;
    unless(this.isEmpty(0, i));
    const relation = b.call(this.#context.helper("x87PlainCompare"), this.address(0), this.address(i))!;
    unless(b.op("i32.eq", relation, b.i32(2)));
    return { less: b.op("i32.lt_s", relation, b.i32(0)), equal: b.op("i32.eqz", relation) };
  }
}

/** A number of the single format; only a normal one. */
function fromSingle(b: FunctionBuilder, single: Expr, unless: (condition: Expr) => void): Extended {
  const bits = b.bind(single);
  const rounded = b.op("i32.and", b.op("i32.add", bits, b.i32(0x80_0000)), b.i32(0x7f80_0000));
  unless(b.op("i32.le_u", rounded, b.i32(0x80_0000)));
  const fraction = b.op("i64.shl", b.op("i64.extend_i32_u", bits), b.i64(40n));
  const sign = b.op("i32.and", b.op("i32.shr_u", bits, b.i32(16)), b.i32(SIGN));
  const exponent = b.op("i32.and", b.op("i32.shr_u", bits, b.i32(23)), b.i32(0xff));
  return {
    significand: b.bind(b.op("i64.or", fraction, b.i64(TOP_BIT))),
    signExponent: b.bind(b.op("i32.or", sign, b.op("i32.add", exponent, b.i32(BIAS - 127)))),
  };
}

/** A number of the double format; only a normal one. */
function fromDouble(b: FunctionBuilder, double: Expr, unless: (condition: Expr) => void): Extended {
  const bits = b.bind(double);
  const high = b.bind(b.op("i32.wrap_i64", b.op("i64.shr_u", bits, b.i64(48n))));
  const exponent = b.bind(b.op("i32.and", b.op("i32.shr_u", high, b.i32(4)), b.i32(0x7ff)));
  const next = b.op("i32.and", b.op("i32.add", exponent, b.i32(1)), b.i32(0x7ff));
  unless(b.op("i32.le_u", next, b.i32(1)));
  const sign = b.op("i32.and", high, b.i32(SIGN));
  return {
    significand: b.bind(b.op("i64.or", b.op("i64.shl", bits, b.i64(11n)), b.i64(TOP_BIT))),
    signExponent: b.bind(b.op("i32.or", sign, b.op("i32.add", exponent, b.i32(BIAS - 1023)))),
  };
}

/** An integer that is not 0. */
function fromInteger(b: FunctionBuilder, integer: Expr, unless: (condition: Expr) => void): Extended {
  const value = b.bind(integer);
  unless(b.op("i64.eqz", value));
  const sign = b.bind(b.op("i64.shr_s", value, b.i64(63n)));
  const magnitude = b.bind(b.op("i64.sub", b.op("i64.xor", value, sign), sign));
  const zeros = b.bind(b.op("i64.clz", magnitude));
  const exponent = b.op("i32.sub", b.i32(BIAS + 63), b.op("i32.wrap_i64", zeros));
  return {
    significand: b.bind(b.op("i64.shl", magnitude, zeros)),
    signExponent: b.bind(b.op("i32.or", b.op("i32.and", b.op("i32.wrap_i64", sign), b.i32(SIGN)), exponent)),
  };
}
