import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { VirtualMachine, VmError } from "ringfence";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { RINGFENCE } from "./console.ts";

const guest = await fetchGuest("qemu-guest-agent");
const suffix = guest.available ? "" : ` (skipped: ${guest.reason})`;
const TIMEOUT = { timeout: 240_000 };
const agentTest = test.skipIf(!guest.available);
const folder = mkdtempSync(path.join(os.tmpdir(), "ringfence-agent-"));
let machine: VirtualMachine;

beforeAll(async () => {
  if (!guest.available) return;
  machine = await VirtualMachine.create({
    kernel: guest.kernelPath,
    initrd: guest.initrdPath ?? "",
    commandLine: "console=ttyS0 quiet",
    guestAgent: true,
  });
  await machine.start();
  await machine.exec("true");
});

afterAll(async () => {
  await machine?.stop();
  rmSync(folder, { recursive: true });
});

agentTest(
  `Debian's agent runs commands, with input, environment, folder and status${suffix}`,
  TIMEOUT,
  async () => {
    const settings = { input: "from the host", env: { NAME: "it's" }, cwd: "/etc" };
    const outcome = await machine.exec('pwd; echo "$NAME"; cat; echo oops >&2; exit 7', settings);
    expect([outcome.stdout, outcome.stderr, outcome.status]).toEqual([
      "/etc\nit's\nfrom the host",
      "oops\n",
      7,
    ]);
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    expect((await machine.exec(["cat"], { input: bytes })).stdoutBytes).toEqual(bytes);
    expect((await machine.exec("kill -9 $$")).status).toBe(137);
  },
);

agentTest(`a clone is asked by its own port${suffix}`, TIMEOUT, async () => {
  await machine.exec("echo kept >/tmp/note");
  await using clone = await machine.clone();
  await clone.start();
  expect((await clone.exec("cat /tmp/note")).stdout).toBe("kept\n");
  await clone.exec("rm /tmp/note");
  expect((await machine.exec("cat /tmp/note")).stdout).toBe("kept\n");
});

agentTest(`output comes while the command runs, beyond any limit${suffix}`, TIMEOUT, async () => {
  const times: number[] = [];
  const seen = { stdout: "", stderr: "" };
  const output = (stream: "stdout" | "stderr", bytes: Uint8Array) => {
    times.push(performance.now());
    seen[stream] += new TextDecoder().decode(bytes);
  };
  const { status } = await machine.exec("echo first; sleep 2; echo second >&2; seq 40000; exit 5", {
    output,
  });
  expect(status).toBe(5);
  expect(seen.stderr).toBe("second\n");
  expect(createHash("md5").update(seen.stdout).digest("hex")).toBe(
    createHash("md5")
      .update(`first\n${Array.from({ length: 40_000 }, (_, i) => `${i + 1}\n`).join("")}`)
      .digest("hex"),
  );
  expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThan(1500);
});

agentTest(`an aborted command is killed with what it has started${suffix}`, TIMEOUT, async () => {
  const sleepers = async () => (await machine.exec("ps | grep -c '[s]leep 432'")).stdout;
  const ending = new AbortController();
  const slow = machine.exec("sleep 4321 & sleep 4322", { signal: ending.signal });
  slow.catch(() => {});
  await expect.poll(sleepers, { timeout: 20_000 }).toBe("2\n");
  ending.abort(new DOMException("enough", "TimeoutError"));
  await expect(slow).rejects.toMatchObject({ name: "TimeoutError" });
  await expect.poll(sleepers, { timeout: 20_000 }).toBe("0\n");
});

agentTest(`files go in and out whole, with their permissions${suffix}`, TIMEOUT, async () => {
  const content = randomBytes(3_000_001);
  const file = path.join(folder, "in");
  writeFileSync(file, content, { mode: 0o740 });
  await machine.copyIn(file, "/tmp/large");
  const { stdout } = await machine.exec("sha256sum </tmp/large; stat -c %a /tmp/large");
  expect(stdout).toBe(`${createHash("sha256").update(content).digest("hex")}  -\n740\n`);
  await machine.copyOut("/tmp/large", path.join(folder, "out"));
  expect(readFileSync(path.join(folder, "out")).equals(content)).toBe(true);
  expect(statSync(path.join(folder, "out")).size).toBe(3_000_001);
  await expect(machine.readFile("/nowhere")).rejects.toSatisfy(
    (error) => error instanceof VmError && error.detail.code === "guest-file-failed",
  );
});

