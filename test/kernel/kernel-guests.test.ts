import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { nasmAvailable } from "../processor/assemble.ts";
import { BOCHS_DIFFERENCES, type Difference, QEMU_DIFFERENCES } from "./differences.ts";
import { assembleGuest, runOnEngine } from "./kernel-guest.ts";
import { BOCHS_MODE_DIFFERENCES, QEMU_MODE_DIFFERENCES } from "./mode-differences.ts";
import { bochsObstacle, qemuAvailable, runOnBochs, runOnQemu } from "./witnesses.ts";

// biome-ignore format: a list
const GUESTS = [
  "segments", "tasks", "virtual-8086", "debug",
  "paging-legacy", "paging-long", "fast-calls", "exceptions", "control", "interrupts",
  "real", "protection", "protected-16",
];
const ENGINES = ["interpreter", "auto", "translator", "lockstep"] as const;
/** Those of them with 64-bit code, which alone is translated. */
const LONG_GUESTS = [
  "paging-long",
  "fast-calls",
  "exceptions",
  "control",
  "interrupts",
  "protection",
  "counters",
];
const QEMU = [...QEMU_DIFFERENCES, ...QEMU_MODE_DIFFERENCES];
const BOCHS = [...BOCHS_DIFFERENCES, ...BOCHS_MODE_DIFFERENCES];
const TIMEOUT_MS = 120_000;

/** What a guest prints on a right processor, line by line. */
function transcriptOf(guest: string): string {
  return readFileSync(path.join(import.meta.dirname, "transcripts", `${guest}.txt`), "latin1");
}

/** The lines of our transcript on which a witness differs, and which of the explanations were not needed. */
function compare(guest: string, witness: string, differences: readonly Difference[]) {
  const ours = transcriptOf(guest).split("\n");
  const theirs = witness.split("\n");
  const known = differences.filter((difference) => difference.guest === guest);
  const needed = new Set<string>();
  const unexplained: string[] = [];
  for (const [index, line] of ours.entries()) {
    if (line === theirs[index]) continue;
    const names = known.flatMap(({ lines }) => lines).filter((name) => line.startsWith(name));
    const start = names.sort((a, b) => b.length - a.length)[0];
    if (start === undefined) unexplained.push(`ours: ${line}\ntheirs: ${theirs[index]}`);
    else needed.add(start);
  }
  const unneeded = known.flatMap(({ lines }) => lines).filter((name) => !needed.has(name));
  return { lines: theirs.length, unexplained, unneeded };
}

describe.skipIf(!nasmAvailable)(
  `kernel-mode guests${nasmAvailable ? "" : " (skipped: there is no nasm)"}`,
  () => {
    test.each(ENGINES)("counters on %s, which no witness has", (engine) => {
      expect(runOnEngine(assembleGuest("counters"), engine).output).toBe(transcriptOf("counters"));
    });
    test.each(ENGINES)("a triple fault on %s", (engine) => {
      const { output } = runOnEngine(assembleGuest("triple-fault"), engine);
      expect(output).toBe("begin\nno way out\ntriple-fault\n");
    });
    test.each(LONG_GUESTS)("%s: the translator's regions execute much of it", (guest) => {
      const { instructions, translated = 0 } = runOnEngine(assembleGuest(guest), "translator", true);
      expect(translated / instructions).toBeGreaterThan(0.4);
    });
    test.skipIf(!qemuAvailable)("a triple fault ends QEMU, too", { timeout: TIMEOUT_MS }, () => {
      expect(runOnQemu(assembleGuest("triple-fault"))).toBe("begin\nno way out\n");
    });
    for (const guest of GUESTS) {
      for (const engine of ENGINES) {
        test(`${guest} on ${engine}`, { timeout: TIMEOUT_MS }, () => {
          expect(runOnEngine(assembleGuest(guest), engine).output).toBe(transcriptOf(guest));
        });
      }
      const agreed = { lines: transcriptOf(guest).split("\n").length, unexplained: [], unneeded: [] };
      test.skipIf(!qemuAvailable)(
        `${guest}: QEMU agrees but for what is explained${qemuAvailable ? "" : " (skipped: there is no qemu-system-x86_64)"}`,
        { timeout: TIMEOUT_MS },
        () => {
          expect(compare(guest, runOnQemu(assembleGuest(guest)), QEMU)).toEqual(agreed);
        },
      );
      test.skipIf(bochsObstacle !== undefined)(
        `${guest}: Bochs agrees but for what is explained${bochsObstacle === undefined ? "" : ` (skipped: ${bochsObstacle})`}`,
        { timeout: TIMEOUT_MS },
        () => {
          expect(compare(guest, runOnBochs(assembleGuest(guest)), BOCHS)).toEqual(agreed);
        },
      );
    }
  },
);
