/**
 * Compiles src/host/node/native (C++) to build/native, when it is missing or older than its source, with the compiler of this
 * computer and the headers of the Node.js that runs this.
 *
 *     node tools/build-native.ts [--force]
 *
 * Ringfence does without it, slower. So where it cannot be built, this says why in a line and succeeds.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { ROOT } from "../src/host/node/bundle.ts";
import { MODULE_CODE_ADDON } from "../src/host/node/module-code.ts";

const SOURCE = path.join(ROOT, "src", "host", "node", "native", "module-code.cc");
const COMPILERS = ["c++", "g++", "clang++"];
/** As V8 itself is compiled: what its headers declare depends on some of them. */
const OPTIONS = ["-std=c++20", "-O2", "-fPIC", "-shared", "-fno-exceptions", "-fno-rtti", "-Wall"];

/** True when the addon is there for this Node.js and its source has not been written since. */
export function nativeIsCurrent(): boolean {
  return existsSync(MODULE_CODE_ADDON) && statSync(MODULE_CODE_ADDON).mtimeMs >= statSync(SOURCE).mtimeMs;
}

/** Compiles; returns why that could not be done. */
export function buildNative(): string | undefined {
  if (process.platform !== "linux") return `it is made for Linux, and this is ${process.platform}`;
  const headers = findHeaders();
  if (headers === undefined) return `the headers of Node.js ${process.version} are not there`;
  mkdirSync(path.dirname(MODULE_CODE_ADDON), { recursive: true });
  // Renamed when it is whole: two builds at once, or a machine that starts meanwhile, do not meet.
  const staging = `${MODULE_CODE_ADDON}.${process.pid}`;
  try {
    for (const compiler of COMPILERS) {
      const args = [...OPTIONS, "-isystem", headers, SOURCE, "-o", staging];
      const { error, status, stderr } = spawnSync(compiler, args, { encoding: "utf8" });
      if (error !== undefined) continue;
      if (status !== 0) return `${compiler} refuses its source: ${firstError(stderr)}`;
      renameSync(staging, MODULE_CODE_ADDON);
      return undefined;
    }
    return `there is no C++ compiler (${COMPILERS.join(", ")})`;
  } finally {
    rmSync(staging, { force: true });
  }
}

/** Headers of the very version that runs this: beside its binary, or in the package that the npm package `node` brings. */
function findHeaders(): string | undefined {
  const packageName = `node-${process.platform}-${process.arch}`;
  const candidates = [
    path.join(path.dirname(process.execPath), "..", "include", "node"),
    path.join(ROOT, "node_modules", "node", "node_modules", packageName, "include", "node"),
    path.join(ROOT, "node_modules", packageName, "include", "node"),
  ];
  return candidates.find((folder) => versionOf(folder) === process.version);
}

function versionOf(headers: string): string | undefined {
  const file = path.join(headers, "node_version.h");
  if (!existsSync(file)) return undefined;
  const text = readFileSync(file, "utf8");
  const part = (name: string) => new RegExp(`#define NODE_${name}_VERSION (\\d+)`).exec(text)?.[1];
  return `v${["MAJOR", "MINOR", "PATCH"].map(part).join(".")}`;
}

const firstError = (stderr: string): string =>
  stderr.split("\n").find((line) => line.includes("error")) ?? stderr.trim();

function main(): void {
  if (!process.argv.includes("--force") && nativeIsCurrent()) return;
  const reason = failure();
  if (reason === undefined) return;
  console.error(
    `ringfence: V8's machine code is not kept from one run to the next, as its addon is not built: ${reason}`,
  );
}

function failure(): string | undefined {
  try {
    return buildNative();
  } catch (error) {
    return String(error);
  }
}

if (import.meta.main) main();
