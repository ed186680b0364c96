import type { Instruction } from "../instruction.ts";
import { arithmetic } from "./arithmetic.ts";

/** Every instruction, family by family: the table from which everything else is made. */
export const INSTRUCTIONS: readonly Instruction[] = [...arithmetic];
