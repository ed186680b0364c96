import { expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { runGuest } from "./console.ts";

const guest = await fetchGuest("default");
const suffix = guest.available ? "" : ` (skipped: ${guest.reason})`;
const TIMEOUT_MS = 300_000;

// The kernel command line ends the run at userland, so that nothing has to be typed: input comes at the host's times.
const OPTIONS = [
  "--deterministic",
  "--no-reboot",
  "--stats",
  "--append",
  "rdinit=/sbin/poweroff loglevel=7 -- -f",
];

test.skipIf(!guest.available)(
  `deterministic boots are equal in every byte and in the instructions executed, on every engine${suffix}`,
  { timeout: 2 * TIMEOUT_MS + 5000 },
  async () => {
    const engines = ["interpreter", "interpreter", "auto"];
    const runs = [];
    for (const engine of engines) runs.push(await runGuest(["--engine", engine, ...OPTIONS], [], TIMEOUT_MS));
    const counts = runs.map((run) => Number(/(\d+) instructions/.exec(run.messages)?.[1]));
    expect(runs.map((run) => run.status)).toEqual([0, 0, 0]);
    expect(runs[0]?.output).toContain("Power down");
    expect(runs[1]?.output).toBe(runs[0]?.output);
    expect(runs[2]?.output).toBe(runs[0]?.output);
    expect(counts[0]).toBeGreaterThan(1e8);
    expect(counts).toEqual([counts[0], counts[0], counts[0]]);
  },
);
