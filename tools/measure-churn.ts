/**
 * Runs a guest that compiles, links and runs other programs all the time (bench/prepare-fresh.sh), and prints each minute what the
 * machine holds. None of it may grow.
 *
 *     node tools/measure-churn.ts DIR [MINUTES] [ENGINE]     # 30 minutes, auto
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { createMachine } from "../src/cli/create-machine.ts";
import type { EngineName } from "../src/cli/options.ts";
import { CORE_WASM, ensureCore } from "../src/host/node/core-module.ts";
import { EventLoop } from "../src/host/node/event-loop.ts";
import { readWholeFile } from "../src/host/node/files.ts";
import { hostTime } from "../src/host/node/host-time.ts";

const MINUTE_MS = 60_000;
const [folder, minutes = "30", engine = "auto"] = process.argv.slice(2);
if (folder === undefined) throw new Error("usage: node tools/measure-churn.ts DIR [MINUTES] [ENGINE]");

ensureCore();
const loop = new EventLoop();
let rounds = 0;
let line = "";
const runnable = createMachine({
  core: readWholeFile(CORE_WASM),
  memoryBytes: 512 * 2 ** 20,
  engine: engine as EngineName,
  deterministic: false,
  debugExitPort: undefined,
  noReboot: true,
  boot: {
    kernel: readWholeFile(path.join(folder, "vmlinuz")),
    commandLine: "console=ttyS0 quiet panic=-1 churn",
    modules: [{ bytes: readWholeFile(path.join(folder, "initrd.gz")), commandLine: "" }],
  },
  trace: [],
  disks: [],
  rng: false,
  networks: [],
  host: {
    ...hostTime(loop),
    writeSerial: (bytes) => noteOutput(Buffer.from(bytes).toString("latin1")),
    serialCongested: () => false,
  },
  report: (text) => console.error(text),
});

function noteOutput(text: string): void {
  const lines = (line + text).split("\n");
  line = lines.pop() ?? "";
  rounds += lines.filter((each) => each.startsWith("ROUND ")).length;
}

function residentMegabytes(): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return Number(kilobytes) / 1024;
}

const counters = ["regionsMade", "regionsLive", "regionModules", "handlerModules", "recordFlushes"];
console.log(`| minute | rounds | resident MB | V8's heap MB | ${counters.join(" | ")} |`);
console.log(`|---${"|---".repeat(counters.length + 3)}|`);

let minute = 0;
function sample(): void {
  const text = runnable.statistics().join("\n");
  const counts = counters.map((name) => new RegExp(`${name}: (\\d+)`).exec(text)?.[1] ?? "-");
  const heap = process.memoryUsage().heapTotal / 2 ** 20;
  const memory = `${residentMegabytes().toFixed(0)} | ${heap.toFixed(0)}`;
  console.log(`| ${minute} | ${rounds} | ${memory} | ${counts.join(" | ")} |`);
  minute++;
  if (minute > Number(minutes)) runnable.stop();
}

const timer = setInterval(sample, MINUTE_MS);
await runnable.run();
clearInterval(timer);
