import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { lockstepMachine } from "./lockstep-machine.ts";

const guest = await fetchGuest("cloud-kernel");
const suffix = guest.available ? "" : ` (skipped: ${guest.reason})`;
const INSTRUCTIONS = 30_000_000;

test.skipIf(!guest.available)(
  `every block translated, the first 30 million instructions of Debian's kernel are the interpreter's${suffix}`,
  { timeout: 240_000 },
  () => {
    if (!guest.available) return;
    const kernel = new Uint8Array(readFileSync(guest.kernelPath));
    const boot = { kernel, commandLine: "console=ttyS0", modules: [] };
    const { processor, runTo } = lockstepMachine(boot, "translator", 512 << 20);
    runTo(INSTRUCTIONS);
    processor.finish();
    expect(processor.instructions).toBeGreaterThanOrEqual(INSTRUCTIONS);
    expect(processor.comparedRuns).toBeGreaterThan(200);
  },
);
