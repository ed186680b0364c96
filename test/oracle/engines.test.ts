import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FormCoverage } from "./form-coverage.ts";
import { interpreterUnavailable, openInterpreterTarget, openTranslatorTarget } from "./interpreter-target.ts";
import { judgeCases } from "./judge.ts";
import { nativeUnavailable, openNativeTarget } from "./native-target.ts";
import { CASES_PER_PIECE, pieceGenerator } from "./pieces.ts";
import type { ExecutionTarget } from "./target.ts";
import { readVectors, replayVectors } from "./vectors.ts";

const VECTORS = join(import.meta.dirname, "vectors");
const recorded = existsSync(VECTORS) ? readdirSync(VECTORS).filter((name) => name.endsWith(".br")) : [];
const noInterpreter = interpreterUnavailable();
const noJudge = nativeUnavailable();
for (const reason of [noInterpreter, noJudge])
  if (reason !== undefined) console.warn(`oracle tests skipped: ${reason}`);

/** How long the engines together are compared with the processor; a longer run: RINGFENCE_ORACLE_SECONDS=3600. */
const SECONDS = Number(process.env["RINGFENCE_ORACLE_SECONDS"] ?? 300);
/**
 * The same cases in every run, those of the campaign's pieces (docs/fidelity.md): where they differ, it is the change
 * under test that does it. What was never tried is the campaign's to find (campaign.ts).
 */
const SEED = Number(process.env["RINGFENCE_ORACLE_SEED"] ?? 1);
/** So many are compared on however slow a machine. */
const LEAST_CASES = 32_768;

const ENGINES = [
  { name: "the interpreter", open: openInterpreterTarget, vectors: recorded },
  { name: "the translator", open: openTranslatorTarget, vectors: [] },
] as const;

describe.skipIf(noInterpreter !== undefined).each(ENGINES)("$name", ({ open, vectors }) => {
  const seconds = SECONDS / ENGINES.length;
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
      const coverage = new FormCoverage();
      let instructions = 0;
      const end = performance.now() + 1000 * seconds;
      let seed = SEED;
      do {
        const generator = pieceGenerator(engine.name, seed);
        const report = await judgeCases(generator, native, engine, {
          count: CASES_PER_PIECE,
          isOver: (cases) => cases >= LEAST_CASES && performance.now() >= end,
          maxDisagreements: 10,
          perForm: 1,
          everyFlag: false,
          onDisagreement: (text) => texts.push(`seed ${seed}: ${text}`),
        });
        instructions += report.instructions;
        coverage.add(generator, report);
        seed++;
      } while (performance.now() < end && texts.length === 0);
      await native.close();
      console.log(
        [`seeds ${SEED} to ${seed - 1}: ${instructions} instructions`, ...coverage.lines()].join("\n"),
      );
      expect(texts.join("\n\n")).toBe("");
      expect(instructions).toBeGreaterThan(60_000);
      expect(coverage.completed).toBeGreaterThan(1000);
    },
  );

  test.each(vectors)("does what the processor that %s was recorded on did", async (name) => {
    const { differing, texts } = await replayVectors(readVectors(join(VECTORS, name)), engine, 10);
    expect(texts.join("\n\n")).toBe("");
    expect(differing).toBe(0);
  });
});
