/** Checks types twice: the core without any host's types, then everything with those of Node.js. */
import { spawnSync } from "node:child_process";
import path from "node:path";
import process from "node:process";

const ROOT = path.resolve(import.meta.dirname, "..");
let failed = false;
for (const project of ["tsconfig.core.json", "tsconfig.json"]) {
  const compiler = path.join(ROOT, "node_modules", "typescript", "bin", "tsc");
  const { status } = spawnSync(process.execPath, [compiler, "-p", project], { cwd: ROOT, stdio: "inherit" });
  failed ||= status !== 0;
}
process.exit(failed ? 1 : 0);
