/** Checks types four times: the core without any host's types, what runs in a browser, then everything with those of Node.js. */
import { spawnSync } from "node:child_process";
import path from "node:path";
import process from "node:process";

const ROOT = path.resolve(import.meta.dirname, "..");
const PROJECTS = ["tsconfig.core.json", "tsconfig.worker.json", "tsconfig.page.json", "tsconfig.json"];
let failed = false;

for (const project of PROJECTS) {
  const compiler = path.join(ROOT, "node_modules", "typescript", "bin", "tsc");
  const { status } = spawnSync(process.execPath, [compiler, "-p", project], { cwd: ROOT, stdio: "inherit" });
  failed ||= status !== 0;
}
process.exit(failed ? 1 : 0);
