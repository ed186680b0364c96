/**
 * Throughput of disks (fio), of the network (iperf3 through the NAT) and of shared folders (copying a tree), in the same
 * guest under Ringfence and QEMU's TCG: processor time of the whole process and elapsed time of each step, and the
 * ratios of Ringfence to QEMU, as medians over the rounds.
 *
 *     node bench/throughput.ts [--rounds N] [--learn] [disk] [network] [share]
 *
 * With --learn, Ringfence has done the same once before with its own option of that name, which is not counted.
 * Needs qemu-system-x86_64; fio for disks and iperf3 for the network, which go into the guest with their libraries.
 */
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { fetchGuest } from "../tools/fetch-guests.ts";
import { type Cost, MeasuredGuest } from "./measured-guest.ts";

const RINGFENCE = path.resolve(import.meta.dirname, "../bin/ringfence");
const APPEND = "console=ttyS0 quiet";
const DISK_BYTES = 256 << 20;
const IPERF_PORT = 52_010;
const FOLDERS = 20;
const FILES_PER_FOLDER = 100;
const LARGEST_FILE_BYTES = 50_000;

/** What a suite needs of a machine, and what it does in it. */
interface Suite {
  /** Devices, for either program. */
  devices(folder: string, protocol: string): { ours: string[]; qemu: string[] };
  readonly protocols: readonly string[];
  prepare(folder: string): void;
  /** In the guest, before anything is measured. */
  readonly setUp: readonly string[];
  /** What each step's program costs before it does anything: taken off the steps, and a row of its own. */
  readonly starting?: string;
  readonly steps: Readonly<Record<string, string>>;
  /** In the guest, at the end: fails unless the steps did what they should. */
  readonly check: string;
}

const mount9p = (tag: string, at: string) =>
  `mkdir -p ${at} && mount -t 9p -o trans=virtio,version=9p2000.L ${tag} ${at}`;

/** Programs of this host run in the guest by their own loader. */
const TOOLS = `${mount9p("tools", "/mnt/tools")} && cp -r /mnt/tools /tmp/tools && umount /mnt/tools`;
const tool = (name: string) => `/tmp/tools/ld.so --library-path /tmp/tools /tmp/tools/${name}`;

const fio = (mode: string, block: string, megabytes: number, depth: number, loops = 1) =>
  `${tool("fio")} --name=t --filename=/dev/vda --direct=1 --ioengine=libaio --rw=${mode} --bs=${block} ` +
  `--size=${megabytes}M --iodepth=${depth} --loops=${loops} --randseed=7 >/tmp/fio.txt`;
const iperf = (more: string) => `${tool("iperf3")} -c 10.0.2.2 -p ${IPERF_PORT} ${more} >/tmp/iperf.txt`;

const SUITES: Readonly<Record<string, Suite>> = {
  disk: {
    protocols: [""],
    prepare: (folder) => {
      writeFileSync(path.join(folder, "disk.raw"), randomBytes(DISK_BYTES));
      copyTools(path.join(folder, "tools"), ["fio"]);
    },
    devices: (folder) => ({
      ours: ["--disk", `${folder}/disk.raw,format=raw`, "--share", `${folder}/tools,tag=tools,protocol=9p`],
      qemu: [
        "-drive",
        `file=${folder}/disk.raw,if=virtio,format=raw`,
        ...qemuShare(`${folder}/tools`, "tools"),
      ],
    }),
    setUp: [TOOLS],
    starting: fio("read", "4k", 1, 1),
    steps: {
      "read 1 MiB in a row": fio("read", "1M", 256, 4, 32),
      "write 1 MiB in a row": fio("write", "1M", 256, 4, 32),
      "read 4 KiB at random": fio("randread", "4k", 64, 1),
      "read 4 KiB at random, 16 at a time": fio("randread", "4k", 128, 16),
      "write 4 KiB at random, 16 at a time": fio("randwrite", "4k", 128, 16),
    },
    check: "grep -q 'issued rwts: total=0,32768' /tmp/fio.txt",
  },
  network: {
    protocols: [""],
    prepare: (folder) => copyTools(path.join(folder, "tools"), ["iperf3"]),
    devices: (folder) => ({
      ours: ["--network", "user", "--share", `${folder}/tools,tag=tools,protocol=9p`],
      qemu: ["-nic", "user,model=virtio-net-pci", ...qemuShare(`${folder}/tools`, "tools")],
    }),
    setUp: [TOOLS, "while ! ip -4 route | grep -q default; do sleep 0.1; done"],
    steps: { "guest sends 256 MiB": iperf("-n 256M"), "guest receives 256 MiB": iperf("-R -n 256M") },
    check: "grep -q '256 MBytes' /tmp/iperf.txt",
  },
  share: {
    protocols: ["9p", "virtiofs"],
    prepare: makeTree,
    devices: (folder, protocol) => ({
      ours: ["--network", "none", "--share", `${folder},tag=work,protocol=${protocol}`],
      qemu: ["-nic", "none", ...qemuShare(folder, "work")],
    }),
    setUp: [`${mount9p("work", "/mnt")} || mount -t virtiofs work /mnt`],
    steps: {
      "from the share": "cp -r /mnt/tree /tmp/tree",
      "to the share": "cp -r /tmp/tree /mnt/copy",
      "list and stat": "find /mnt/copy -size +100k | wc -l",
      remove: "rm -r /mnt/copy",
    },
    check: "diff -r /tmp/tree /mnt/tree",
  },
};

function qemuShare(folder: string, tag: string): string[] {
  return ["-virtfs", `local,path=${folder},mount_tag=${tag},security_model=passthrough`];
}

