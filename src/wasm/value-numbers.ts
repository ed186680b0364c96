import { type Expr, KIND_CONSTANT, KIND_LOCAL, KIND_OPERATION, MUTABLE } from "./expression.ts";
import { ADD, i32Code, MUL, SHL } from "./integer-opcodes.ts";

/** A 64-bit value as some value plus a constant: equal roots are equal values. */
export interface NumberedValue {
  readonly root: number;
  readonly displacement: bigint;
}

/** The root of constants: zero. */
export const ZERO_ROOT = 0;

/**
 * Tells which integer values of a function are the same, or apart by a
 * constant. What is read from a variable is unknown until `assume` says what it is.
 */
export class ValueNumbers {
  readonly #known = new WeakMap<Expr, NumberedValue>();
  readonly #roots = new Map<string, number>();
  #next = ZERO_ROOT + 1;

  /** A value that equals no other known one. */
  fresh(): NumberedValue {
    return { root: this.#next++, displacement: 0n };
  }

  /** Takes a value that has been bound to be `what`. */
  assume(e: Expr, what: NumberedValue): void {
    if (e.kind === KIND_LOCAL && e.payload !== MUTABLE) this.#known.set(e, what);
  }

  of(e: Expr): NumberedValue {
    if (e.kind === KIND_CONSTANT && e.type === "i64")
      return { root: ZERO_ROOT, displacement: e.payload as bigint };
    const known = this.#known.get(e);
    if (known !== undefined) return known;
    const found = this.#find(e);
    this.#known.set(e, found);
    return found;
  }

  #find(e: Expr): NumberedValue {
    if (e.kind === KIND_LOCAL && e.origin !== undefined) return this.of(e.origin);
    if (e.kind !== KIND_OPERATION || e.opcode?.prefix !== 0 || e.c !== undefined || e.a === undefined)
      return this.fresh();
    const a = this.of(e.a);
    if (e.b === undefined) return this.#rooted(`${e.opcode.code} ${keyOf(a)}`, 0n);
    const b = this.of(e.b);
    if (e.type !== "i64") return this.#rooted(`${e.opcode.code} ${keyOf(a)} ${keyOf(b)}`, 0n);
    switch (i32Code(e.opcode)) {
      case ADD: {
        const displacement = BigInt.asIntN(64, a.displacement + b.displacement);
        if (a.root === ZERO_ROOT) return { root: b.root, displacement };
        if (b.root === ZERO_ROOT) return { root: a.root, displacement };
        const [low, high] = a.root < b.root ? [a.root, b.root] : [b.root, a.root];
        return this.#rooted(`+ ${low} ${high}`, displacement);
      }
      case SHL:
        if (b.root === ZERO_ROOT)
          return this.#rooted(`<< ${a.root} ${b.displacement}`, a.displacement << (b.displacement & 63n));
        break;
      case MUL:
        if (b.root === ZERO_ROOT)
          return this.#rooted(`* ${a.root} ${b.displacement}`, a.displacement * b.displacement);
    }
    return this.#rooted(`${e.opcode.code} ${keyOf(a)} ${keyOf(b)}`, 0n);
  }

  #rooted(key: string, displacement: bigint): NumberedValue {
    let root = this.#roots.get(key);
    if (root === undefined) {
      root = this.#next++;
      this.#roots.set(key, root);
    }
    return { root, displacement: BigInt.asIntN(64, displacement) };
  }
}

const keyOf = ({ root, displacement }: NumberedValue): string => `${root}+${displacement}`;
