/**
 * `npm run bench`: runs vmbench natively, under QEMU TCG and under Ringfence, and prints the table of
 * docs/performance.md. Arguments go to bench/compare.py; `--help` there tells which.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";

const ROOT = path.resolve(import.meta.dirname, "..");
const CACHE = process.env["XDG_CACHE_HOME"] ?? path.join(os.homedir(), ".cache");
const FOLDER = path.join(CACHE, "ringfence", "bench");

function run(command: string, args: readonly string[]): void {
  const { status, error } = spawnSync(command, args, { stdio: "inherit", cwd: ROOT });
  if (error !== undefined) console.error(`ringfence: cannot run ${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 2);
}

if (!existsSync(path.join(FOLDER, "initrd.gz"))) {
  console.error(`ringfence: preparing ${FOLDER} from Debian's packages`);
  mkdirSync(FOLDER, { recursive: true });
  run("bash", [path.join(ROOT, "bench", "prepare.sh"), FOLDER]);
}
run("python3", [
  path.join(ROOT, "bench", "compare.py"),
  FOLDER,
  "--ours-scale",
  "0.05",
  ...process.argv.slice(2),
]);
