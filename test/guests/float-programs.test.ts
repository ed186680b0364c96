import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { expect, test } from "vitest";
import { writeCpio } from "../../src/host/cpio.ts";
import { BUSYBOX, fetchDebianFiles } from "../../src/host/node/debian-guests.ts";
import { GuestCache } from "../../src/host/node/guest-cache.ts";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { runGuest } from "./console.ts";

const SOURCES = path.join(import.meta.dirname, "float");
const FOLDER = path.resolve(import.meta.dirname, "..", "..", "build", "float");
const TIMEOUT_MS = 300_000;
const COMMON = ["-O2", "-static", "-march=x86-64", "-Wall", "-Wextra"];

/** A program, what it is compiled from, and with which options. */
interface Program {
  readonly name: string;
  readonly source: string;
  readonly options: readonly string[];
  readonly lines: number;
}

const probe = (type: string, unit: "sse" | "387"): Program => ({
  name: `probe-${type.replace(" ", "-")}-${unit}`,
  source: "probe.c",
  options: [`-mfpmath=${unit}`, "-frounding-math", `-DREAL=${type}`, `-DNAME="${type} ${unit}"`],
  lines: 138,
});

const PROGRAMS: readonly Program[] = [
  probe("float", "sse"),
  probe("double", "sse"),
  probe("float", "387"),
  probe("double", "387"),
  probe("long double", "387"),
  { name: "sweep", source: "sweep.c", options: [], lines: 555 },
];

const guest = await fetchGuest("cloud-kernel");
const obstacle = !guest.available ? guest.reason : compile();
const suffix = obstacle === undefined ? "" : ` (skipped: ${obstacle})`;

/** Makes the programs; returns why that is not possible. */
function compile(): string | undefined {
  if (process.arch !== "x64" || process.platform !== "linux") return "the host is not Linux on x86-64";
  mkdirSync(FOLDER, { recursive: true });
  for (const { name, source, options } of PROGRAMS) {
    const program = path.join(FOLDER, name);
    const all = [...COMMON, ...options, "-o", program, path.join(SOURCES, source), "-lm"];
    const { status, error } = spawnSync("gcc", all);
    if (error !== undefined) return "there is no gcc";
    if (status !== 0 || !existsSync(program)) return `gcc cannot make ${name} as a static program`;
  }
  return undefined;
}

const INIT = `#!/busybox sh
/busybox mount -t devtmpfs devtmpfs /dev
${PROGRAMS.map(({ name }) => `echo "BEGIN ${name}"; /${name}; echo "END ${name} $?"`).join("\n")}
/busybox poweroff -f
`;

async function writeInitrd(): Promise<string> {
  const { busybox = "" } = await fetchDebianFiles(new GuestCache(), BUSYBOX, () => {});
  const program = (file: string, bytes: Uint8Array) =>
    ({ kind: "file", path: file, permissions: 0o755, bytes }) as const;
  const archive = writeCpio([
    { kind: "folder", path: "dev" },
    { kind: "character-device", path: "dev/console", major: 5, minor: 1 },
    program("busybox", readFileSync(busybox)),
    ...PROGRAMS.map(({ name }) => program(name, readFileSync(path.join(FOLDER, name)))),
    program("init", new TextEncoder().encode(INIT)),
  ]);
  const file = path.join(FOLDER, "initrd.cpio");
  writeFileSync(file, archive);
  return file;
}

test.skipIf(obstacle !== undefined).each(["interpreter", "auto"])(
  `--engine %s: probes of arithmetic in SSE and x87 print what they print on the host${suffix}`,
  { timeout: TIMEOUT_MS + 30_000 },
  async (engine) => {
    if (!guest.available) return;
    const files = ["--kernel", guest.kernelPath, "--initrd", await writeInitrd()];
    const options = [...files, "--append", "console=ttyS0 quiet panic=-1", "--no-reboot", "--engine", engine];
    const { output, status } = await runGuest(options, [], TIMEOUT_MS);
    const text = output.replaceAll("\r", "");
    for (const { name, lines } of PROGRAMS) {
      const [, here] = text.split(`BEGIN ${name}\n`);
      const [printed, end] = (here ?? "").split(`END ${name} `);
      const native = spawnSync(path.join(FOLDER, name), { encoding: "utf8" }).stdout;
      expect(printed?.split("\n"), name).toEqual(native.split("\n"));
      expect(native.split("\n").length - 1, name).toBe(lines);
      expect(end?.startsWith("0\n"), name).toBe(true);
    }
    expect(status).toBe(0);
  },
);
