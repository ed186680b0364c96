import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { SavedHandlers } from "../../interpret/interpreter-cache.ts";
import { FunctionBuilder } from "../../wasm/function-builder.ts";
import { ModuleWriter } from "../../wasm/module-writer.ts";
import { InterpreterCacheFile } from "./interpreter-cache-file.ts";
import type { ModuleCode } from "./module-code.ts";

let folder = "";
let file = "";
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "interpreter-"));
  file = path.join(folder, "a.modules");
});
afterEach(() => rmSync(folder, { recursive: true }));

/** In V8's place: code is bytes of our choice, and what was taken back is noted. */
class Compiler implements ModuleCode {
  readonly version = "1";
  codeBytes = 1000;
  readonly taken: number[] = [];

  serialize(): Uint8Array<ArrayBuffer> | undefined {
    return this.codeBytes === 0 ? undefined : new Uint8Array(this.codeBytes).fill(7);
  }

  deserialize(wireBytes: Uint8Array<ArrayBuffer>, code: Uint8Array): WebAssembly.Module {
    expect([code[0], code.at(-1)]).toEqual([7, 7]);
    this.taken.push(code.length);
    return new WebAssembly.Module(wireBytes);
  }
}

/** A module with a function that gives a number. */
function moduleOf(result: number): Uint8Array<ArrayBuffer> {
  const b = new FunctionBuilder({ params: [], results: ["i32"] });
  b.return(b.i32(result));
  const module = new ModuleWriter();
  const ref = module.declareFunction("give", b.type);
  module.defineFunction(ref, b);
  module.exportFunction("give", ref);
  return module.finish();
}

function give(module: WebAssembly.Module): number {
  const { give: call } = new WebAssembly.Instance(module).exports as unknown as { give: () => number };
  return call();
}

/** A run that compiles the modules of some numbers; the bytes of code that it took from the file. */
function run(numbers: readonly number[], codeBytes = 1000): readonly number[] {
  const compiler = new Compiler();
  compiler.codeBytes = codeBytes;
  const cache = new InterpreterCacheFile(file, compiler);
  for (const number of numbers) expect(give(cache.compile(moduleOf(number)))).toBe(number);
  cache.close();
  return compiler.taken;
}

const handlers = (key: string): SavedHandlers => ({
  key,
  shapes: Int32Array.of(20, 1, 21, 2),
  inlineShapes: 1,
  nextHandler: 22,
  runModule: moduleOf(1),
  handlerModules: [moduleOf(2), moduleOf(3)],
});

describe("a file of what is kept of the interpreter", () => {
  test("has the code of the modules that were compiled, and leaves no other file behind", () => {
    expect(run([1, 2])).toEqual([]);
    expect(run([1, 2, 3])).toEqual([1000, 1000]);
    expect(run([3])).toEqual([1000]);
    expect(readdirSync(folder)).toEqual(["a.modules"]);
  });

  test("has no code of modules of which nothing was optimised", () => {
    run([1], 0);
    expect(existsSync(file)).toBe(false);
  });

  test("is written again when there is noticeably more code", () => {
    run([1, 2]);
    const before = readFileSync(file);
    expect(run([1, 2], 1010)).toEqual([1000, 1000]);
    expect(readFileSync(file)).toEqual(before);
    run([1], 1500);
    expect(run([1, 2])).toEqual([1500, 1000]);
  });

  test("keeps what another process has written meanwhile", () => {
    const slow = new InterpreterCacheFile(file, new Compiler());
    slow.compile(moduleOf(1));
    run([2]);
    slow.close();
    expect(run([1, 2])).toEqual([1000, 1000]);
  });

  test("keeps handlers by their key, with and without machine code", () => {
    for (const compiler of [undefined, new Compiler()]) {
      const cache = new InterpreterCacheFile(file, compiler);
      cache.saveAtEnd(() => handlers("one"));
      cache.saveAtEnd(() => undefined);
      cache.close();
      const next = new InterpreterCacheFile(file, compiler);
      const found = next.handlers("one")!;
      expect({ ...found, runModule: Uint8Array.from(found.runModule) }).toMatchObject({
        ...handlers("one"),
        handlerModules: [expect.anything(), expect.anything()],
      });
      expect(found.handlerModules.map((bytes) => give(next.compile(bytes)))).toEqual([2, 3]);
      expect(next.handlers("two")).toBeUndefined();
      next.close();
      rmSync(file);
    }
  });

  test("does without what is damaged, cut short or somebody else's", () => {
    run([1]);
    const whole = readFileSync(file);
    for (const at of [0, 12, 20, 30, 100, whole.length - 1]) {
      const damaged = Uint8Array.from(whole);
      damaged[at]! ^= 4;
      writeFileSync(file, damaged);
      expect(run([1], 0)).toEqual([]);
    }
    for (const length of [0, 10, 40, whole.length - 1]) {
      writeFileSync(file, whole.subarray(0, length));
      expect(run([1], 0)).toEqual([]);
    }
    writeFileSync(file, whole);
    expect(run([1], 0)).toEqual([1000]);
    chmodSync(file, 0o622);
    expect(run([1], 0)).toEqual([]);
  });

  test("forgets what was not used lately when it becomes too large", () => {
    const large = 12 << 20;
    run([1], large);
    run([2], large);
    run([1, 3], large);
    expect(run([1, 2, 3], 0)).toEqual([large, large]);
  });
});
