import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { RINGFENCE } from "./console.ts";

// The cloud kernel of the default guest has no 9p.
const guest = await fetchGuest("standard-guest");
const hasCompiler = spawnSync("gcc", ["--version"]).status === 0;
const obstacle = !guest.available ? guest.reason : hasCompiler ? undefined : "there is no gcc";
const suffix = obstacle === undefined ? "" : ` (skipped: ${obstacle})`;
const WAIT_MS = 240_000;
const ENTRIES = 3000;

/** In the guest: has all kinds of things open in the shared folder, says so, and goes on with them when it is told to. */
const HOLDER = `
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
static char seen[${ENTRIES}];
static int listed = 0, twice = 0;
static void note(struct dirent *entry) {
  int number;
  if (sscanf(entry->d_name, "entry%d", &number) != 1) return;
  twice += seen[number]++;
  listed++;
}
static const char *result(int failed) { return failed ? strerror(errno) : "ok"; }
int main(void) {
  setvbuf(stdout, 0, _IONBF, 0);
  char text[64] = "";
  int data = open("data", O_RDWR), renamed = open("before", O_RDONLY), gone = open("gone", O_RDWR | O_CREAT, 0644);
  unlink("gone");
  rename("before", "after");
  read(data, text, 6);
  DIR *many = opendir("many");
  for (int i = 0; i < 100; i++) note(readdir(many));
  char *mapped = mmap(0, 8192, PROT_READ, MAP_PRIVATE, open("mapped", O_RDONLY), 0);
  int lock = open("lock", O_RDWR | O_CREAT, 0644), other = open("lock2", O_RDWR | O_CREAT, 0644);
  struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10 };
  printf("lock: %s\\n", result(fcntl(lock, F_SETLK, &range)));
  printf("flock: %s\\n", result(flock(other, LOCK_EX)));
  chdir("deep/er");
  printf("read: %.6s, mapped: %c\\n", text, mapped[0]);
  close(open("/tmp/ready", O_CREAT | O_WRONLY, 0644));
  while (access("/tmp/go", F_OK)) usleep(50000);
  int got = read(data, text, sizeof text);
  printf("read: %.*s\\n", got, text);
  printf("write: %s\\n", result(write(data, "end\\n", 4) != 4));
  printf("fsync: %s\\n", result(fsync(data)));
  got = read(renamed, text, sizeof text);
  printf("renamed: %.*s\\n", got, text);
  printf("without a name: %s\\n", result(write(gone, "x", 1) != 1));
  for (struct dirent *entry; (entry = readdir(many)) != 0; ) note(entry);
  printf("listed: %d, twice: %d\\n", listed, twice);
  printf("mapped: %c\\n", mapped[4096]);
  if (fork() == 0) {
    // The descriptors that were inherited share the parent's flock.
    int mine = open("../../lock2", O_RDWR);
    printf("lock of the child: %s\\n", result(fcntl(lock, F_SETLK, &range)));
    printf("flock of the child: %s\\n", result(flock(mine, LOCK_EX | LOCK_NB)));
    return 0;
  }
  wait(0);
  range.l_type = F_UNLCK;
  printf("unlock: %s\\n", result(fcntl(lock, F_SETLK, &range)));
  printf("rename: %s\\n", result(rename("inner", "../moved")));
  printf("mkdir: %s\\n", result(mkdir("made", 0755)));
  struct stat here, there;
  stat(".", &here);
  stat("../../deep/er", &there);
  printf("the same folder: %d\\n", here.st_ino == there.st_ino);
  return 0;
}
`;
const BEFORE = ["lock: ok", "flock: ok", "read: first\n, mapped: a"];
const AFTER = [
  ...["read: second", "", "write: ok", "fsync: ok", "renamed: contents", "without a name: Stale file handle"],
  ...[`listed: ${ENTRIES}, twice: 0`, "mapped: b", "lock of the child: Resource temporarily unavailable"],
  ...["flock of the child: Resource temporarily unavailable", "unlock: ok", "rename: ok", "mkdir: ok"],
  "the same folder: 1",
];

/** In the guest: copies a tree again and again, and counts; what is wrong ends it. */
const COPIER = `
cd /mnt/work; n=0
while cp -r tree copy && diff -r tree copy && rm -r copy; do n=$((n+1)); echo $n >/tmp/copies; done >/tmp/copier 2>&1
echo failed >>/tmp/copier
`;

function prepare(folder: string): void {
  for (const name of ["many", "deep/er", "tree/a/b"]) mkdirSync(path.join(folder, name), { recursive: true });
  for (let i = 0; i < ENTRIES; i++) writeFileSync(path.join(folder, `many/entry${i}`), "");
  for (let i = 0; i < 40; i++) writeFileSync(path.join(folder, `tree/a/b/${i}`), `${i}\n`.repeat(2000 * i));
  writeFileSync(path.join(folder, "data"), "first\nsecond\n");
  writeFileSync(path.join(folder, "before"), "contents");
  writeFileSync(path.join(folder, "mapped"), "a".repeat(4096) + "b".repeat(4096));
  writeFileSync(path.join(folder, "deep/er/inner"), "inner\n");
  writeFileSync(path.join(folder, "copier"), COPIER);
  const compiler = ["-static", "-w", "-x", "c", "-", "-o", path.join(folder, "holder")];
  if (spawnSync("gcc", compiler, { input: HOLDER }).status !== 0) throw new Error("gcc does not work");
}

