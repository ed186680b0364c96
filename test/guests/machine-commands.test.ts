import { spawn, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
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

/** Names, modes, sizes and times of all in a folder, but for folders' times; links as they are. */
function treeOf(top: string): string {
  const format = "%y %P %m %l";
  const find = ["-printf", `${format}\\n`, "-type", "f", "-printf", "%s %T@ %P\\n"];
  const { stdout } = spawnSync("find", [top, ...find], { encoding: "latin1" });
  return stdout.split("\n").sort().join("\n");
}

function makeTree(top: string): void {
  const long = "x".repeat(120);
  mkdirSync(path.join(top, "sub", "empty"), { recursive: true });
  mkdirSync(path.join(top, long), { mode: 0o750 });
  writeFileSync(path.join(top, "run me"), "#!/bin/sh\n", { mode: 0o755 });
  writeFileSync(path.join(top, "nothing"), "", { mode: 0o600 });
  writeFileSync(path.join(top, long, long), "long");
  writeFileSync(Buffer.from(`${top}/sub/b\xe4d`, "latin1"), "no UTF-8");
  writeFileSync(path.join(top, "sub", "large"), randomBytes(2_500_000));
  linkSync(path.join(top, "run me"), path.join(top, "twice"));
  symlinkSync("../run me", path.join(top, "sub", "near"));
  symlinkSync("/etc/passwd", path.join(top, "sub", "far"));
  for (const file of [
    "run me",
    "nothing",
    "sub/large",
    `${long}/${long}`,
    Buffer.from("sub/b\xe4d", "latin1"),
  ])
    utimesSync(Buffer.concat([Buffer.from(`${top}/`), Buffer.from(file)]), 1e9, 1e9);
}

guestTest(`cp copies a folder in and out, with all that is in it${suffix}`, TIMEOUT, () => {
  const tree = path.join(folder, "tree");
  makeTree(tree);
  expect(ringfence(["cp", tree, "box:/tmp"])).toMatchObject({ status: 0, stderr: "" });
  const inside = "cd /tmp/tree && stat -c %u:%g:%a:%Y 'run me' nothing; readlink sub/far; cat */xxx*";
  expect(ringfence(["exec", "box", "--", "sh", "-c", inside]).stdout.toString()).toBe(
    "0:0:755:1000000000\n0:0:600:1000000000\n/etc/passwd\nlong",
  );
  const back = path.join(folder, "came-back");
  const { status, stdout, stderr } = ringfence(["cp", "--json", "box:/tmp/tree", back]);
  expect([status, stderr, JSON.parse(stdout.toString())]).toEqual([
    ...[0, ""],
    { path: back, bytes: 2_500_032, files: 8, leftOut: 0 },
  ]);
  expect(treeOf(tree)).toContain("d sub/empty 755");
  expect(treeOf(back)).toBe(treeOf(tree));
  expect(spawnSync("diff", ["-r", "--no-dereference", tree, back]).stdout.toString()).toBe("");
});

guestTest(`cp puts a folder where docker cp would${suffix}`, TIMEOUT, () => {
  const one = path.join(folder, "one");
  mkdirSync(one);
  writeFileSync(path.join(one, "leaf"), "green");
  const leaves = () =>
    ringfence(["exec", "box", "--", "sh", "-c", "cd /tmp/p && find . | sort | xargs"]).stdout.toString();
  ringfence(["exec", "box", "mkdir", "-m", "700", "/tmp/p"]);
  expect(ringfence(["cp", one, "box:/tmp/p"]).status).toBe(0);
  expect(leaves()).toBe(". ./one ./one/leaf\n");
  expect(ringfence(["cp", one, "box:/tmp/p/new"]).status).toBe(0);
  expect(leaves()).toBe(". ./new ./new/leaf ./one ./one/leaf\n");
  expect(ringfence(["cp", `${one}/.`, "box:/tmp/p"]).status).toBe(0);
  expect(leaves()).toBe(". ./leaf ./new ./new/leaf ./one ./one/leaf\n");
  expect(ringfence(["exec", "box", "stat", "-c", "%a", "/tmp/p"]).stdout.toString()).toBe("700\n");
  expect(ringfence(["cp", one, "box:/tmp/p/leaf"]).stderr).toContain("cannot take the place of a file");
  expect(ringfence(["cp", one, "box:/tmp/absent/p"]).stderr).toContain("there is no folder /tmp/absent");
  expect(ringfence(["cp", "box:/tmp/p/one/.", path.join(folder, "contents")]).status).toBe(0);
  expect(readFileSync(path.join(folder, "contents", "leaf"), "utf8")).toBe("green");
});

guestTest(`cp names the devices and pipes that it leaves out of a folder${suffix}`, TIMEOUT, () => {
  const make = "mkdir /tmp/odd; cd /tmp/odd; mkfifo pipe; mknod null c 1 3; echo kept >file";
  ringfence(["exec", "box", "--", "sh", "-c", make]);
  const { status, stdout, stderr } = ringfence(["cp", "--json", "box:/tmp/odd", folder]);
  const names = stderr.match(/(?<=left out, .*: )\w+/g)?.sort();
  expect([status, names]).toEqual([0, ["null", "pipe"]]);
  expect(JSON.parse(stdout.toString())).toMatchObject({ files: 1, leftOut: 2 });
});

guestTest(`an interrupt ends a copy, which says what is not complete${suffix}`, TIMEOUT, async () => {
  const tree = path.join(folder, "long");
  mkdirSync(tree);
  for (let i = 0; i < 60; i++) writeFileSync(path.join(tree, `f${i}`), randomBytes(1_000_000));
  const interrupted = async (words: readonly string[], begun: () => boolean) => {
    const child = spawn(RINGFENCE, ["cp", ...words], { env: environment });
    let said = "";
    child.stderr.on("data", (bytes: Buffer) => {
      said += bytes.toString();
    });
    const ended = new Promise((resolve) => child.on("close", (_, signal) => resolve(signal)));
    await expect.poll(begun, { timeout: 60_000, interval: 50 }).toBe(true);
    child.kill("SIGINT");
    return [await ended, said];
  };
  const arrived = () => ringfence(["exec", "box", "ls", "/tmp/long"]).stdout.toString().includes("f1\n");
  expect(await interrupted([tree, "box:/tmp"], arrived)).toEqual([
    "SIGINT",
    expect.stringMatching(/^ringfence: \/tmp\/long is not complete: of .*long \d+ files were copied\n$/),
  ]);
  const count =
    "pidof tar | wc -w; head -c 30000000 /dev/zero >/tmp/long/zzz; ls -d /tmp/.ringfence-* | wc -l";
  // The second is the folder of this very command.
  expect(ringfence(["exec", "box", "--", "sh", "-c", count]).stdout.toString()).toBe("0\n1\n");
  const back = path.join(folder, "interrupted");
  const names = () => (existsSync(back) ? readdirSync(back) : []);
  expect(await interrupted(["box:/tmp/long", back], () => names().length > 1)).toEqual([
    "SIGINT",
    expect.stringMatching(
      /^ringfence: .*interrupted is not complete: of \/tmp\/long \d+ files were copied\n$/,
    ),
  ]);
  expect(names().filter((name) => name.includes(".part"))).toEqual([]);
  ringfence(["exec", "box", "rm", "-r", "/tmp/long"]);
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
