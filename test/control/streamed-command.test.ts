import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { commandScript } from "../../src/control/command-script.ts";
import type { CommandOutcome, CommandRequest, GuestControl } from "../../src/control/guest-control.ts";
import { runStreamed } from "../../src/control/streamed-command.ts";

/** This host's shell in the place of a guest's. */
function localShell(script: string, { input, signal }: CommandRequest): Promise<CommandOutcome> {
  return new Promise((resolve, reject) => {
    const child = spawn("sh", ["-c", script]);
    const outputs = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    child.stdout.on("data", (bytes: Buffer) => outputs.stdout.push(bytes));
    child.stderr.on("data", (bytes: Buffer) => outputs.stderr.push(bytes));
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    signal?.addEventListener("abort", () => {
      child.kill("SIGKILL");
      reject(signal.reason);
    });
    child.on("close", (status) =>
      resolve({
        status: status ?? 137,
        stdout: Buffer.concat(outputs.stdout),
        stderr: Buffer.concat(outputs.stderr),
      }),
    );
  });
}

const control = { run: localShell } as GuestControl;

async function collect(script: string, request: Partial<CommandRequest> = {}) {
  const seen = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  const status = await runStreamed(control, script, {
    ...request,
    output: async (stream, bytes) => void seen[stream].push(bytes.slice()),
  });
  return {
    status,
    stdout: Buffer.concat(seen.stdout),
    stderr: Buffer.concat(seen.stderr),
    pieces: seen.stdout,
  };
}

const leftovers = () => readdirSync("/tmp").filter((name) => name.startsWith(".ringfence-"));

test("both streams come whole, with the status, and nothing is left behind", async () => {
  const script = "head -c 500001 /dev/zero | tr '\\0' x; echo complaint >&2; exit 9";
  const { status, stdout, stderr } = await collect(script);
  expect([status, stdout.toString(), stderr.toString()]).toEqual([9, "x".repeat(500_001), "complaint\n"]);
  await expect.poll(leftovers).toEqual([]);
});

test("output comes before the command has ended, and input reaches it", async () => {
  const { pieces } = await collect("cat; sleep 1; echo after", {
    input: new TextEncoder().encode("before\n"),
  });
  expect(pieces.map((piece) => new TextDecoder().decode(piece))).toEqual(["before\n", "after\n"]);
});

test("an aborted command fails with the signal's reason", async () => {
  const script = "echo begun; sleep 1000";
  await expect(collect(script, { signal: AbortSignal.timeout(300) })).rejects.toMatchObject({
    name: "TimeoutError",
  });
  await expect.poll(leftovers).toEqual([]);
});

test.each([
  [["printf", "%s|", "a b", "", "it's", "$HOME", "x=y", "*"], "a b||it's|$HOME|x=y|*|"],
  [["A=1"], ""],
])("words are taken as they are: %j", async (words, printed) => {
  expect((await collect(commandScript(words))).stdout.toString()).toBe(printed);
});

test("folder and environment are set before the command", async () => {
  const script = commandScript('pwd; echo "$A"', { folder: "/usr", environment: { A: "it's; exit 1" } });
  expect((await collect(script)).stdout.toString()).toBe("/usr\nit's; exit 1\n");
  const missing = await collect(commandScript("echo never", { folder: "/no such folder" }));
  expect([missing.status, missing.stdout.toString()]).toEqual([126, ""]);
  expect(() => commandScript("true", { environment: { "A-B": "" } })).toThrow("A-B");
  expect(() => commandScript("a\0b")).toThrow("NUL");
});
