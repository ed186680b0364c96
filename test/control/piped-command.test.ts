import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { runPiped } from "../../src/control/piped-command.ts";
import { leftovers, localControl } from "./local-shell.ts";

async function collect(script: string, taken: (bytes: Uint8Array) => Promise<void> | void = () => {}) {
  const seen = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  const status = await runPiped(localControl, script, {
    output: async (stream, bytes) => {
      seen[stream].push(bytes.slice());
      await taken(bytes);
    },
  });
  return { status, stdout: Buffer.concat(seen.stdout), stderr: Buffer.concat(seen.stderr).toString() };
}

const bytesIn = (folder: string) =>
  readdirSync(folder).reduce((sum, name) => sum + statSync(path.join(folder, name)).size, 0);

test("all output comes, with the status and what was said on standard error, and nothing is left behind", async () => {
  const script = "head -c 5000001 /dev/zero | tr '\\0' x; echo complaint >&2; exit 9";
  const { status, stdout, stderr } = await collect(script);
  expect([status, stdout.length, stdout.indexOf("\0"), stderr]).toEqual([9, 5_000_001, -1, "complaint\n"]);
  await expect.poll(leftovers).toEqual([]);
});

test.each([0, 1, 1 << 20, 3 << 20])("output of %d bytes has an end", async (sizeBytes) => {
  const { status, stdout } = await collect(`head -c ${sizeBytes} /dev/zero`);
  expect([status, stdout.length]).toEqual([0, sizeBytes]);
});

test("the command waits for who takes its output, and keeps none of it", async () => {
  const kept: number[] = [];
  const progress: number[] = [];
  const script =
    'i=0; while [ $i -lt 40 ]; do head -c 100000 /dev/zero; i=$((i+1)); echo $i >"$PROGRESS"; done';
  const file = path.join("/tmp", `piped-progress-${process.pid}`);
  await collect(`PROGRESS=${file}; ${script}; rm ${file}`, async () => {
    await new Promise((resolve) => setTimeout(resolve, 300));
    kept.push(...leftovers().map(bytesIn));
    if (progress.length === 0) progress.push(Number(readFileSync(file, "utf8")));
  });
  expect(Math.max(...kept)).toBeLessThan(1000);
  // One piece of 1 MiB, and what a pipe holds.
  expect(progress[0]).toBeLessThan(15);
});

test("what fails on this side ends the command", async () => {
  const refuse = () => {
    throw new Error("no more");
  };
  await expect(collect("cat /dev/zero", refuse)).rejects.toThrow("no more");
  await expect.poll(leftovers).toEqual([]);
});

test("an abort kills the command, and is what is thrown", async () => {
  const cancel = new AbortController();
  const running = runPiped(localControl, "sleep 1000", { signal: cancel.signal, output: () => {} });
  setTimeout(() => cancel.abort(new Error("enough")), 300);
  await expect(running).rejects.toThrow("enough");
  await expect.poll(leftovers).toEqual([]);
});
