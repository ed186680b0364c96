import { spawn, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { PROMPT, RINGFENCE } from "./console.ts";

const guest = await fetchGuest("default");
const suffix = guest.available ? "" : ` (skipped: ${guest.reason})`;
const guestTest = test.skipIf(!guest.available);
const folder = mkdtempSync(path.join(os.tmpdir(), "rf-"));
const environment = { ...process.env, XDG_RUNTIME_DIR: folder, XDG_STATE_HOME: path.join(folder, "state") };
const TIMEOUT = { timeout: 300_000 };

function ringfence(parameters: readonly string[], input: string | Uint8Array = "") {
  const { status, stdout, stderr } = spawnSync(RINGFENCE, parameters, {
    env: environment,
    input,
    timeout: 280_000,
    maxBuffer: 64 << 20,
  });
  return { status, stdout, stderr: stderr.toString() };
}

beforeAll(() => {
  if (!guest.available) return;
  expect(ringfence(["run", "--detach", "--name", "box"]).stdout.toString()).toBe("box\n");
  expect(ringfence(["exec", "box", "true"]).status).toBe(0);
});

afterAll(() => {
  if (guest.available) ringfence(["stop", "--force", "box"]);
  rmSync(folder, { recursive: true, force: true });
});

guestTest(`exec passes the status on, and each stream to its own${suffix}`, TIMEOUT, () => {
  const words = [
    "exec",
    "-e",
    "NAME=it's",
    "-w",
    "/etc",
    "box",
    "sh",
    "-c",
    'pwd; echo "$NAME" >&2; exit 42',
  ];
  const { status, stdout, stderr } = ringfence(words);
  expect([status, stdout.toString(), stderr]).toEqual([42, "/etc\n", "it's\n"]);
  expect(ringfence(["exec", "box", "--", "sh", "-c", "kill -9 $$"]).status).toBe(137);
  expect(ringfence(["exec", "box", "no-such-command"]).status).toBe(127);
  expect(ringfence(["exec", "-w", "/nowhere", "box", "true"]).status).toBe(126);
});

guestTest(`exec is safe for all bytes, both ways${suffix}`, TIMEOUT, () => {
  const bytes = randomBytes(200_000);
  expect(ringfence(["exec", "-i", "box", "cat"], bytes).stdout.equals(bytes)).toBe(true);
  expect(ringfence(["exec", "box", "cat"], "not given").stdout).toHaveLength(0);
});

guestTest(`exec -i passes input on as it comes${suffix}`, TIMEOUT, async () => {
  const words = [
    "exec",
    "-i",
    "box",
    "--",
    "sh",
    "-c",
    'while read -r word; do echo "got $word"; done; exit 4',
  ];
  const child = spawn(RINGFENCE, words, { env: environment });
  let said = "";
  child.stdout.on("data", (bytes: Buffer) => {
    said += bytes.toString();
    if (said === "got one\n") child.stdin.write("two\n");
    if (said === "got one\ngot two\n") child.stdin.end("three\n");
  });
  child.stdin.write("one\n");
  expect(await new Promise((resolve) => child.on("close", resolve))).toBe(4);
  expect(said).toBe("got one\ngot two\ngot three\n");
});

guestTest(
  `exec shows output while the command runs, and an interrupt kills the command${suffix}`,
  TIMEOUT,
  async () => {
    const child = spawn(RINGFENCE, ["exec", "box", "--", "sh", "-c", "echo begun; sleep 5432"], {
      env: environment,
    });
    let complaints = "";
    child.stderr.on("data", (bytes: Buffer) => {
      complaints += bytes.toString();
    });
    await new Promise<void>((resolve) => {
      child.stdout.on("data", (bytes: Buffer) => bytes.toString().includes("begun") && resolve());
    });
    expect(ringfence(["exec", "box", "pidof", "sleep"]).stdout.toString()).toMatch(/^\d+\n$/);
    child.kill("SIGINT");
    const [status, signal] = await new Promise<unknown[]>((resolve) =>
      child.on("exit", (...end) => resolve(end)),
    );
    expect([status, signal, complaints]).toEqual([null, "SIGINT", ""]);
    expect(ringfence(["exec", "box", "--", "sh", "-c", "pidof sleep | wc -w"]).stdout.toString()).toBe("0\n");
  },
);

guestTest(`10 MB go in and out by cp without a change${suffix}`, TIMEOUT, () => {
  const content = randomBytes(10_000_000);
  const file = path.join(folder, "large");
  writeFileSync(file, content, { mode: 0o750 });
  expect(ringfence(["cp", file, "box:/tmp/"])).toMatchObject({ status: 0, stderr: "" });
  const inside = ringfence(["exec", "box", "sha256sum", "/tmp/large"]).stdout.toString();
  expect(inside).toBe(`${createHash("sha256").update(content).digest("hex")}  /tmp/large\n`);
  expect(ringfence(["exec", "box", "stat", "-c", "%a", "/tmp/large"]).stdout.toString()).toBe("750\n");
  expect(ringfence(["cp", "box:/tmp/large", path.join(folder, "back")]).status).toBe(0);
  expect(readFileSync(path.join(folder, "back")).equals(content)).toBe(true);
});

guestTest(`cp says which file is not there, and leaves none behind${suffix}`, TIMEOUT, () => {
  const out = ringfence(["cp", "box:/tmp/missing", path.join(folder, "missing")]);
  expect([out.status, out.stderr]).toEqual([2, expect.stringContaining("/tmp/missing in the guest:")]);
  expect(statSync(path.join(folder, "missing"), { throwIfNoEntry: false })).toBeUndefined();
  expect(ringfence(["cp", "/nowhere/x", "box:/tmp/x"]).stderr).toContain("/nowhere/x: no such file");
});

guestTest(`cp says of a folder how else it comes and goes${suffix}`, TIMEOUT, () => {
  const tree = path.join(folder, "tree");
  mkdirSync(tree);
  writeFileSync(path.join(tree, "leaf"), "green");
  const refused = ringfence(["cp", tree, "box:/tmp"]);
  const remedy = `tar -c -C ${folder} tree | ringfence exec -i box -- tar -x -C /tmp`;
  expect([refused.status, refused.stderr]).toEqual([2, expect.stringContaining(remedy)]);
  const archive = spawnSync("tar", ["-c", "-C", folder, "tree"]).stdout;
  expect(ringfence(["exec", "-i", "box", "--", "tar", "-x", "-C", "/tmp"], archive).status).toBe(0);
  expect(ringfence(["exec", "box", "cat", "/tmp/tree/leaf"]).stdout.toString()).toBe("green");
  expect(ringfence(["cp", "box:/tmp/tree", folder]).stderr).toContain(
    "ringfence exec box -- tar -c -C /tmp/tree . > FILE.tar",
  );
});

guestTest(`exec and cp tell their results as JSON${suffix}`, TIMEOUT, () => {
  const { status, stdout } = ringfence([
    "exec",
    "--json",
    "box",
    "--",
    "sh",
    "-c",
    "echo ä; echo no >&2; exit 3",
  ]);
  expect([status, JSON.parse(stdout.toString())]).toEqual([3, { status: 3, stdout: "ä\n", stderr: "no\n" }]);
  const file = path.join(folder, "five");
  writeFileSync(file, "12345");
  const copied = ringfence(["cp", "--json", file, "box:/tmp/"]).stdout.toString();
  expect(JSON.parse(copied)).toEqual({ path: "/tmp/five", bytes: 5 });
});

guestTest(
  `an attached console takes commands and shows their output, and logs keeps it${suffix}`,
  TIMEOUT,
  async () => {
    const child = spawn(RINGFENCE, ["attach", "box"], { env: environment });
    let seen = "";
    const shown = new Promise<void>((resolve) => {
      child.stdout.on("data", (bytes: Buffer) => {
        seen += bytes.toString("latin1");
        if (seen.includes("attached 42")) resolve();
      });
    });
    child.stdin.write("echo attached $((6 * 7))\n");
    await shown;
    child.kill();
    const log = ringfence(["logs", "box"]).stdout.toString();
    expect(log).toContain(PROMPT);
    expect(log).toContain("attached 42");
  },
);

guestTest(
  `stop powers the guest off by its agent, and a follower of the log ends with it${suffix}`,
  TIMEOUT,
  async () => {
    const follower = spawn(RINGFENCE, ["logs", "--follow", "box"], { env: environment });
    let followed = "";
    follower.stdout.on("data", (bytes: Buffer) => {
      followed += bytes.toString("latin1");
    });
    const ended = new Promise((resolve) => follower.on("close", resolve));
    const { status, stdout, stderr } = ringfence(["stop", "--timeout", "200", "box"]);
    expect([status, stdout.toString(), stderr]).toEqual([0, "box\n", ""]);
    expect(await ended).toBe(0);
    expect(followed).toContain("reboot: Power down");
    expect(ringfence(["ps", "-q"]).stdout.toString()).toBe("");
  },
);
