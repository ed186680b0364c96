import type { IntegerValues } from "../isa/lowering/integer-values.ts";
import type { Value } from "../isa/lowering/value.ts";
import type { Condition } from "../isa/registers.ts";

/** The operands of the last comparison, for conditions that a fused handler tests right behind it. */
export interface KnownFlags {
  readonly cf?: Value | undefined;
  readonly result?: Value | undefined;
  readonly difference?: { readonly a: Value; readonly b: Value } | undefined;
}

/** A condition from what the same handler computed before; undefined when that does not suffice. */
export function knownCondition(v: IntegerValues, condition: Condition, known: KnownFlags): Value | undefined {
  const { cf, result, difference } = known;
  switch (condition) {
    case "b":
      return cf;
    case "ae":
      return cf && v.not(cf);
    case "e":
      return difference ? v.equal(difference.a, difference.b) : result && v.isZero(result);
    case "ne":
      return difference ? v.not(v.equal(difference.a, difference.b)) : result && v.not(v.isZero(result));
    case "be":
      if (difference && cf) return v.not(v.lessUnsigned(difference.b, difference.a));
      return cf && result && v.or(cf, v.isZero(result));
    case "a":
      if (difference && cf) return v.lessUnsigned(difference.b, difference.a);
      return cf && result && v.not(v.or(cf, v.isZero(result)));
    case "s":
      return result && v.bit(result, result.bits - 1);
    case "ns":
      return result && v.not(v.bit(result, result.bits - 1));
    case "l":
      return difference && v.lessSigned(difference.a, difference.b);
    case "ge":
      return difference && v.not(v.lessSigned(difference.a, difference.b));
    case "le":
      return difference && v.not(v.lessSigned(difference.b, difference.a));
    case "g":
      return difference && v.lessSigned(difference.b, difference.a);
    default:
      return undefined;
  }
}
