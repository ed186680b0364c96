import { execFileSync } from "node:child_process";
import { setTimeout } from "node:timers/promises";
import v8 from "node:v8";
import { expect, test } from "vitest";
import { compileRegions } from "../../src/host/node/compile-regions.ts";
import { loopModule } from "./loop-module.ts";

v8.setFlagsFromString("--allow-natives-syntax");
const isUnoptimised = new Function("f", "return %IsLiftoffFunction(f)") as (f: unknown) => boolean;

/** A function that goes round a loop so often; `constant` makes its module another one. */
function loop(constant: number, budget: number): (turns: number) => number {
  const { exports } = new WebAssembly.Instance(compileRegions(loopModule(constant), budget));
  return exports["loop"] as (turns: number) => number;
}

async function isOptimised(f: unknown): Promise<boolean> {
  for (let i = 0; i < 100 && isUnoptimised(f); i++) await setTimeout(20);
  return !isUnoptimised(f);
}

test("V8 has the budget that is put back", () => {
  const options = execFileSync(process.execPath, ["--v8-options"], { encoding: "utf8" });
  expect(options).toContain("default: --wasm-tiering-budget=13000000");
});

test("a module is optimised when its budget is used up, and those after it when the usual one is", async () => {
  const patient = loop(1, 1e9);
  const usual = loop(2, 0);
  for (const f of [patient, usual]) for (let i = 0; i < 10; i++) f(1_000_000);
  expect(await isOptimised(usual)).toBe(true);
  expect(isUnoptimised(patient)).toBe(true);
  for (let i = 0; i < 200; i++) patient(1_000_000);
  expect(await isOptimised(patient)).toBe(true);
});
