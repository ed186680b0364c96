import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { describe, expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { inFolder } from "../disk/qemu-img.ts";
import { PROMPT, RINGFENCE, runGuest } from "./console.ts";
import { type DebianUserland, debianUserland, libcFunctionNames } from "./userland/debian-userland.ts";

const TIMEOUT_MS = 5_400_000;
/** Level 3 of the psABI, with what OpenSSL looks for besides. */
const V3 = "x86-64-v3,+aes,+pclmulqdq,+sha,+adx";
const ENGINES = (process.env["RINGFENCE_USERLAND_ENGINES"] ?? "auto").split(",");

/** Suites that one guest runs, which lines tell of them, and how many. */
interface Part {
  readonly suites: string;
  readonly of: RegExp;
  readonly verdicts: number;
}

const PARTS: readonly Part[] = [
  { suites: "string_functions openssl", of: /^SUITE openssl /, verdicts: 58 },
  { suites: "python", of: /^SUITE python /, verdicts: 29 },
  { suites: "perl", of: /^SUITE perl /, verdicts: 54 },
  { suites: "lapack", of: /^SUITE (sse|x87) /, verdicts: 100 },
];

const guest = await fetchGuest("default");
let userland: DebianUserland | undefined;
let obstacle = guest.available ? undefined : guest.reason;
try {
  if (obstacle === undefined) userland = await debianUserland((line) => console.warn(line));
} catch (error) {
  obstacle = error instanceof Error ? error.message : String(error);
}
const suffix = obstacle === undefined ? "" : ` (skipped: ${obstacle})`;

/** Runs suites in a guest that boots with the userland as a disk; the disk itself stays as it is. */
function runInGuest({ disk }: DebianUserland, options: readonly string[], suites: string): Promise<string> {
  return inFolder(async (folder) => {
    const overlay = path.join(folder, "overlay.qcow2");
    expect(spawnSync(RINGFENCE, ["disk", "create", overlay, "--backing", disk]).status).toBe(0);
    const lines = [
      "mkdir /d && mount -t ext4 /dev/vda /d && mount -t tmpfs tmp /d/tmp",
      "mount -t proc proc /d/proc; mount -t sysfs sys /d/sys; mount -t devtmpfs dev /d/dev",
      `chroot /d /bin/sh /suites/run.sh ${suites}`,
      "poweroff",
    ];
    const steps = lines.map((type) => ({ after: PROMPT, type }));
    const all = ["--memory", "1G", "--disk", overlay, ...options];
    const { output, status } = await runGuest(all, steps, TIMEOUT_MS);
    expect(status).toBe(0);
    return output.replaceAll("\r", "");
  });
}

/** Runs all suites on the host, in a copy of the userland; undefined where the host forbids that. */
function runOnHost({ root }: DebianUserland): string | undefined {
  const folder = mkdtempSync(path.join(tmpdir(), "ringfence-userland-"));
  try {
    spawnSync("cp", ["-a", `${root}/.`, folder]);
    const script =
      'set -e; mount --rbind /dev "$1/dev"; mount -t proc proc "$1/proc"; mount -t tmpfs tmp "$1/tmp"; exec chroot "$1" /bin/sh /suites/run.sh';
    const own = ["--map-root-user", "--mount", "--pid", "--fork", "sh", "-c", script, "sh", folder];
    const { status, stdout } = spawnSync("unshare", own, { encoding: "utf8", maxBuffer: 64 << 20 });
    return status === 0 ? stdout : undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Lines "SUITE ...": what must not depend on the machine. */
const verdicts = (output: string): string[] => output.split("\n").filter((line) => line.startsWith("SUITE "));

/** Name of the C library's function that each string function leads to. */
function stringFunctions(of: DebianUserland, output: string): string[] {
  const names = libcFunctionNames(of);
  const found = output.matchAll(/^IFUNC (\w+) ([0-9a-f]+)$/gm);
  return Array.from(
    found,
    ([, , offset = ""]) => names.get(offset)?.join(" ") ?? `nothing known at ${offset}`,
  );
}

describe.skipIf(obstacle !== undefined)(`Debian's userland${suffix}`, () => {
  const native = userland === undefined ? undefined : runOnHost(userland);
  if (userland !== undefined && native === undefined)
    console.warn("the host does not let the suites run natively: nothing to compare their counts with");

  const runs = ENGINES.flatMap((engine) => PARTS.map((part) => ({ engine, ...part })));
  test.each(runs)(
    "--engine $engine: $suites end as on the host",
    { timeout: TIMEOUT_MS + 60_000 },
    async ({ engine, suites, of, verdicts: wanted }) => {
      if (userland === undefined) return;
      const output = await runInGuest(userland, ["--cpu", V3, "--engine", engine], suites);
      const found = verdicts(output);
      console.log([...found, ...output.split("\n").filter((line) => /^(CPU|SPEED)/.test(line))].join("\n"));
      expect(output).toContain("SUITESDONE");
      // In x87's precision some of LAPACK's tests fail by a hair, on the host too.
      const failures = /failed [1-9]|FAILED|instead of|not back|no verdict/;
      expect(found.filter((line) => !line.startsWith("SUITE x87 ") && failures.test(line))).toEqual([]);
      expect(found).toHaveLength(wanted);
      if (native !== undefined) expect(found).toEqual(verdicts(native).filter((line) => of.test(line)));
      if (!suites.includes("openssl")) return;
      expect(output).toMatch(/^CPU level x86-64-v3 \(supported, searched\)$/m);
      for (const name of stringFunctions(userland, output)) expect(name).toMatch(/_avx2|_avx_unaligned/);
      expect(output).toContain("SPEEDDONE");
    },
  );

  test("--cpu x86-64-v1: the C library takes SSE2 functions", { timeout: 600_000 }, async () => {
    if (userland === undefined) return;
    const output = await runInGuest(userland, ["--cpu", "x86-64-v1"], "string_functions");
    expect(output).not.toMatch(/^CPU level .* \(supported/m);
    for (const name of stringFunctions(userland, output)) expect(name).toMatch(/_sse2/);
  });
});
