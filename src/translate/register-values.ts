import type { RegisterBits } from "../lower/record-context.ts";
import type { CodeSpan, Expr, FunctionBuilder } from "../wasm/function-builder.ts";
import { type NumberedValue, ValueNumbers } from "../wasm/value-numbers.ts";

/** What is known of the registers at a place of the code. */
export interface KnownRegisters {
  /** What the general ones hold. */
  readonly general: ReadonlyMap<number, NumberedValue>;
  /** Those in memory whose value is at hand. */
  readonly atHand: ReadonlyMap<number, Expr>;
}

/** What the registers hold as the code of a region is built, as far as it is known. */
export class RegisterValues {
  readonly numbers = new ValueNumbers();
  readonly #b: FunctionBuilder;
  #general = new Map<number, NumberedValue>();
  #atHand = new Map<number, Expr>();
  /** The code in which that holds. */
  #span: CodeSpan | undefined;

  constructor(b: FunctionBuilder) {
    this.#b = b;
  }

  forget(): void {
    this.#general.clear();
    this.#atHand.clear();
  }

  /** What is known here. */
  get known(): KnownRegisters {
    return { general: new Map(this.#general), atHand: new Map(this.#atHand) };
  }

  /** Goes on with what is known, or with nothing. */
  know(known: KnownRegisters | undefined): void {
    this.#general = new Map(known?.general);
    this.#atHand = new Map(known?.atHand);
    this.spanStarts();
  }

  /** Code that is written into the innermost span from here on runs straight. */
  spanStarts(): void {
    this.#span = this.#b.span;
  }

  /** The root of what a general register holds here, as far as it is known. */
  rootOf(slot: number): number | undefined {
    return this.#general.get(slot)?.root;
  }

  /** The value of a register that stays in memory, where it has been read or written before. */
  atHand(slot: number): Expr | undefined {
    return this.#atHand.get(slot);
  }

  /** A register that stays in memory has been read. */
  noteRead(slot: number, value: Expr): void {
    if (this.#isStraight) this.#atHand.set(slot, value);
  }

  /** It has been written. What is stored under a condition is not at hand without it. */
  noteWritten(slot: number, value: Expr): void {
    if (this.#isStraight) this.#atHand.set(slot, value);
    else this.#atHand.delete(slot);
  }

  /** A general register has been read. */
  assume(slot: number, value: Expr): void {
    let number = this.#general.get(slot);
    if (number === undefined) {
      number = this.numbers.fresh();
      this.#general.set(slot, number);
    }
    this.numbers.assume(value, number);
  }

  /** A general register has been written. What is stored under a condition is not there without it. */
  noteStored(slot: number, bits: RegisterBits, value: Expr): void {
    const isKnown = bits === 64 && this.#isStraight;
    this.#general.set(slot, isKnown ? this.numbers.of(value) : this.numbers.fresh());
  }

  get #isStraight(): boolean {
    return this.#b.span === this.#span;
  }
}
