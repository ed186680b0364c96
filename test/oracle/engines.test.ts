import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Instruction } from "../../src/isa/instruction.ts";
import { INSTRUCTIONS } from "../../src/isa/instructions/all.ts";
import { Generator } from "./generate.ts";
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

// The translator compiles a module for every case, so it gets fewer.
const ENGINES = [
  { name: "the interpreter", open: openInterpreterTarget, count: 100_000, vectors: recorded },
  { name: "the translator", open: openTranslatorTarget, count: 15_000, vectors: [] },
] as const;

describe.skipIf(noInterpreter !== undefined).each(ENGINES)("$name", ({ open, count, vectors }) => {
  let engine: ExecutionTarget;
  beforeAll(async () => {
    engine = await open();
  });
  afterAll(async () => {
    await engine.close();
  });

  test.skipIf(noJudge !== undefined)(
    `does what the host's processor does in ${count} random cases`,
    async () => {
      const native = await openNativeTarget();
      const texts: string[] = [];
      const report = await judgeCases(new Generator(table, { seed: 20_261_122 }), native, engine, {
        count,
        maxDisagreements: 10,
        perForm: 1,
        everyFlag: false,
        onDisagreement: (text) => texts.push(text),
      });
      await native.close();
      expect(texts.join("\n\n")).toBe("");
      expect(report.cases).toBe(count);
    },
  );

  test.each(vectors)("does what the processor that %s was recorded on did", async (name) => {
    const { differing, texts } = await replayVectors(readVectors(join(VECTORS, name)), engine, 10);
    expect(texts.join("\n\n")).toBe("");
    expect(differing).toBe(0);
  });
});
