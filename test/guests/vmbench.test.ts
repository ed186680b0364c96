import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { expect, test } from "vitest";
import { writeCpio } from "../../src/host/cpio.ts";
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

/** vmbench as the only program: the kernel starts it as init, and its end is the end of the kernel. */
function initrd(): Uint8Array<ArrayBuffer> {
  const init = readFileSync(PROGRAM);
  return writeCpio([
    ...["dev", "tmp"].map((folder) => ({ kind: "folder", path: folder, permissions: 0o777 }) as const),
    { kind: "character-device", path: "dev/console", major: 5, minor: 1 },
    { kind: "file", path: "vmbench", permissions: 0o755, bytes: init },
  ]);
}

test.skipIf(obstacle !== undefined)(
  `every test of vmbench gives the checksum that it has on the host${suffix}`,
  { timeout: TIMEOUT_MS + 30_000 },
  async () => {
    if (!guest.available) return;
    const initrdPath = path.join(FOLDER, "initrd.cpio");
    writeFileSync(initrdPath, initrd());
    const native = checksums(spawnSync(PROGRAM, ["-s", SCALE], { encoding: "utf8" }).stdout);
    const append = `console=ttyS0 quiet panic=-1 rdinit=/vmbench -- -s ${SCALE}`;
    const options = ["--kernel", guest.kernelPath, "--initrd", initrdPath, "--append", append, "--no-reboot"];
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
    // Init that ends is a panic, and panic=-1 makes that a reset.
    expect(status).toBe(4);
  },
);
