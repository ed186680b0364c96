import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { writeCpio } from "../../src/host/cpio.ts";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { runGuest } from "./console.ts";

const guest = await fetchGuest("cloud-kernel");
const gccAvailable = spawnSync("gcc", ["--version"]).status === 0;
const obstacle = guest.available ? (gccAvailable ? undefined : "there is no gcc") : guest.reason;
const suffix = obstacle === undefined ? "" : ` (skipped: ${obstacle})`;
const TIMEOUT_MS = 240_000;
const SOURCE = path.join(import.meta.dirname, "programs", "processor-features.c");

test.skipIf(obstacle !== undefined)(
  `Debian's kernel counts instructions, samples them, and guards pages by protection keys${suffix}`,
  { timeout: TIMEOUT_MS + 5000 },
  async () => {
    if (!guest.available) return;
    const folder = mkdtempSync(path.join(tmpdir(), "ringfence-features-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const program = path.join(folder, "init");
    const compiled = spawnSync("gcc", ["-static", "-O1", "-o", program, SOURCE], { encoding: "utf8" });
    expect(compiled.stderr).toBe("");
    const initrdPath = path.join(folder, "initrd.cpio");
    const init = readFileSync(program);
    writeFileSync(initrdPath, writeCpio([{ kind: "file", path: "init", permissions: 0o755, bytes: init }]));
    const files = ["--kernel", guest.kernelPath, "--initrd", initrdPath];
    const options = ["--cpu", "max", ...files, "--append", "console=ttyS0 quiet"];
    const { status, output } = await runGuest(options, [], TIMEOUT_MS);
    const instructions = Number(/^instructions (\d+)/m.exec(output)?.[1]);
    // The loop has 2,000,001; the rest is the kernel's, on the way in and out and for its timer.
    expect(instructions).toBeGreaterThan(2_000_001);
    expect(instructions).toBeLessThan(2_200_000);
    expect(Number(/^cycles (\d+)/m.exec(output)?.[1])).toBeGreaterThan(2_000_001);
    // 20,000,010 instructions, and those of the kernel meanwhile.
    const samples = Number(/^samples (\d+)/m.exec(output)?.[1]);
    expect(samples).toBeGreaterThanOrEqual(19);
    expect(samples).toBeLessThanOrEqual(24);
    // SIGSEGV, SEGV_PKUERR
    expect(output.match(/^signal 11 code 4 key 1\r$/gm)).toHaveLength(2);
    expect(output).toContain("key 1, write-disabled: reads 1");
    expect(output).toContain("enabled again: reads 2");
    expect(status).toBe(0);
  },
);
