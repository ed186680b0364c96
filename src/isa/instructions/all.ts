import type { Instruction } from "../instruction.ts";
import { arithmetic } from "./arithmetic.ts";
import { controlFlow } from "./control-flow.ts";
import { dataTransfer } from "./data-transfer.ts";
import { flags } from "./flags.ts";
import { hints } from "./hints.ts";
import { interrupts } from "./interrupts.ts";
import { mmxMoves } from "./mmx-moves.ts";
import { shifts } from "./shifts.ts";
import { sseArithmetic } from "./sse-arithmetic.ts";
import { sseCompare } from "./sse-compare.ts";
import { sseConversions } from "./sse-conversions.ts";
import { sseMoves } from "./sse-moves.ts";
import { sse2Integer } from "./sse2-integer.ts";
import { sse2Logic } from "./sse2-logic.ts";
import { sse2Shuffles } from "./sse2-shuffles.ts";
import { stack } from "./stack.ts";

/** Every instruction, family by family: the table from which everything else is made. */
export const INSTRUCTIONS: readonly Instruction[] = [
  ...arithmetic, ...dataTransfer, ...stack, ...controlFlow, ...interrupts, ...shifts, ...flags, ...hints,
  ...mmxMoves, ...sseMoves, ...sseArithmetic, ...sseCompare, ...sseConversions,
  ...sse2Integer, ...sse2Logic, ...sse2Shuffles,
];