/** Programs with their libraries and loader, without folders. */
function copyTools(folder: string, names: readonly string[]): void {
  mkdirSync(folder);
  for (const name of names) {
    const program = spawnSync("which", [name], { encoding: "utf8" }).stdout.trim();
    if (program === "") throw new Error(`${name} is not installed`);
    copyFileSync(program, path.join(folder, name));
    for (const [, file = ""] of spawnSync("ldd", [program], { encoding: "utf8" }).stdout.matchAll(
      /(\/\S+) \(/g,
    ))
      copyFileSync(
        realpathSync(file),
        path.join(folder, /ld-linux/.test(file) ? "ld.so" : path.basename(file)),
      );
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

const STARTING = "(starting the program)";
const NOTHING: Cost = { cpuS: 0, elapsedS: 0 };
const STARTS = 4;

/** What a command costs whose code is no longer new to the translators. */
async function warmCost(guest: MeasuredGuest, line: string): Promise<Cost> {
  let cost = NOTHING;
  for (let i = 0; i < STARTS; i++) cost = await guest.run(line);
  return cost;
}

async function measure(suite: Suite, command: string[]): Promise<Record<string, Cost>> {
  const guest = new MeasuredGuest(command);
  try {
    await guest.booted();
    for (const line of suite.setUp) await guest.run(line);
    const costs: Record<string, Cost> = {};
    const start = suite.starting === undefined ? NOTHING : await warmCost(guest, suite.starting);
    if (start !== NOTHING) costs[STARTING] = start;
    for (const [name, line] of Object.entries(suite.steps)) {
      const { cpuS, elapsedS } = await guest.run(line);
      costs[name] = { cpuS: cpuS - start.cpuS, elapsedS: elapsedS - start.elapsedS };
    }
    await guest.run(suite.check);
    await guest.powerOff();
    return costs;
  } finally {
    guest.kill();
  }
}

interface Plan {
  readonly rounds: number;
  readonly learns: boolean;
}

async function runSuite(
  suite: Suite,
  kernel: string,
  initrd: string,
  { rounds, learns }: Plan,
): Promise<void> {
  const boot = (first: string) =>
    ["--kernel", kernel, "--initrd", initrd, "--append", APPEND].map((word) =>
      first === "-" && word.startsWith("--") ? word.slice(1) : word,
    );
  const all = new Map<string, Record<string, Cost>[]>();
  for (let round = 0; round < rounds; round++) {
    for (const protocol of ["qemu", ...suite.protocols]) {
      const folder = mkdtempSync(path.join(tmpdir(), "ringfence-throughput-"));
      try {
        suite.prepare(folder);
        const { ours, qemu } = suite.devices(folder, protocol);
        const command =
          protocol === "qemu"
            ? [
                "qemu-system-x86_64",
                "-accel",
                "tcg",
                "-m",
                "512",
                "-nographic",
                "-no-reboot",
                ...boot("-"),
                ...qemu,
              ]
            : [RINGFENCE, "run", ...boot("--"), ...ours];
        const name = protocol === "qemu" ? "QEMU TCG" : `Ringfence ${protocol}`.trim();
        if (learns && round === 0 && protocol !== "qemu") await measure(suite, [...command, "--learn"]);
        const costs = await measure(suite, command);
        all.set(name, [...(all.get(name) ?? []), costs]);
        for (const [step, { cpuS, elapsedS }] of Object.entries(costs))
          console.log(
            `  ${name.padEnd(19)} ${step.padEnd(36)} ${cpuS.toFixed(2)} s of processor time, ${elapsedS.toFixed(2)} s elapsed`,
          );
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }
  }
  printRatios(suite, all);
}

function printRatios(suite: Suite, all: ReadonlyMap<string, readonly Record<string, Cost>[]>): void {
  const median = (peer: string, step: string, of: keyof Cost) => {
    const values = (all.get(peer) ?? [])
      .map((costs) => costs[step]?.[of] ?? Number.NaN)
      .sort((a, b) => a - b);
    return values[values.length >> 1] ?? Number.NaN;
  };
  console.log("| step | peer | processor time, s | to QEMU | elapsed, s | to QEMU |");
  console.log("|---|---|---|---|---|---|");
  for (const step of [...(suite.starting === undefined ? [] : [STARTING]), ...Object.keys(suite.steps)]) {
    for (const peer of all.keys()) {
      const cells = (["cpuS", "elapsedS"] as const).flatMap((of) => {
        const value = median(peer, step, of);
        return [value.toFixed(2), (value / median("QEMU TCG", step, of)).toFixed(2)];
      });
      console.log(`| ${[step, peer, ...cells].join(" | ")} |`);
    }
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { rounds: { type: "string", default: "1" }, learn: { type: "boolean", default: false } },
    allowPositionals: true,
  });
  const guest = await fetchGuest("standard-guest", console.error);
  if (!guest.available) throw new Error(guest.reason);
  const server = spawn("iperf3", ["-s", "-B", "127.0.0.1", "-p", String(IPERF_PORT)], { stdio: "ignore" });
  server.on("error", () => {});
  try {
    for (const name of positionals.length > 0 ? positionals : Object.keys(SUITES)) {
      const suite = SUITES[name];
      if (suite === undefined)
        throw new Error(`no suite ${name}; there are ${Object.keys(SUITES).join(", ")}`);
      console.log(`${name}:`);
      await runSuite(suite, guest.kernelPath, guest.initrdPath ?? "", {
        rounds: Number(values.rounds),
        learns: values.learn,
      });
    }
  } finally {
    server.kill();
  }
}

await main();
