import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { CodeBits } from "../../src/decode/decoder.ts";
import { compareBinary, compareRandom } from "./compare.ts";
import { Report } from "./judge.ts";
import { objdumpUnavailable } from "./objdump.ts";

const BATCH = 10_000;
/** As much of each file's code as keeps the suite short; `fuzz.ts` and time have no end. */
const BINARY_BYTES = 400_000;
const BINARIES = ["/bin/bash", "/bin/busybox", "/lib/x86_64-linux-gnu/libc.so.6", process.execPath];

const unavailable = objdumpUnavailable();
const title =
  unavailable === undefined ? "objdump and the decoder agree" : `objdump agrees (skipped: ${unavailable})`;

describe.skipIf(unavailable !== undefined)(title, () => {
  const widths: readonly CodeBits[] = [64, 32, 16];
  it.each(widths)("on random instructions of %i-bit code", async (codeBits) => {
    const report = new Report();
    for (let seed = 1; seed <= 2; seed++) await compareRandom(report, seed, BATCH, codeBits);
    expect(report.differences.map((d) => d.text)).toEqual([]);
    expect(report.agreed).toBeGreaterThan(BATCH / 2);
  });

  it.each(BINARIES.filter((path) => existsSync(path)))("on %s", async (path) => {
    const report = new Report();
    await compareBinary(report, path, BINARY_BYTES);
    expect(report.differences.map((d) => d.text)).toEqual([]);
    expect(report.agreed).toBeGreaterThan(BINARY_BYTES / 10);
  });
});
