// C programs that execute instructions on this processor, where it is an x86-64 and gcc is there.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";

const SOURCES = path.join(import.meta.dirname, "native");

/** Why native programs cannot run here, or undefined when they can. */
export function nativeObstacle(): string | undefined {
  if (process.arch !== "x64") return `the host is ${process.arch}, not x86-64`;
  if (process.platform !== "linux") return "the native programs are written for Linux";
  if (spawnSync("gcc", ["--version"]).status !== 0) return "gcc is not installed";
  return undefined;
}

/** Compiles native/<name>.c and returns the path of the program. */
export function compileNative(name: string): string {
  const program = path.join(mkdtempSync(path.join(os.tmpdir(), "ringfence-float-")), name);
  const { status, stderr } = spawnSync(
    "gcc",
    ["-O1", "-mno-red-zone", "-o", program, path.join(SOURCES, `${name}.c`)],
    { encoding: "utf8" },
  );
  if (status !== 0 || !existsSync(program)) throw new Error(`gcc: ${stderr}`);
  return program;
}

/** The records that a program writes for an operation. */
export function nativeRecords(
  program: string,
  operation: string,
  seed: number,
  count: number,
): DataView<ArrayBuffer> {
  const outcome = spawnSync(program, [operation, `${seed}`, `${count}`], { maxBuffer: 1 << 30 });
  if (outcome.status !== 0) throw new Error(`${program} ${operation}: status ${outcome.status}`);
  const bytes = new Uint8Array(outcome.stdout);
  return new DataView(bytes.buffer);
}

/** Records per operation; RINGFENCE_FLOAT_RECORDS asks for a longer run. */
export const RECORDS = Number(process.env["RINGFENCE_FLOAT_RECORDS"] ?? 20_000);
