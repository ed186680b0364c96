import type { Instruction } from "../instruction.ts";
import { arithmetic } from "./arithmetic.ts";
import { avx } from "./avx.ts";
import { avxFromSse } from "./avx-from-sse.ts";
import { avxLanes } from "./avx-lanes.ts";
import { avxMemory } from "./avx-memory.ts";
import { bitManipulation } from "./bit-manipulation.ts";
import { bits } from "./bits.ts";
import { compareExchange } from "./compare-exchange.ts";
import { controlFlow } from "./control-flow.ts";
import { crypto } from "./crypto.ts";
import { dataTransfer } from "./data-transfer.ts";
import { decimal } from "./decimal.ts";
import { descriptorTables } from "./descriptor-tables.ts";
import { doubleShifts } from "./double-shifts.ts";
import { flags } from "./flags.ts";
import { f16c, fma } from "./fma.ts";
import { hints } from "./hints.ts";
import { inputOutput } from "./input-output.ts";
import { interrupts } from "./interrupts.ts";
import { mmxMoves } from "./mmx-moves.ts";
import { multiplyDivide } from "./multiply-divide.ts";
import { protection } from "./protection.ts";
import { segmentRegisters } from "./segment-registers.ts";
import { shifts } from "./shifts.ts";
import { sseArithmetic } from "./sse-arithmetic.ts";
import { sseCompare } from "./sse-compare.ts";
import { sseConversions } from "./sse-conversions.ts";
import { sseMoves } from "./sse-moves.ts";
import { sse2Integer } from "./sse2-integer.ts";
import { sse2Logic } from "./sse2-logic.ts";
import { sse2Shuffles } from "./sse2-shuffles.ts";
import { sse3 } from "./sse3.ts";
import { sse41Float } from "./sse41-float.ts";
import { sse41Integer } from "./sse41-integer.ts";
import { sse41Lanes } from "./sse41-lanes.ts";
import { sse42 } from "./sse42.ts";
import { ssse3 } from "./ssse3.ts";
import { stack } from "./stack.ts";
import { stateSave } from "./state-save.ts";
import { strings } from "./strings.ts";
import { system } from "./system.ts";
import { x87Instructions } from "./x87.ts";

/** Every instruction, family by family: the table from which everything else is made. */
// biome-ignore format: a table
export const INSTRUCTIONS: readonly Instruction[] = [
  ...arithmetic, ...dataTransfer, ...compareExchange, ...stack, ...controlFlow, ...interrupts,
  ...shifts, ...doubleShifts, ...bits, ...bitManipulation, ...multiplyDivide, ...decimal, ...strings, ...flags, ...hints,
  ...x87Instructions,
  ...segmentRegisters, ...descriptorTables, ...system, ...protection, ...inputOutput, ...stateSave,
  ...mmxMoves, ...sseMoves, ...sseArithmetic, ...sseCompare, ...sseConversions,
  ...sse2Integer, ...sse2Logic, ...sse2Shuffles,
  ...sse3, ...ssse3, ...sse41Integer, ...sse41Lanes, ...sse41Float, ...sse42, ...crypto,
  ...avxFromSse, ...avx, ...avxLanes, ...avxMemory, ...f16c, ...fma,
];
