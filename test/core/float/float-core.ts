// The floating point part of the core alone, compiled from its sources as they are now.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { CPU_STATE } from "../../../src/layout/memory-map.ts";

const ROOT = path.resolve(import.meta.dirname, "../../..");

/** The core's exports: 32-bit values are numbers (signed), 64-bit values are bigints. */
export type FloatFunction = (...values: (number | bigint)[]) => number | bigint;

export interface FloatCore {
  readonly functions: Readonly<Record<string, FloatFunction>>;
  readonly memory: DataView;
  /** Reads an i32 of the processor state. */
  read(offset: number): number;
  write(offset: number, value: number): void;
}

export function loadFloatCore(): FloatCore {
  const folder = mkdtempSync(path.join(ROOT, "build", "float-"));
  try {
    const outFile = path.relative(ROOT, path.join(folder, "float.wasm"));
    const textFile = path.relative(ROOT, path.join(folder, "float.wat"));
    const outcome = spawnSync(
      process.execPath,
      [
        path.join(ROOT, "node_modules", "assemblyscript", "bin", "asc.js"),
        "src/core/float/exports.ts",
        ...["--config", "src/core/asconfig.json", "--outFile", outFile, "--textFile", textFile],
      ],
      { cwd: ROOT, encoding: "utf8" },
    );
    if (outcome.status !== 0) throw new Error(outcome.stderr);
    return instantiate(readFileSync(path.join(ROOT, outFile)));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function instantiate(binary: Uint8Array<ArrayBuffer>): FloatCore {
  const memory = new WebAssembly.Memory({ initial: 1024, maximum: 65536, shared: true });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(binary), { env: { memory } });
  const functions = instance.exports as Record<string, FloatFunction>;
  functions["initialize"]?.();
  const view = new DataView(memory.buffer);
  return {
    functions,
    memory: view,
    read: (offset) => view.getInt32(CPU_STATE + offset, true),
    write: (offset, value) => view.setInt32(CPU_STATE + offset, value, true),
  };
}
