import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import type { CommandOutcome, CommandRequest, GuestControl } from "../../src/control/guest-control.ts";

/** What commands of this test file have been told to use in between. */
const folders = new Set<string>();

/** This host's shell in the place of a guest's. */
async function localShell(script: string, { input, signal }: CommandRequest): Promise<CommandOutcome> {
  signal?.throwIfAborted();
  for (const [folder] of script.matchAll(/\/tmp\/\.ringfence-\w+/g)) folders.add(folder);
  return new Promise((resolve, reject) => {
    const child = spawn("sh", ["-c", script], { detached: true });
    const outputs = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    child.stdout.on("data", (bytes: Buffer) => outputs.stdout.push(bytes));
    child.stderr.on("data", (bytes: Buffer) => outputs.stderr.push(bytes));
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    const abort = () => {
      reject(signal?.reason);
      try {
        process.kill(-child.pid!, "SIGKILL");
      } catch {
        // It has just ended.
      }
    };
    signal?.addEventListener("abort", abort);
    child.on("close", (status) => {
      signal?.removeEventListener("abort", abort);
      resolve({
        status: status ?? 137,
        stdout: Buffer.concat(outputs.stdout),
        stderr: Buffer.concat(outputs.stderr),
      });
    });
  });
}

export const localControl = { run: localShell } as GuestControl;

/** What commands have left behind. */
export function leftovers(): string[] {
  return [...folders].filter((folder) => existsSync(folder));
}
