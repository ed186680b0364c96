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
  `two deterministic boots are equal in every byte and in the instructions executed${suffix}`,
  { timeout: TIMEOUT_MS + 5000 },
  async () => {
    const [first, second] = await Promise.all([0, 1].map(() => runGuest(OPTIONS, [], TIMEOUT_MS)));
    const counts = [first, second].map((run) => /(\d+) instructions/.exec(run?.messages ?? "")?.[1]);
    expect(first?.status).toBe(0);
    expect(first?.output).toContain("Power down");
    expect(second?.output).toBe(first?.output);
    expect(Number(counts[0])).toBeGreaterThan(1e8);
    expect(counts[1]).toBe(counts[0]);
  },
);
