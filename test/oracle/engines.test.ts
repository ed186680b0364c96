import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Instruction } from "../../src/isa/instruction.ts";
import { INSTRUCTIONS } from "../../src/isa/instructions/all.ts";
import { Generator, MAX_INSTRUCTIONS } from "./generate.ts";
import { interpreterUnavailable, openInterpreterTarget, openTranslatorTarget } from "./interpreter-target.ts";
import { judgeCases } from "./judge.ts";
import { nativeUnavailable, openNativeTarget } from "./native-target.ts";
import type { ExecutionTarget } from "./target.ts";
import { readVectors, replayVectors } from "./vectors.ts";

const VECTORS = join(import.meta.dirname, "vectors");
const table = INSTRUCTIONS as readonly Instruction[];
const recorded = existsSync(VECTORS) ? readdirSync(VECTORS).filter((name) => name.endsWith(".br")) : [];
const noInterpreter = interpreterUnavailable();
const noJudge = nativeUnavailable();
for (const reason of [noInterpreter, noJudge])
  if (reason !== undefined) console.warn(`oracle tests skipped: ${reason}`);

/** How long the engines together are compared with the processor; a longer run: RINGFENCE_ORACLE_SECONDS=3600. */
const SECONDS = Number(process.env["RINGFENCE_ORACLE_SECONDS"] ?? 150);
/** Every run has seeds of its own, so that CI's runs add up; a run is repeated with the seed that it prints. */
const SEED = Number(process.env["RINGFENCE_ORACLE_SEED"] ?? Math.floor(Date.now() / 1000));
/** Cases between two looks at the clock. */
const CASES_PER_PIECE = 8192;

// Compiling is most of what a case costs the translator, so more of its cases share their instructions.
const ENGINES = [
  {
    name: "the interpreter",
    open: openInterpreterTarget,
    variants: 4,
    seconds: SECONDS / 2,
    vectors: recorded,
  },
  { name: "the translator", open: openTranslatorTarget, variants: 16, seconds: SECONDS / 2, vectors: [] },
] as const;

describe.skipIf(noInterpreter !== undefined).each(ENGINES)(
  "$name",
  ({ open, variants, seconds, vectors }) => {
    let engine: ExecutionTarget;
    beforeAll(async () => {
      engine = await open();
    });
    afterAll(async () => {
      await engine.close();
    });

    test.skipIf(noJudge !== undefined)(
      `does what the host's processor does, for ${seconds} s of random instructions`,
      { timeout: 4000 * seconds + 300_000 },
      async () => {
        const native = await openNativeTarget();
        const texts: string[] = [];
        const completed = new Set<number>();
        let instructions = 0;
        const end = performance.now() + 1000 * seconds;
        let seed = SEED;
        // At least one piece: a fixed number of instructions on however slow a machine.
        do {
          const generator = new Generator(table, { seed, maxInstructions: MAX_INSTRUCTIONS, variants });
          const report = await judgeCases(generator, native, engine, {
            count: CASES_PER_PIECE,
            maxDisagreements: 10,
            perForm: 1,
            everyFlag: false,
            onDisagreement: (text) => texts.push(`seed ${seed}: ${text}`),
          });
          instructions += report.instructions;
          for (const form of report.completed) completed.add(form);
          seed++;
        } while (performance.now() < end && texts.length === 0);
        await native.close();
        console.log(
          `seeds ${SEED} to ${seed - 1}: ${instructions} instructions, ${completed.size} forms to their end`,
        );
        expect(texts.join("\n\n")).toBe("");
        expect(instructions).toBeGreaterThan(60_000);
        expect(completed.size).toBeGreaterThan(1000);
      },
    );

    test.each(vectors)("does what the processor that %s was recorded on did", async (name) => {
      const { differing, texts } = await replayVectors(readVectors(join(VECTORS, name)), engine, 10);
      expect(texts.join("\n\n")).toBe("");
      expect(differing).toBe(0);
    });
  },
);
