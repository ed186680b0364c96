import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import type { OverheadReport } from "../../src/machine/overhead-report.ts";
import { multibootImage } from "../hostile/images.ts";

const BIN = path.resolve(import.meta.dirname, "../../bin/ringfence");
const folder = mkdtempSync(path.join(os.tmpdir(), "ringfence-stats-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function ringfence(...parameters: string[]) {
  const { status, stdout, stderr } = spawnSync(BIN, parameters, { cwd: folder, encoding: "utf8", input: "" });
  return { status, stdout, stderr };
}

// Two instructions; 100,000 times four, of which one writes to a port; then the debug-exit port, and HLT.
const PROGRAM = [
  ...[0xb9, 0xa0, 0x86, 0x01, 0x00], // mov ecx, 100000
  ...[0x31, 0xc0], // xor eax, eax
  ...[0xff, 0x05, 0x00, 0x00, 0x20, 0x00], // again: inc dword [0x200000]
  ...[0xe6, 0x80], // out 0x80, al
  0x49, // dec ecx
  ...[0x75, 0xf5], // jnz again
  ...[0xe6, 0xf4], // out 0xf4, al
  ...[0xf4, 0xeb, 0xfd], // hlt, for ever
];
writeFileSync(path.join(folder, "kernel"), multibootImage(Uint8Array.from(PROGRAM)));
const RUN = ["run", "--kernel", "kernel", "--deterministic", "--debug-exit", "0xf4"];

test("--stats-file has each port access and each instruction of the run; stats prints and draws it", () => {
  expect(ringfence(...RUN, "--engine", "interpreter", "--stats-file", "s.json").status).toBe(1);
  const report = JSON.parse(readFileSync(path.join(folder, "s.json"), "utf8")) as OverheadReport;
  expect(report).toMatchObject({ version: 1, engine: "interpreter", resets: 0, tiers: { translated: 0 } });
  expect(report.instructions).toBe(400_004);
  expect(report.tiers.interpreted).toBe(report.instructions);
  expect(report.devices).toContainEqual(
    expect.objectContaining({ name: "nothing", space: "ports", reads: 0, writes: 100_000 }),
  );
  const ports = report.kinds.find(({ name }) => name === "port instructions");
  // Each is two functions of the core: the permission, and the access.
  expect(ports?.count).toBe(200_002);
  // What the clock itself takes is left out, so a cheap kind may come to nothing.
  expect(report.kinds.reduce((sum, { ns }) => sum + ns, 0)).toBeGreaterThan(0);

  expect(ringfence("stats", "s.json").stdout).toContain("interpreted 400004 (100.0 %)");
  const [listed] = JSON.parse(ringfence("stats", "s.json", "--json").stdout) as [Record<string, unknown>];
  expect(listed).toEqual({
    file: "s.json",
    ...JSON.parse(readFileSync(path.join(folder, "s.json"), "utf8")),
  });
  expect(ringfence("stats", "s.json", "s.json", "--plot", "out.svg").status).toBe(0);
  const svg = readFileSync(path.join(folder, "out.svg"), "utf8");
  expect(svg).toMatch(/^<svg [\s\S]*<\/svg>$/);
  for (const label of ["Sources of overhead", "translation", "interrupts", "s.json (interpreter)"])
    expect(svg).toContain(label);
});

test("--stats prints the table; without it nothing is printed", () => {
  expect(ringfence(...RUN, "--stats").stderr).toContain("system: port instructions");
  expect(ringfence(...RUN).stderr).toBe("");
});

test.each([
  ["{", "not JSON"],
  ['{"version":2}', "not statistics of version 1"],
  ['{"version":1}', "a part missing"],
])("a file with %s is refused in one line", (text, reason) => {
  writeFileSync(path.join(folder, "bad.json"), text);
  const { status, stderr } = ringfence("stats", "bad.json");
  expect({ status, lines: stderr.split("\n").length }).toEqual({ status: 2, lines: 2 });
  expect(stderr).toContain(reason);
});

test("a figure that cannot be written is named", () => {
  writeFileSync(path.join(folder, "again.json"), readFileSync(path.join(folder, "s.json")));
  expect(ringfence("stats", "again.json", "--plot", "no/such/folder.svg")).toMatchObject({
    status: 2,
    stderr: "ringfence: no/such/folder.svg: cannot be written: no such file or folder\n",
  });
});

test("two engines that agree end as one, and say how often they were compared", () => {
  const { status, stderr } = ringfence(...RUN, "--engine", "lockstep-auto", "--stats");
  expect(status).toBe(1);
  expect(stderr).toMatch(/runs compared in lockstep, without a difference: \d+/);
});
