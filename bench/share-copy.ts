/**
 * Copies a tree out of a shared folder and into it, in the same guest under Ringfence (9p, virtio-fs) and QEMU's TCG
 * (9p), and prints the processor time of the whole process and the elapsed time of each step.
 *
 *     node bench/share-copy.ts [ROUNDS]        # one round of all peers after the other; needs qemu-system-x86_64
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { fetchGuest } from "../tools/fetch-guests.ts";

const FOLDERS = 20;
const FILES_PER_FOLDER = 100;
const LARGEST_FILE_BYTES = 50_000;
const MAIN = path.resolve(import.meta.dirname, "../src/cli/main.ts");
const PROMPT = "# ";
const TIMEOUT_MS = 900_000;
/** USER_HZ, in which /proc counts. */
const TICKS_PER_S = 100;

const MOUNT_9P = "mount -t 9p -o trans=virtio,version=9p2000.L work /mnt";
const STEPS = {
  "from the share": "cp -r /mnt/tree /tmp/tree",
  "to the share": "cp -r /tmp/tree /mnt/copy",
  "list and stat": "find /mnt/copy -size +100k | wc -l",
  remove: "rm -r /mnt/copy",
};

interface Cost {
  readonly cpuS: number;
  readonly elapsedS: number;
}

interface Peer {
  readonly name: string;
  readonly mount: string;
  command(guest: { kernel: string; initrd: string }, folder: string): string[];
}

const append = "console=ttyS0 quiet";
const ours = (protocol: string): Peer => ({
  name: `Ringfence ${protocol}`,
  mount: protocol === "9p" ? MOUNT_9P : "mount -t virtiofs work /mnt",
  command: ({ kernel, initrd }, folder) => [
    ...[process.execPath, MAIN, "run", "--network", "none", "--kernel", kernel, "--initrd", initrd],
    ...["--append", append, "--share", `${folder},tag=work,protocol=${protocol}`],
  ],
});
const PEERS: readonly Peer[] = [
  {
    name: "QEMU TCG 9p",
    mount: MOUNT_9P,
    command: ({ kernel, initrd }, folder) => [
      ...["qemu-system-x86_64", "-accel", "tcg", "-m", "512", "-nographic", "-nic", "none", "-no-reboot"],
      ...["-kernel", kernel, "-initrd", initrd, "-append", append],
      ...["-virtfs", `local,path=${folder},mount_tag=work,security_model=passthrough`],
    ],
  },
  ours("9p"),
  ours("virtiofs"),
];

/** A guest's console: types a line, waits for a text. */
class Console {
  readonly #child: ChildProcess;
  #output = "";
  #wake = () => {};

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.setEncoding("latin1").on("data", (text: string) => {
      this.#output += text;
      if (process.env["RINGFENCE_DEBUG"] === "1") process.stderr.write(text);
      this.#wake();
    });
    child.on("close", () => this.#wake());
  }

  type(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  /** Takes the output up to the text. */
  async until(text: string): Promise<void> {
    const deadline = setTimeout(() => this.#child.kill("SIGKILL"), TIMEOUT_MS);
    while (!this.#output.includes(text)) {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null)
        throw new Error(`the guest ended:\n${this.#output.slice(-2000)}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    clearTimeout(deadline);
    this.#output = this.#output.slice(this.#output.indexOf(text) + text.length);
  }
}

function makeTree(folder: string): void {
  for (let i = 0; i < FOLDERS; i++) {
    mkdirSync(path.join(folder, `tree/${i}`), { recursive: true });
    for (let j = 0; j < FILES_PER_FOLDER; j++) {
      const sizeBytes = Math.round((LARGEST_FILE_BYTES * (j + 1)) / FILES_PER_FOLDER);
      writeFileSync(path.join(folder, `tree/${i}/${j}`), randomBytes(sizeBytes));
    }
  }
}

/** Processor time of a process with all its threads, user and system, of which the kernel's own is a part. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
}

async function measure(peer: Peer, guest: { kernel: string; initrd: string }): Promise<Record<string, Cost>> {
  const folder = mkdtempSync(path.join(tmpdir(), "ringfence-share-copy-"));
  try {
    makeTree(folder);
    const [program = "", ...parameters] = peer.command(guest, folder);
    const child = spawn(program, parameters, { stdio: ["pipe", "pipe", "ignore"] });
    const console = new Console(child);
    const costs: Record<string, Cost> = {};
    // The shell asks the terminal where its cursor is, and takes what was typed ahead for the answer.
    await console.until(PROMPT);
    console.type(`mkdir -p /mnt && ${peer.mount} && echo mounted=$((1+1))`);
    await console.until("mounted=2");
    await console.until(PROMPT);
    for (const [name, command] of Object.entries(STEPS)) {
      const [cpuS, startMs] = [cpuSeconds(child.pid ?? 0), performance.now()];
      console.type(`${command}; echo status=$?=`);
      await console.until("status=0=");
      const elapsedS = (performance.now() - startMs) / 1000;
      costs[name] = { cpuS: cpuSeconds(child.pid ?? 0) - cpuS, elapsedS };
      await console.until(PROMPT);
    }
    console.type("diff -r /tmp/tree /mnt/tree && echo same=$((1+1))");
    await console.until("same=2");
    child.kill("SIGKILL");
    return costs;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  const guest = await fetchGuest("standard-guest", console.error);
  if (!guest.available) throw new Error(guest.reason);
  const hasQemu = spawnSync("qemu-system-x86_64", ["--version"]).status === 0;
  const peers = PEERS.filter(({ name }) => hasQemu || !name.startsWith("QEMU"));
  const files = { kernel: guest.kernelPath, initrd: guest.initrdPath ?? "" };
  console.log(`${FOLDERS * FILES_PER_FOLDER} files, 50 MB; seconds of processor time (elapsed)`);
  for (let round = 0; round < Number(process.argv[2] ?? 1); round++) {
    for (const peer of peers) {
      const costs = await measure(peer, files);
      const cells = Object.entries(costs).map(
        ([name, { cpuS, elapsedS }]) => `${name} ${cpuS.toFixed(1)} (${elapsedS.toFixed(1)})`,
      );
      console.log(`${peer.name.padEnd(20)} ${cells.join("   ")}`);
    }
  }
}

await main();
