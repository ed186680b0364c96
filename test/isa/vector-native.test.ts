// SSE, SSE2 and MMX in the interpreter against this processor: random operands, memory, MXCSR and x87 state.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Instruction } from "../../src/isa/instruction.ts";
import { mmxMoves } from "../../src/isa/instructions/mmx-moves.ts";
import { sseArithmetic } from "../../src/isa/instructions/sse-arithmetic.ts";
import { sseCompare } from "../../src/isa/instructions/sse-compare.ts";
import { sseConversions } from "../../src/isa/instructions/sse-conversions.ts";
import { sseMoves } from "../../src/isa/instructions/sse-moves.ts";
import { sse2Integer } from "../../src/isa/instructions/sse2-integer.ts";
import { sse2Logic } from "../../src/isa/instructions/sse2-logic.ts";
import { sse2Shuffles } from "../../src/isa/instructions/sse2-shuffles.ts";
import { Generator } from "../oracle/generate.ts";
import { interpreterUnavailable, openInterpreterTarget } from "../oracle/interpreter-target.ts";
import { judgeCases } from "../oracle/judge.ts";
import { type NativeTarget, nativeUnavailable, openNativeTarget } from "../oracle/native-target.ts";
import type { ExecutionTarget } from "../oracle/target.ts";

const FAMILIES: readonly (readonly [string, readonly Instruction[]])[] = [
  // A MASKMOVQ that faults marks the x87 registers as full on AMD processors, which the interpreter does not.
  ["MMX moves", mmxMoves.filter((i) => i.mnemonic !== "maskmovq")],
  ["SSE moves", sseMoves],
  ["floating-point arithmetic", sseArithmetic],
  ["floating-point comparisons", sseCompare],
  ["conversions", sseConversions],
  ["integer arithmetic", sse2Integer],
  ["logic and shifts", sse2Logic],
  ["shuffles", sse2Shuffles],
];

/** Cases per family; RINGFENCE_ORACLE_CASES asks for a longer run. */
const CASES = Number(process.env["RINGFENCE_ORACLE_CASES"] ?? 20_000);
const obstacle = nativeUnavailable() ?? interpreterUnavailable();

describe.skipIf(obstacle !== undefined)(
  `vector instructions agree with the processor${obstacle ? ` (skipped: ${obstacle})` : ""}`,
  () => {
    let native: NativeTarget;
    let interpreter: ExecutionTarget;
    beforeAll(async () => {
      native = await openNativeTarget();
      interpreter = await openInterpreterTarget();
    });
    afterAll(async () => {
      await native.close();
      await interpreter.close();
    });

    test.each(FAMILIES)("%s: every form runs to its end and none differs", async (_name, table) => {
      const generator = new Generator(table, { seed: 1, maxInstructions: 2 });
      const texts: string[] = [];
      const report = await judgeCases(generator, native, interpreter, {
        count: CASES,
        maxDisagreements: 5,
        perForm: 1,
        everyFlag: false,
        onDisagreement: (text) => texts.push(text),
      });
      expect(texts).toEqual([]);
      expect(report.disagreements).toBe(0);
      expect(generator.shapes.filter((s) => !report.completed.has(s.index)).map((s) => s.text)).toEqual([]);
    });
  },
);
