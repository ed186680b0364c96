import type { Instruction } from "../../src/isa/instruction.ts";
import { INSTRUCTIONS } from "../../src/isa/instructions/all.ts";
import { Generator, MAX_INSTRUCTIONS } from "./generate.ts";

/** Cases that share their instructions: compiling is most of what the translator's cost. */
export const VARIANTS: Readonly<Record<string, number>> = { interpreter: 8, translator: 16 };

/** Cases of one seed. */
export const CASES_PER_PIECE = 200_000;

/** Makes the cases of one piece of the campaign. The tests take the first cases of pieces that it has gone through. */
export function pieceGenerator(target: string, seed: number): Generator {
  return new Generator(INSTRUCTIONS as readonly Instruction[], {
    seed,
    maxInstructions: MAX_INSTRUCTIONS,
    variants: VARIANTS[target] ?? 1,
  });
}
