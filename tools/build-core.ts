/**
 * Compiles src/core (AssemblyScript) to build/core.wasm, when it is missing or older than its sources.
 *
 *     node tools/build-core.ts [--force]
 *
 * "Older" is told by a hash of the sources and of the compiler's version, so a fresh clone, a branch switch and a
 * new compiler are all noticed. The flags of the compiler are in src/core/asconfig.json.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import process from "node:process";

const ROOT = path.resolve(import.meta.dirname, "..");
const BUILD = path.join(ROOT, "build");
const COMPILER = path.join(ROOT, "node_modules", "assemblyscript");
const WASM = path.join(BUILD, "core.wasm");
const STAMP = path.join(BUILD, "core.sources.sha256");

/** True when build/core.wasm is what the present sources and compiler give. */
export function coreIsCurrent(): boolean {
  if (!existsSync(WASM) || !existsSync(STAMP)) return false;
  return readFileSync(STAMP, "utf8").trim() === hashSources();
}

/** Compiles; returns the compiler's messages when it refuses. */
export function buildCore(): string | undefined {
  const hash = hashSources();
  mkdirSync(BUILD, { recursive: true });
  // A name of its own, so that two builds at once do not write into each other's files.
  const staging = mkdtempSync(path.join(BUILD, "core-"));
  try {
    const outcome = spawnSync(
      process.execPath,
      [
        path.join(COMPILER, "bin", "asc.js"),
        "src/core/index.ts",
        ...["--config", "src/core/asconfig.json"],
        ...["--outFile", path.relative(ROOT, path.join(staging, "core.wasm"))],
        ...["--textFile", path.relative(ROOT, path.join(staging, "core.wat"))],
      ],
      { cwd: ROOT, encoding: "utf8" },
    );
    if (outcome.status !== 0) return `${outcome.stdout}${outcome.stderr}`.trim();
    renameSync(path.join(staging, "core.wat"), path.join(BUILD, "core.wat"));
    renameSync(path.join(staging, "core.wasm"), WASM);
    writeFileSync(STAMP, `${hash}\n`);
    return undefined;
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

function hashSources(): string {
  const hash = createHash("sha256");
  for (const folder of ["src/core", "src/layout"]) {
    const names = readdirSync(path.join(ROOT, folder), { recursive: true, encoding: "utf8" });
    for (const name of names.filter((n) => /\.(ts|json)$/.test(n)).sort()) {
      hash
        .update(`${folder}/${name}\0`)
        .update(readFileSync(path.join(ROOT, folder, name)))
        .update("\0");
    }
  }
  const compiler: unknown = JSON.parse(readFileSync(path.join(COMPILER, "package.json"), "utf8"));
  hash.update(JSON.stringify((compiler as { version: string }).version));
  return hash.digest("hex");
}

function main(): void {
  if (!existsSync(path.join(COMPILER, "bin", "asc.js"))) {
    if (existsSync(WASM)) return;
    console.error("ringfence: the AssemblyScript compiler is missing; run npm ci");
    process.exit(8);
  }
  if (!process.argv.includes("--force") && coreIsCurrent()) return;
  const refusal = buildCore();
  if (refusal === undefined) return;
  console.error(refusal);
  console.error("ringfence: src/core does not compile");
  process.exit(8);
}

if (import.meta.main) main();
