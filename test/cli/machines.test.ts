import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { IDLE_KERNEL, multibootKernel } from "../snapshot/small-machine.ts";

const BIN = path.resolve(import.meta.dirname, "../../bin/ringfence");
const folder = mkdtempSync(path.join(os.tmpdir(), "rf-"));
const environment = { ...process.env, XDG_RUNTIME_DIR: folder, XDG_STATE_HOME: path.join(folder, "state") };
const registry = path.join(folder, "ringfence");
const kernel = path.join(folder, "idle");
writeFileSync(kernel, IDLE_KERNEL);
/** Prints A without end: mov edx, 0x3f8; mov al, 'A'; out dx, al; jmp $-1 */
const chatty = path.join(folder, "chatty");
writeFileSync(chatty, multibootKernel([0xba, 0xf8, 0x03, 0, 0, 0xb0, 0x41, 0xee, 0xeb, 0xfd]));
afterAll(() => {
  for (const { pid } of list()) process.kill(pid, "SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function ringfence(...parameters: string[]): Outcome {
  const options = { encoding: "utf8", env: environment, input: "", timeout: 50_000 } as const;
  const { status, stdout, stderr } = spawnSync(BIN, parameters, options);
  return { status, stdout, stderr };
}

interface Listed {
  name: string;
  pid: number;
  state: string;
  uptimeSeconds: number;
  memoryBytes: number;
  engine: string;
  guest: string;
}

function list(): Listed[] {
  return JSON.parse(ringfence("ps", "--json").stdout) as Listed[];
}

/** A machine in the background, which the test ends. */
function start(name: string, file = kernel): void {
  const { status, stdout, stderr } = ringfence(
    ...["run", "-d", "--name", name, "--kernel", file, "--memory", "32M", "--network", "none"],
  );
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: `${name}\n`, stderr: "" });
  onTestFinished(() => void ringfence("stop", "--force", name));
}

test("a detached machine is listed with what it is, and a forced stop ends it", async () => {
  start("listed");
  expect(list()).toMatchObject([
    { name: "listed", state: "running", memoryBytes: 32 << 20, engine: "auto", guest: kernel },
  ]);
  expect(ringfence("ps").stdout).toMatch(
    /^NAME +PID .*\nlisted +\d+ +running +\d+s +32M +auto +\(qemu\) +\S+idle\n$/,
  );
  expect(ringfence("ps", "-q").stdout).toBe("listed\n");
  const { pid } = list()[0]!;
  expect(ringfence("stop", "--force", "listed")).toEqual({ status: 0, stdout: "listed\n", stderr: "" });
  expect(list()).toEqual([]);
  // Gone, or waiting for whoever takes in orphans.
  const stateOf = () => spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" }).stdout;
  await expect.poll(stateOf, { timeout: 10_000 }).toMatch(/^(Z.*\n)?$/);
});

test("a second machine of the same name is refused, and the first goes on", () => {
  start("twin");
  const second = ringfence("run", "--name", "twin", "--kernel", kernel);
  expect(second.status).toBe(2);
  expect(second.stderr).toMatch(
    /^ringfence: a machine twin is running already \(process \d+\); .*ringfence stop twin\n$/,
  );
  const detached = ringfence("run", "-d", "--name", "twin", "--kernel", kernel);
  expect([detached.status, detached.stdout]).toEqual([2, ""]);
  expect(detached.stderr).toContain("a machine twin is running already");
  expect(list()).toHaveLength(1);
});

test("machines that start at the same time under one name are one machine", async () => {
  const words = ["run", "-d", "--name", "race", "--kernel", kernel, "--memory", "32M"];
  const statuses = await Promise.all(
    [1, 2, 3].map(
      () =>
        new Promise((resolve) => {
          spawn(BIN, words, { env: environment, stdio: "ignore" }).on("exit", resolve);
        }),
    ),
  );
  expect(statuses.sort()).toEqual([0, 2, 2]);
  expect(list().map(({ name }) => name)).toEqual(["race"]);
  ringfence("stop", "-f", "race");
});

test("the entry of a killed machine is noticed, cleaned, and its name is free again", async () => {
  start("victim");
  process.kill(list()[0]!.pid, "SIGKILL");
  await expect.poll(list, { timeout: 10_000 }).toEqual([]);
  expect(readdirSync(registry).filter((file) => file.startsWith("victim"))).toEqual([]);

  start("victim");
  process.kill(list()[0]!.pid, "SIGKILL");
  await sleep(200);
  expect(existsSync(path.join(registry, "victim.json"))).toBe(true);
  expect(ringfence("pause", "victim")).toEqual({
    status: 2,
    stdout: "",
    stderr: "ringfence: no machine victim is running; none is; ringfence run starts one\n",
  });
  start("victim");
  expect(list()).toHaveLength(1);
});

test("a damaged entry harms nobody", () => {
  mkdirSync(registry, { recursive: true, mode: 0o700 });
  writeFileSync(path.join(registry, "broken.json"), '{"version": 1, "name":');
  expect(ringfence("ps", "--json")).toEqual({ status: 0, stdout: "[]\n", stderr: "" });
});

test("a machine stands still between pause and resume, and commands for its guest are refused meanwhile", () => {
  start("still", chatty);
  const bytes = () => statSync(path.join(folder, "state", "ringfence", "logs", "still.log")).size;
  expect(ringfence("pause", "still")).toEqual({ status: 0, stdout: "still\n", stderr: "" });
  expect(list()[0]?.state).toBe("paused");
  const before = bytes();
  const refused = ringfence("exec", "still", "true");
  expect([refused.status, refused.stderr]).toEqual([
    125,
    "ringfence: the machine is paused; ringfence resume still lets it go on\n",
  ]);
  expect(bytes()).toBe(before);
  expect(ringfence("resume", "still").status).toBe(0);
  expect(list()[0]?.state).toBe("running");
});

