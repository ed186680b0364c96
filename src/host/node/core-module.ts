import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { ROOT } from "./bundle.ts";

/** Where the compiled src/core is. */
export const CORE_WASM = path.join(ROOT, "build", "core.wasm");

/** Compiles src/core when that has not been done yet. What the compiler complains about goes to standard error. */
export function ensureCore(): void {
  if (existsSync(CORE_WASM)) return;
  const builder = path.join(ROOT, "tools", "build-core.ts");
  const { status } = spawnSync(process.execPath, [builder], { stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) throw new Error(`${CORE_WASM} is missing and cannot be built; run npm ci`);
}
