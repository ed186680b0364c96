import { expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { PROMPT, runGuest } from "./console.ts";

const kernel = await fetchGuest("rt-kernel");
const busybox = await fetchGuest("default");
const obstacle = !kernel.available ? kernel.reason : busybox.available ? undefined : busybox.reason;
const suffix = obstacle === undefined ? "" : ` (skipped: ${obstacle})`;
const TIMEOUT_MS = 900_000;

test.skipIf(obstacle !== undefined)(
  `Debian's real-time kernel boots to a shell and powers off${suffix}`,
  { timeout: TIMEOUT_MS + 5000 },
  async () => {
    if (!kernel.available || !busybox.available) return;
    const files = ["--kernel", kernel.kernelPath, "--initrd", busybox.initrdPath ?? ""];
    const steps = ["uname -v", "dmesg -r | grep '^<[0-3]>'", "poweroff"].map((type) => ({
      after: PROMPT,
      type,
    }));
    const { status, output } = await runGuest([...files, "--append", "console=ttyS0"], steps, TIMEOUT_MS);
    expect(output).toMatch(/PREEMPT_RT/);
    expect(output).not.toMatch(/^<[0-3]>|Oops|BUG:|Call Trace/m);
    expect(status).toBe(0);
  },
);