/** `ringfence run` at the guest's shell, by pipes. */
class Shell {
  readonly #process: ChildProcessWithoutNullStreams;
  #output = "";
  #messages = "";

  constructor(options: readonly string[]) {
    this.#process = spawn(RINGFENCE, ["run", ...options]);
    this.#process.stdout.setEncoding("latin1").on("data", (text: string) => {
      this.#output += text;
    });
    this.#process.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#messages += text;
    });
    this.#process.stdin.on("error", () => {}); // the guest may be gone before a line has been typed
  }

  get #hasEnded(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  async waitFor(pattern: RegExp, where: "output" | "messages" = "output"): Promise<RegExpExecArray> {
    for (const deadline = Date.now() + WAIT_MS; Date.now() < deadline; await sleep(20)) {
      const found = pattern.exec(where === "output" ? this.#output : this.#messages);
      if (found !== null) return found;
      if (this.#hasEnded) break;
    }
    throw new Error(`no ${pattern} in ${this.#output.slice(-2000)}, ${this.#messages}`);
  }

  /** What a command prints. */
  async exec(command: string): Promise<string> {
    const id = Math.floor(Math.random() * 1e9);
    this.#process.stdin.write(`stty cols 4000 2>/dev/null; ${command}; echo "end"of ${id}\n`);
    const [, output = ""] = await this.waitFor(new RegExp(`"end"of ${id}\\s+([^]*?)endof ${id}\\r\\n`));
    return output.replaceAll("\r", "").trimEnd();
  }

  async save(): Promise<void> {
    this.#process.kill("SIGUSR2");
    await this.waitFor(/ringfence: saved /, "messages");
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.on("exit", resolve));
    if (this.#hasEnded) return;
    this.#process.kill("SIGTERM");
    await ended;
  }
}

test.skipIf(obstacle !== undefined)(
  `9p: open files, folders half listed, mappings, locks and requests under way go on behind a restore${suffix}`,
  { timeout: 2 * WAIT_MS },
  async () => {
    if (!guest.available) return;
    const base = mkdtempSync(path.join(os.tmpdir(), "ringfence-9p-snapshot-"));
    const [folder, file] = [path.join(base, "share"), path.join(base, "snapshot")];
    const shares = ["--share", `${folder},tag=work,protocol=9p`];
    const kernel = ["--kernel", guest.kernelPath, "--initrd", guest.initrdPath ?? ""];
    const shells: Shell[] = [];
    const start = (...options: string[]) => {
      shells.push(new Shell([...options, ...shares]));
      return shells.at(-1)!;
    };
    const until = (condition: string) =>
      `for i in $(seq 900); do ${condition} && break; sleep 0.1; done 2>/dev/null`;
    try {
      prepare(folder);
      const original = start(
        ...kernel,
        "--append",
        "console=ttyS0 quiet",
        "--network",
        "none",
        "--snapshot",
        file,
      );
      await original.waitFor(/# /);
      await original.exec("mkdir -p /mnt/work; mount -t 9p -o trans=virtio,version=9p2000.L work /mnt/work");
      await original.exec("(cd /mnt/work; ./holder >/tmp/out 2>&1; echo over >>/tmp/out) </dev/null & true");
      await original.exec(until("[ -e /tmp/ready ]"));
      expect(await original.exec("cat /tmp/out")).toBe(BEFORE.join("\n"));
      await original.exec("setsid sh /mnt/work/copier </dev/null >/dev/null 2>&1 & true");
      await original.exec(until("[ -e /tmp/copies ]"));
      await original.save();
      await original.stop();
      // What the original has done since is not what the copy expects to find.
      rmSync(path.join(folder, "copy"), { recursive: true, force: true });

      const restored = start("--restore", file);
      const copies = Number(await restored.exec("cat /tmp/copies"));
      // The copier goes on, or finds that its copy is gone; it does not wait for an answer that never comes.
      await restored.exec(until(`[ -s /tmp/copier -o $(cat /tmp/copies) -gt ${copies + 1} ]`));
      expect(await restored.exec(`[ -s /tmp/copier -o $(cat /tmp/copies) -gt ${copies + 1} ]; echo $?`)).toBe(
        "0",
      );
      expect(
        await restored.exec("cd /mnt/work; cp -r tree again && diff -r tree again && echo same; cd"),
      ).toBe("same");
      await restored.exec(`touch /tmp/go; ${until("grep -q over /tmp/out")}`);
      const said = (await restored.exec("cat /tmp/out")).split("\n");
      expect(said.slice(BEFORE.join("\n").split("\n").length)).toEqual([...AFTER, "over"]);
      expect(copies).toBeGreaterThan(0);
      expect(readFileSync(path.join(folder, "data"), "utf8")).toBe("first\nsecond\nend\n");
      expect(readFileSync(path.join(folder, "deep/moved"), "utf8")).toBe("inner\n");
      expect(readdirSync(path.join(folder, "deep/er"))).toEqual(["made"]);
      expect(await restored.exec("dmesg -r | grep -c '^<[0-3]>'")).toBe("0");
    } finally {
      await Promise.all(shells.map((shell) => shell.stop()));
      rmSync(base, { recursive: true, force: true });
    }
  },
);
