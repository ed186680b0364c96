import type { IsaFeature } from "../features.ts";
import { form, type Instruction, instruction } from "../instruction.ts";
import type { Ops } from "../ops.ts";

/** What an instruction computes from two vectors. */
export type Combine = <V>(ops: Ops<V>, a: V, b: V) => V;

/** Volume of the Intel SDM that describes an instruction, by its first letter. */
const volumeOf = (title: string): string =>
  title < "M" ? "2A" : title < "V" ? "2B" : title < "W" ? "2C" : "2D";

/** Where the Intel SDM describes instructions, by the title of their page. */
export const sdm = (title: string): string => `Intel SDM Vol. ${volumeOf(title)}, ${title}`;

/**
 * The MMX and the SSE2 row of an instruction whose lanes do not mix: MMX
 * computes the low half of what SSE2 does, on registers of 64 bits.
 */
export function packed(mnemonic: string, title: string, opcode: string, combine: Combine): Instruction[] {
  return [
    instruction({
      mnemonic,
      source: sdm(title),
      access: "rw r",
      unit: "mmx",
      forms: [form(`NP ${opcode} /r`, "mm, mm/m64")],
      execute(ops, dst, src) {
        return ops.low64(combine(ops, ops.vector64(dst), ops.vector64(src)));
      },
    }),
    ...sse(mnemonic, title, `66 ${opcode} /r`, combine),
  ];
}

/** An instruction `xmm, xmm/m128` that reads both operands and raises no exceptions of SIMD floating point. */
export function sse(
  mnemonic: string,
  title: string,
  opcode: string,
  combine: Combine,
  features: readonly IsaFeature[] = [],
): Instruction[] {
  return [
    instruction({
      mnemonic,
      source: sdm(title),
      access: "rw r",
      unit: "sse",
      features,
      forms: [form(opcode, "xmm, xmm/m128")],
      execute: combine,
    }),
  ];
}
