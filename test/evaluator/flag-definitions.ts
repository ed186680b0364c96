import type { Condition, StatusFlag } from "../../src/isa/registers.ts";

// The status flags by their definitions (Intel SDM Vol. 1, "Status Flags").

export type Flags = Record<StatusFlag, boolean>;

const bit = (value: bigint, index: number): boolean => ((value >> BigInt(index)) & 1n) === 1n;

/** SF, ZF and PF of a result. */
export function setResultFlags(flags: Flags, bits: number, result: bigint): void {
  flags.sf = bit(result, bits - 1);
  flags.zf = result === 0n;
  let ones = 0;
  for (let i = 0; i < 8; i++) if (bit(result, i)) ones++;
  flags.pf = ones % 2 === 0;
}

/** OF and AF of a + b = sum, perhaps with a carry. */
export function setAdditionOverflow(flags: Flags, bits: number, a: bigint, b: bigint, sum: bigint): void {
  // Addends of one sign gave a sum of the other.
  flags.of = bit(a, bits - 1) === bit(b, bits - 1) && bit(sum, bits - 1) !== bit(a, bits - 1);
  flags.af = bit(a ^ b ^ sum, 4);
}

/** OF and AF of a - b = difference, perhaps with a borrow. */
export function setSubtractionOverflow(
  flags: Flags,
  bits: number,
  a: bigint,
  b: bigint,
  difference: bigint,
): void {
  // Operands of different signs gave a difference of the subtrahend's.
  flags.of = bit(a, bits - 1) !== bit(b, bits - 1) && bit(difference, bits - 1) !== bit(a, bits - 1);
  flags.af = bit(a ^ b ^ difference, 4);
}

/** All six flags of a - b. */
export function setSubtractionFlags(flags: Flags, bits: number, a: bigint, b: bigint): void {
  const difference = BigInt.asUintN(bits, a - b);
  flags.cf = a < b;
  setSubtractionOverflow(flags, bits, a, b, difference);
  setResultFlags(flags, bits, difference);
}

/** Condition codes (Intel SDM Vol. 1, appendix B, "EFLAGS Condition Codes"). */
export function holds(condition: Condition, { cf, pf, zf, sf, of }: Flags): boolean {
  switch (condition) {
    case "o":
      return of;
    case "no":
      return !of;
    case "b":
      return cf;
    case "ae":
      return !cf;
    case "e":
      return zf;
    case "ne":
      return !zf;
    case "be":
      return cf || zf;
    case "a":
      return !cf && !zf;
    case "s":
      return sf;
    case "ns":
      return !sf;
    case "p":
      return pf;
    case "np":
      return !pf;
    case "l":
      return sf !== of;
    case "ge":
      return sf === of;
    case "le":
      return zf || sf !== of;
    case "g":
      return !zf && sf === of;
  }
}