test("starting, pausing, resuming, logging and stopping are told as JSON", () => {
  const run = ["run", "-d", "--json", "--name", "told", "--kernel", kernel, "--memory", "32M"];
  const started = JSON.parse(ringfence(...run, "--network", "none").stdout) as unknown;
  onTestFinished(() => void ringfence("stop", "--force", "told"));
  expect(started).toEqual({ name: "told", pid: list()[0]?.pid });
  expect(JSON.parse(ringfence("pause", "--json", "told").stdout)).toEqual([
    { name: "told", state: "paused" },
  ]);
  expect(JSON.parse(ringfence("resume", "--json", "told").stdout)).toEqual([
    { name: "told", state: "running" },
  ]);
  expect(JSON.parse(ringfence("stop", "-f", "--json", "told").stdout)).toEqual([
    { name: "told", how: "killed" },
  ]);
  const logs = path.join(folder, "state", "ringfence", "logs");
  writeFileSync(path.join(logs, "past.log"), 'one "line"\r\nanother\r\nbegun');
  const lines = ringfence("logs", "--json", "past").stdout.trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
    { line: 'one "line"' },
    { line: "another" },
    { line: "begun" },
  ]);
});

test("the log of a guest that never stops printing stays bounded, and is there after its end", async () => {
  start("chatty", chatty);
  const logs = path.join(folder, "state", "ringfence", "logs");
  await expect.poll(() => existsSync(path.join(logs, "chatty.log.1")), { timeout: 50_000 }).toBe(true);
  ringfence("stop", "-f", "chatty");
  const sizes = ["chatty.log", "chatty.log.1"].map((name) => statSync(path.join(logs, name)).size);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(4 << 20);
  const { status, stdout } = spawnSync(BIN, ["logs", "chatty"], { env: environment, maxBuffer: 16 << 20 });
  expect(status).toBe(0);
  expect(stdout.length).toBe(sizes[0]! + sizes[1]!);
  expect(stdout.every((byte) => byte === 0x41)).toBe(true);
});

test("a guest without an agent that ignores the power button is ended when the time is over", () => {
  start("deaf");
  const { status, stdout, stderr } = ringfence("stop", "--timeout", "0.5", "deaf");
  expect([status, stdout]).toEqual([0, "deaf\n"]);
  expect(stderr).toBe("ringfence: deaf has not ended in 0.5 seconds; pulling the plug\n");
  expect(list()).toEqual([]);
});

test("a snapshot is saved while the machine runs, and starts another", () => {
  const { status } = ringfence(
    ...[
      "run",
      "-d",
      "--name",
      "saved",
      "--kernel",
      kernel,
      "--memory",
      "32M",
      "--snapshot",
      path.join(folder, "x"),
    ],
  );
  expect(status).toBe(0);
  const file = path.join(folder, "saved.snapshot");
  const { stdout } = ringfence("snapshot", "--json", "saved", file);
  expect(JSON.parse(stdout)).toEqual({ path: file, fileBytes: statSync(file).size });
  ringfence("stop", "-f", "saved");
  expect(ringfence("run", "-d", "--name", "again", "--restore", file).status).toBe(0);
  expect(list()).toMatchObject([{ name: "again", state: "running", memoryBytes: 32 << 20 }]);
  ringfence("stop", "-f", "again");
});

test("what goes wrong before a detached machine runs is told by the command that started it", () => {
  const { status, stdout, stderr } = ringfence("run", "-d", "--kernel", path.join(folder, "missing"));
  expect([status, stdout]).toEqual([2, ""]);
  expect(stderr).toContain("missing: no such file");
  expect(list()).toEqual([]);
});

test("a client that talks nonsense is hung up on, and the machine goes on", async () => {
  start("patient");
  const { connect } = await import("node:net");
  const entry = JSON.parse(readFileSync(path.join(registry, "patient.json"), "utf8")) as { address: string };
  for (const nonsense of ["x\n", "[]\n", '{"method": "info"}\n', '{"id": 1, "method": "fly"}\n']) {
    const answers = await new Promise<string>((resolve) => {
      let text = "";
      const socket = connect(entry.address, () => socket.write(nonsense));
      socket.on("data", (bytes) => {
        text += bytes.toString();
        if (text.includes('"error"')) socket.destroy();
      });
      socket.on("close", () => resolve(text));
    });
    expect(answers).toContain('{"ringfence":2,"name":"patient"}');
  }
  expect(list()).toMatchObject([{ name: "patient", state: "running" }]);
});

test("others may not look into the registry", () => {
  ringfence("ps");
  expect(statSync(registry).mode & 0o777).toBe(0o700);
});

test.each([
  [["exec", "x"], "usage: ringfence exec [OPTION]... NAME [--] COMMAND [ARGUMENT]..."],
  [["exec", "--env", "=1", "x", "ls"], "--env =1: expected NAME=VALUE"],
  [["cp", "a", "b"], "neither path is in a guest"],
  [["cp", "one:/a", "two:/b"], "each path is in a guest"],
  [["stop", "--timeout", "long", "x"], "--timeout long: expected seconds"],
  [["run", "--name", "../x"], "--name ../x: a name begins with a letter or digit"],
  [["ps", "x"], 'unexpected argument "x"'],
  [["stop", "--forse", "x"], "unknown option --forse; did you mean --force?"],
])("%j is refused", (words, complaint) => {
  const { status, stderr } = ringfence(...words);
  expect([status === 2 || status === 125, stderr]).toEqual([true, expect.stringContaining(complaint)]);
});
