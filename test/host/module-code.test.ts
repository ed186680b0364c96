import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setImmediate } from "node:timers/promises";
import v8 from "node:v8";
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MODULE_CODE_ADDON, type ModuleCode, moduleCode } from "../../src/host/node/module-code.ts";
import { loopModule } from "./loop-module.ts";

type Loop = (turns: number) => number;

const loopOf = (module: WebAssembly.Module) =>
  new WebAssembly.Instance(module).exports as unknown as { loop: Loop };

const isBuilt = existsSync(MODULE_CODE_ADDON);
const why = isBuilt
  ? ""
  : ` (skipped: tools/build-native.ts has not built ${path.basename(MODULE_CODE_ADDON)})`;

describe.skipIf(!isBuilt)(`machine code of modules${why}`, () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "ringfence-module-code-"));
  const wireFile = path.join(folder, "loop.wasm");
  const codeFile = path.join(folder, "loop.code");
  const wireBytes = loopModule(7);
  let addon: ModuleCode;
  let code: Uint8Array;

  /** Another process; the first of them leaves the code. */
  function runProcess(): unknown {
    const script = path.join(import.meta.dirname, "module-code-process.ts");
    return JSON.parse(execFileSync(process.execPath, [script, wireFile, codeFile], { encoding: "utf8" }));
  }

  beforeAll(() => {
    addon = moduleCode()!;
    writeFileSync(wireFile, wireBytes);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("another process takes over what one has optimised", () => {
    expect(runProcess()).toEqual({ wasOptimised: false, result: 500_507 });
    code = readFileSync(codeFile);
    expect(runProcess()).toEqual({ wasOptimised: true, result: 500_507 });
  });

  test("a module of which nothing has been optimised has no code", () => {
    const module = new WebAssembly.Module(loopModule(8));
    expect(addon.serialize(module)).toBeUndefined();
    expect(loopOf(module).loop(3)).toBe(14);
    expect(addon.serialize(module)).toBeUndefined();
  });

  test("wire bytes and code may lie in shared memory", () => {
    const shared = (bytes: Uint8Array) => {
      const copy = new Uint8Array(new SharedArrayBuffer(bytes.length + 3), 3);
      copy.set(bytes);
      return copy;
    };
    expect(loopOf(addon.deserialize(shared(wireBytes), shared(code))!).loop(3)).toBe(13);
  });

  test("what is damaged, cut short or another module's is refused", () => {
    for (let at = 0; at < code.length; at += 7) {
      const damaged = Uint8Array.from(code);
      damaged[at]! ^= 1 << (at % 8);
      expect(addon.deserialize(wireBytes, damaged)).toBeUndefined();
    }
    for (let length = 0; length < code.length; length += 5)
      expect(addon.deserialize(wireBytes, code.subarray(0, length))).toBeUndefined();
    expect(addon.deserialize(wireBytes, new Uint8Array(100))).toBeUndefined();
    expect(addon.deserialize(loopModule(9), code)).toBeUndefined();
    expect(loopOf(addon.deserialize(wireBytes, code)!).loop(3)).toBe(13);
  });

  test("V8 refuses what was made with other options, and compiles the module as ever", async () => {
    const another = loopModule(10);
    const module = new WebAssembly.Module(another);
    const { loop } = loopOf(module);
    let mine = addon.serialize(module);
    for (; mine === undefined; mine = addon.serialize(module)) {
      for (let i = 0; i < 10; i++) loop(1_000_000);
      await setImmediate();
    }
    v8.setFlagsFromString("--wasm-tiering-budget=12000000");
    try {
      expect(addon.deserialize(another, mine)).toBeUndefined();
      expect(loopOf(new WebAssembly.Module(another)).loop(3)).toBe(16);
      for (let i = 0; i < 20; i++) await setImmediate();
    } finally {
      v8.setFlagsFromString("--wasm-tiering-budget=13000000");
    }
    expect(loopOf(addon.deserialize(another, mine)!).loop(3)).toBe(16);
  });

  test("a thread has it too", async () => {
    const source = `
      const { parentPort, workerData } = require("node:worker_threads");
      import(workerData.file).then(({ moduleCode }) => {
        const module = moduleCode().deserialize(workerData.wireBytes, workerData.code);
        parentPort.postMessage(new WebAssembly.Instance(module).exports.loop(3));
      });`;
    const file = path.resolve(import.meta.dirname, "../../src/host/node/module-code.ts");
    const worker = new Worker(source, { eval: true, execArgv: [], workerData: { file, wireBytes, code } });
    const answer = await new Promise((resolve, reject) => worker.on("message", resolve).on("error", reject));
    expect(answer).toBe(13);
  });
});
