import type { Bits } from "../../src/isa/ops.ts";

/** A value of an instruction's semantics: a width and an unsigned number below 2 to that power. */
export interface Value {
  readonly bits: Bits;
  readonly value: bigint;
}

/** A value of any number, cut to the width. */
export function cut(bits: Bits, value: bigint | number): Value {
  return { bits, value: BigInt.asUintN(bits, BigInt(value)) };
}

export const truth = (condition: boolean): Value => ({ bits: 1, value: condition ? 1n : 0n });

/** The number in two's complement. */
export const signed = ({ bits, value }: Value): bigint => BigInt.asIntN(bits, value);

export const isTrue = ({ value }: Value): boolean => value === 1n;
