/**
 * A process that knows a module by its wire bytes and, where that is given, by its machine code.
 *
 *     node test/host/module-code-process.ts WIRE-BYTES CODE
 *
 * Where the file CODE exists, the module is made with it. Otherwise its loop runs until V8 has optimised it, and CODE is written.
 * Prints in JSON whether the loop was optimised before its first call, and what it gives.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import { moduleCode } from "../../src/host/node/module-code.ts";

const [wireFile, codeFile] = process.argv.slice(2) as [string, string];
const wireBytes = new Uint8Array(readFileSync(wireFile));
const addon = moduleCode()!;
const isKnown = existsSync(codeFile);
const module = isKnown
  ? addon.deserialize(wireBytes, readFileSync(codeFile))!
  : new WebAssembly.Module(wireBytes);
const wasOptimised = addon.serialize(module) !== undefined;
const { loop } = new WebAssembly.Instance(module).exports as { loop: (turns: number) => number };
const result = loop(1000);
if (!isKnown) {
  let code: Uint8Array | undefined;
  while (code === undefined) {
    for (let i = 0; i < 10; i++) loop(1_000_000);
    await setTimeout(5);
    code = addon.serialize(module);
  }
  writeFileSync(codeFile, code);
}
console.log(JSON.stringify({ wasOptimised, result }));
