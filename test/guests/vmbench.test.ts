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

const ROOT = path.resolve(import.meta.dirname, "..", "..");
const FOLDER = path.join(ROOT, "build", "vmbench");
const PROGRAM = path.join(FOLDER, "vmbench");
const SCALE = "0.002";
/** Natively these have no right to the ports; in the guest they run as root. */
const PRIVILEGED = ["in80", "in61", "in3fd"];
const TIMEOUT_MS = 400_000;

const guest = await fetchGuest("cloud-kernel");
const obstacle = !guest.available ? guest.reason : compile();
const suffix = obstacle === undefined ? "" : ` (skipped: ${obstacle})`;

/** Makes the program; returns why that is not possible. */
function compile(): string | undefined {
  if (process.arch !== "x64" || process.platform !== "linux") return "the host is not Linux on x86-64";
  mkdirSync(FOLDER, { recursive: true });
  const source = path.join(ROOT, "bench", "vmbench.c");
  // As bench/prepare.sh has it.
  const options = ["-O2", "-static", "-march=x86-64", "-fno-math-errno", "-w", "-o", PROGRAM, source];
  const { status, error } = spawnSync("gcc", options);
  if (error !== undefined) return "there is no gcc";
  return status === 0 && existsSync(PROGRAM) ? undefined : "gcc cannot link static programs";
}

/** Test name -> units of work and checksum. */
function checksums(output: string): Map<string, string> {
  const rows = [...output.matchAll(/^R (\w+) 0 (\d+) .* ([0-9a-f]{16})\r?$/gm)];
  return new Map(rows.map(([, name = "", units, checksum]) => [name, `${units} ${checksum}`]));
}

const INIT = `#!/busybox sh
/busybox mount -t proc proc /proc
/busybox mount -t devtmpfs devtmpfs /dev
/vmbench -s ${SCALE}
/busybox poweroff -f
`;

async function initrd(): Promise<Uint8Array<ArrayBuffer>> {
  const { busybox = "" } = await fetchDebianFiles(new GuestCache(), BUSYBOX, () => {});
  const program = (file: string, bytes: Uint8Array) =>
    ({ kind: "file", path: file, permissions: 0o755, bytes }) as const;
  return writeCpio([
    ...["dev", "proc", "tmp"].map((folder) => ({ kind: "folder", path: folder }) as const),
    { kind: "character-device", path: "dev/console", major: 5, minor: 1 },
    program("busybox", readFileSync(busybox)),
    program("vmbench", readFileSync(PROGRAM)),
    program("init", new TextEncoder().encode(INIT)),
  ]);
}

test.skipIf(obstacle !== undefined)(
  `every test of vmbench gives the checksum that it has on the host${suffix}`,
  { timeout: TIMEOUT_MS + 30_000 },
  async () => {
    if (!guest.available) return;
    const initrdPath = path.join(FOLDER, "initrd.cpio");
    writeFileSync(initrdPath, await initrd());
    const native = checksums(spawnSync(PROGRAM, ["-s", SCALE], { encoding: "utf8" }).stdout);
    const files = ["--kernel", guest.kernelPath, "--initrd", initrdPath];
    const options = [...files, "--append", "console=ttyS0 quiet panic=-1", "--no-reboot"];
    const { output, status } = await runGuest(options, [], TIMEOUT_MS);
    const here = checksums(output);
    expect(output).toContain("BENCHDONE");
    expect([...here.keys()]).toEqual([...native.keys()]);
    for (const name of PRIVILEGED) {
      native.delete(name);
      here.delete(name);
    }
    expect(here).toEqual(native);
    expect(here.size).toBe(33);
    expect(status).toBe(0);
  },
);
