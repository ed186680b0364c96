import type { HandlerShape } from "../decode/shape.ts";

/**
 * Instructions that a region has the interpreter's handler execute, and goes on behind: they change nothing but general registers,
 * flags and memory, and lead to the next record unless something is up.
 */
const STEPPED: ReadonlySet<string> = new Set(
  "movs stos lods cmps scas rdtsc rdtscp popf rdmsr cpuid".split(" "),
);

export function isStepped({ instruction }: HandlerShape): boolean {
  return instruction.endsBlock !== true && STEPPED.has(instruction.mnemonic);
}