agentTest(`the guest's time is read and set${suffix}`, TIMEOUT, async () => {
  expect(Math.abs((await machine.guestTime()).getTime() - Date.now())).toBeLessThan(60_000);
  await machine.setGuestTime(new Date("2031-02-03T04:05:06Z"));
  expect((await machine.exec("date -u +%Y-%m-%dT%H:%M")).stdout).toBe("2031-02-03T04:05\n");
});

agentTest(`the power button reaches Debian's kernel as a fixed event${suffix}`, TIMEOUT, async () => {
  await machine.exec("killall acpid");
  const count = async () =>
    (await machine.exec("cat /sys/firmware/acpi/interrupts/ff_pwr_btn")).stdout.trim().split(/\s+/);
  expect(await count()).toEqual(["0", "EN", "enabled", "unmasked"]);
  await machine.pressPowerButton();
  await expect.poll(async () => (await count())[0], { timeout: 20_000 }).toBe("1");
});

agentTest(`the agent powers the guest off, and the machine ends${suffix}`, TIMEOUT, async () => {
  await machine.shutDown();
  expect(await machine.ended).toEqual({ reason: "power-off" });
});

agentTest(`the command line drives a guest by Debian's agent${suffix}`, TIMEOUT, async () => {
  if (!guest.available) return;
  const env = { ...process.env, XDG_RUNTIME_DIR: folder, XDG_STATE_HOME: folder };
  const ringfence = (...words: string[]) => spawnSync(RINGFENCE, words, { encoding: "utf8", env });
  const files = ["--kernel", guest.kernelPath, "--initrd", guest.initrdPath ?? ""];
  expect(ringfence("run", "-d", "--name", "own", ...files, "--append", "console=ttyS0 quiet").stdout).toBe(
    "own\n",
  );
  try {
    const agentOf = () => (JSON.parse(ringfence("ps", "--json").stdout) as { agent: string }[])[0]?.agent;
    await expect.poll(agentOf, { timeout: 120_000, interval: 1000 }).toBe("qemu");
    await expect.poll(() => ringfence("ps").stdout, { timeout: 120_000, interval: 1000 }).toMatch(/ qemu /);
    const { status, stdout, stderr } = ringfence(
      "exec",
      "-e",
      "A=b",
      "own",
      "sh",
      "-c",
      "echo $A; echo c >&2; exit 6",
    );
    expect([status, stdout, stderr]).toEqual([6, "b\n", "c\n"]);
    const input = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * i) >> 4));
    const echoed = spawnSync(RINGFENCE, ["exec", "-i", "own", "cat"], { input, env });
    expect([echoed.status, Buffer.compare(echoed.stdout, input)]).toEqual([0, 0]);
    writeFileSync(path.join(folder, "note"), "by Debian's agent\n");
    expect(ringfence("cp", path.join(folder, "note"), "own:/tmp/note").status).toBe(0);
    expect(ringfence("cp", "own:/tmp/note", path.join(folder, "note2")).status).toBe(0);
    expect(readFileSync(path.join(folder, "note2"), "utf8")).toBe("by Debian's agent\n");
    const tree = path.join(folder, "tree");
    mkdirSync(tree);
    writeFileSync(path.join(tree, "large"), input);
    expect(ringfence("cp", tree, "own:/tmp/tree")).toMatchObject({ status: 0, stderr: "" });
    expect(ringfence("cp", "own:/tmp/tree", `${tree}-back`)).toMatchObject({ status: 0, stderr: "" });
    expect(readFileSync(path.join(`${tree}-back`, "large")).equals(input)).toBe(true);
    expect(ringfence("stop", "--timeout", "100", "own")).toMatchObject({
      status: 0,
      stdout: "own\n",
      stderr: "",
    });
  } finally {
    ringfence("stop", "--force", "own");
  }
});
