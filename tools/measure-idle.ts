/**
 * Boots the default guest, leaves it alone at its shell, and prints what that costs the host. Linux only.
 *
 *     node tools/measure-idle.ts [SECONDS]     # 60 by default
 */
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";

const PROGRAM = path.resolve(import.meta.dirname, "..", "src", "cli", "main.ts");
const SETTLE_MS = 5000;

/** CPU time of all threads. */
function cpuSeconds(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const nanoseconds = threads.map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]),
  );
  return nanoseconds.reduce((sum, one) => sum + one, 0) / 1e9;
}

function peakMegabytes(pid: number): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) / 1024;
}

async function main(): Promise<void> {
  const seconds = Number(process.argv[2] ?? 60);
  const child = spawn(process.execPath, [PROGRAM, "run"], { stdio: ["pipe", "pipe", "inherit"] });
  const pid = child.pid ?? 0;
  let output = "";
  const prompted = new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding("latin1").on("data", (text: string) => {
      output += text;
      if (output.includes("root@ringfence:")) resolve();
    });
    child.on("error", reject);
    child.on("close", () => reject(new Error(`the guest ended before its shell came:\n${output}`)));
  });
  await prompted;
  console.log(`boot to the shell: ${cpuSeconds(pid).toFixed(2)} s of CPU time`);
  await sleep(SETTLE_MS);
  const [cpuBefore, before] = [cpuSeconds(pid), performance.now()];
  await sleep(seconds * 1000);
  const share = (cpuSeconds(pid) - cpuBefore) / ((performance.now() - before) / 1000);
  console.log(`idle at the shell for ${seconds} s: ${(100 * share).toFixed(2)} % of a core`);
  console.log(`peak resident memory: ${peakMegabytes(pid).toFixed(0)} MB`);
  child.removeAllListeners("close");
  child.kill();
}

await main();
