import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { afterAll, expect, test } from "vitest";
import { completionScript, SHELLS } from "../../src/cli/completion.ts";
import { RUN_IMAGE_OPTIONS } from "../../src/cli/image-options.ts";
import { COMMANDS, RUN_OPTIONS } from "../../src/cli/options.ts";
import { IDLE_KERNEL } from "../snapshot/small-machine.ts";

const BIN = path.resolve(import.meta.dirname, "../../bin");
const folder = mkdtempSync(path.join(os.tmpdir(), "rf-"));
afterAll(() => rmSync(folder, { recursive: true }));
const environment = {
  ...process.env,
  PATH: `${BIN}:${process.env["PATH"]}`,
  XDG_RUNTIME_DIR: folder,
  XDG_STATE_HOME: folder,
};

/** What bash offers for the last of these words. */
function complete(...words: string[]): string[] {
  const script = [
    completionScript("bash"),
    `COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")})`,
    `COMP_CWORD=${words.length - 1}`,
    `_ringfence ringfence '${words.at(-1)}' '${words.at(-2)}'`,
    `printf "%s\\n" "\${COMPREPLY[@]}"`,
  ].join("\n");
  const { stdout, stderr } = spawnSync("bash", ["--norc", "-c", script], {
    encoding: "utf8",
    env: environment,
    cwd: folder,
  });
  expect(stderr).toBe("");
  return stdout.split("\n").filter((line) => line !== "");
}

test("bash completes commands", () => {
  expect(complete("ringfence", "")).toEqual(expect.arrayContaining(COMMANDS.map(({ name }) => name)));
  expect(complete("ringfence", "sn")).toEqual(["snapshot"]);
});

test("bash completes every option of a command", () => {
  expect(complete("ringfence", "run", "--")).toEqual(
    [...RUN_OPTIONS, ...RUN_IMAGE_OPTIONS].map(({ name }) => `--${name}`),
  );
  expect(complete("ringfence", "exec", "--wo")).toEqual(["--workdir"]);
});

test("bash completes the values of options: the few that are possible, or files", () => {
  expect(complete("ringfence", "run", "--engine", "lock")).toEqual(["lockstep", "lockstep-auto"]);
  writeFileSync(path.join(folder, "vmlinuz-6"), "");
  expect(complete("ringfence", "run", "--kernel", "vml")).toEqual(["vmlinuz-6"]);
  expect(complete("ringfence", "disk", "co")).toEqual(["convert"]);
});

test("bash completes the names of machines that run", () => {
  const kernel = path.join(folder, "idle");
  writeFileSync(kernel, IDLE_KERNEL);
  const run = (...words: string[]) => spawnSync(path.join(BIN, "ringfence"), words, { env: environment });
  expect(run("run", "-d", "--name", "completed", "--kernel", kernel, "--memory", "32M").status).toBe(0);
  try {
    expect(complete("ringfence", "exec", "comp")).toEqual(["completed"]);
    expect(complete("ringfence", "stop", "-f", "")).toEqual(["completed"]);
  } finally {
    run("stop", "-f", "completed");
  }
});

test.each(SHELLS)("%s finds no error in its script, where it is installed", (shell) => {
  const script = path.join(folder, `ringfence.${shell}`);
  writeFileSync(script, completionScript(shell));
  const check = spawnSync(shell, ["-n", script], { encoding: "utf8" });
  if (check.error === undefined) expect([check.status, check.stderr]).toEqual([0, ""]);
  for (const { name } of COMMANDS) expect(completionScript(shell)).toContain(name);
});
