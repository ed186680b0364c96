import { expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { PROMPT, runGuest } from "./console.ts";

const kernel = await fetchGuest("standard-kernel");
const busybox = await fetchGuest("default");
const obstacle = !kernel.available ? kernel.reason : busybox.available ? undefined : busybox.reason;
const suffix = obstacle === undefined ? "" : ` (skipped: ${obstacle})`;
const TIMEOUT_MS = 600_000;

test.skipIf(obstacle !== undefined)(
  `Debian's standard kernel boots to a shell and powers off${suffix}`,
  { timeout: TIMEOUT_MS + 5000 },
  async () => {
    if (!kernel.available || !busybox.available) return;
    const files = ["--kernel", kernel.kernelPath, "--initrd", busybox.initrdPath ?? ""];
    const steps = ["uname -r", "dmesg -r | grep '^<[0-3]>'", "poweroff"].map((type) => ({
      after: PROMPT,
      type,
    }));
    const { status, output } = await runGuest([...files, "--append", "console=ttyS0"], steps, TIMEOUT_MS);
    expect(output).toMatch(/^6\.\S+-amd64\r$/m);
    expect(output).not.toMatch(/^<[0-3]>|Oops|BUG:|Call Trace/m);
    expect(status).toBe(0);
  },
);
