import { existsSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { runGuest } from "./console.ts";

const TIMEOUT_MS = 3_600_000;
const ENGINES = ["lockstep-auto", "lockstep"];
const guest = await fetchGuest("default");
const suffix = guest.available ? "" : ` (skipped: ${guest.reason})`;

// What `npm run bench` prepares: a kernel, and an initial RAM disk that runs vmbench.
const CACHE = process.env["XDG_CACHE_HOME"] ?? path.join(os.homedir(), ".cache");
const BENCH = process.env["RINGFENCE_BENCH"] ?? path.join(CACHE, "ringfence", "bench");
const isPrepared = existsSync(path.join(BENCH, "initrd.gz"));
const benchSuffix = isPrepared ? "" : ` (skipped: ${BENCH} is not prepared; npm run bench does that)`;

const comparedRuns = (messages: string) =>
  Number(/runs compared in lockstep, without a difference: (\d+)/.exec(messages)?.[1]);

test.skipIf(!guest.available).each(ENGINES)(
  `%s: the default guest boots to its shell and powers off, compared after every run${suffix}`,
  { timeout: TIMEOUT_MS + 5000 },
  async (engine) => {
    const steps = [
      { after: "root@ringfence:~# ", type: "uname -a; ls /" },
      { after: "root@ringfence:~# ", type: "poweroff" },
    ];
    const { status, messages } = await runGuest(["--engine", engine, "--stats"], steps, TIMEOUT_MS);
    expect(messages).not.toContain("engines differ");
    expect(comparedRuns(messages)).toBeGreaterThan(5000);
    expect(status).toBe(0);
  },
);

test.skipIf(!isPrepared).each(ENGINES)(
  `%s: all tests of vmbench, compared after every run${benchSuffix}`,
  { timeout: TIMEOUT_MS + 5000 },
  async (engine) => {
    const files = ["--kernel", path.join(BENCH, "vmlinuz"), "--initrd", path.join(BENCH, "initrd.gz")];
    const append = ["--append", "console=ttyS0 quiet panic=-1 bench=-s,0.0001"];
    const options = ["--engine", engine, "--deterministic", "--no-reboot", "--stats", ...files, ...append];
    const { status, output, messages } = await runGuest(options, [], TIMEOUT_MS);
    expect(messages).not.toContain("engines differ");
    expect(output).toContain("BENCHDONE");
    expect(comparedRuns(messages)).toBeGreaterThan(5000);
    expect(status).toBe(0);
  },
);
