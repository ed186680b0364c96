import { FLAG_C, FLAG_R, FLAG_X, FLAG_Y } from "../layout/cpu-state.ts";
import { type FlagState, SUBTRAHEND_MASK } from "../lower/flag-state.ts";
import type { Expr, FunctionBuilder } from "../wasm/function-builder.ts";
import type { RegionState } from "./region-state.ts";

/** Set in FLAG_C, which is small otherwise: X and Y are operands, of which the words are still to be made. */
const IS_OPERANDS = 1 << 31;
/** All flags are those of X - Y; without it, of X + Y. */
const IS_DIFFERENCE = 1 << 30;
/** By how many bits the operands are shifted to the top of 64. */
const SHIFT = 0x3f;

/**
 * Flag words that nobody reads before the exit block: there the locals may hold the operands that the flags follow from,
 * and the exit block makes the words of them. So what can leave pays for a constant and two moves, and so does every merge where the
 * flags are dead (`FlagLiveness`), which the words would be computed for on all ways that lead there.
 */
export class FlagOperands {
  readonly #b: FunctionBuilder;
  readonly #state: RegionState;
  /** Where registers stay in memory, the words do: no exit block writes them. */
  readonly #areInLocals: boolean;
  #isUsed = false;

  constructor(b: FunctionBuilder, state: RegionState, areInLocals: boolean) {
    this.#b = b;
    this.#state = state;
    this.#areInLocals = areInLocals;
  }

  /** Leaves what is pending in the locals: its operands, if it follows from any; it stays pending where control goes on. */
  spill(flags: FlagState): void {
    const operands = this.#areInLocals ? flags.operands : undefined;
    if (operands === undefined) return flags.spill();
    const b = this.#b;
    const { a, b: second, subtracts } = operands;
    const wide = (value: typeof a): Expr => (value.bits === 64 ? value.e : b.op("i64.extend_i32_u", value.e));
    this.#isUsed = true;
    this.#set(FLAG_C, b.i32(IS_OPERANDS | (subtracts ? IS_DIFFERENCE : 0) | (64 - a.bits)));
    this.#set(FLAG_R, b.i64(0n));
    this.#set(FLAG_X, wide(a));
    this.#set(FLAG_Y, second === undefined ? b.i64(0n) : wide(second));
  }

  /** In the exit block, which is written last: the words are in the locals behind this. */
  finish(): void {
    if (!this.#isUsed) return;
    const b = this.#b;
    const form = b.bind(this.#state.load(32, b.i32(FLAG_C)));
    b.if(b.op("i32.lt_s", form, b.i32(0)), () => {
      const shift = b.bind(b.op("i64.extend_i32_u", b.op("i32.and", form, b.i32(SHIFT))));
      const operand = (word: number): Expr =>
        b.bind(b.op("i64.shl", this.#state.load(64, b.i32(word)), shift));
      const x = operand(FLAG_X);
      const y = operand(FLAG_Y);
      const isDifference = b.bind(b.op("i32.and", form, b.i32(IS_DIFFERENCE)));
      const sum = b.bind(b.op("i64.add", x, y));
      const result = b.select(isDifference, b.op("i64.sub", x, y), sum);
      const carry = b.select(isDifference, b.op("i64.lt_u", x, y), b.op("i64.lt_u", sum, x));
      const down = (value: Expr): Expr => b.op("i64.shr_s", value, shift);
      const inverted = b.select(isDifference, b.i64(SUBTRAHEND_MASK), b.i64(0n));
      this.#set(FLAG_R, down(result));
      this.#set(FLAG_X, down(x));
      this.#set(FLAG_Y, b.op("i64.xor", down(y), inverted));
      this.#set(FLAG_C, carry);
    });
  }

  #set(word: number, value: Expr): void {
    const bits = word === FLAG_C ? 32 : 64;
    this.#state.store(bits, this.#b.i32(word), value, () => {});
  }
}
