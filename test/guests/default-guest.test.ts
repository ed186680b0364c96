import { expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { PROMPT, runGuest } from "./console.ts";

const guest = await fetchGuest("default");
const suffix = guest.available ? "" : ` (skipped: ${guest.reason})`;
const bootTest = test.skipIf(!guest.available);
const TIMEOUT_MS = 240_000;

bootTest(
  `the shell answers commands, and poweroff ends with status 0${suffix}`,
  { timeout: TIMEOUT_MS + 5000 },
  async () => {
    const lines = [
      "uname -a",
      "grep 'model name' /proc/cpuinfo",
      "top -b -n 1 | head -4",
      "ls /",
      "sleep 1 && echo slept",
      "dmesg -r | grep -c '^<[0-3]>'",
      "poweroff",
    ];
    const steps = lines.map((type) => ({ after: PROMPT, type }));
    const { status, output } = await runGuest([], steps, TIMEOUT_MS);
    expect(output).toMatch(/Linux ringfence 6\.\S+-cloud-amd64 .* x86_64/);
    expect(output).toMatch(/model name\s+: Ringfence virtual processor/);
    expect(output).toContain("Load average:");
    expect(output).toMatch(/bin +etc +lib +proc/);
    expect(output).toContain("\nslept");
    expect(output).toMatch(/'\^<\[0-3\]>'\r\n0\r\n/);
    expect(output).not.toMatch(/not found|Kernel panic|Oops|BUG:|Call Trace/);
    expect(output).toContain("reboot: Power down");
    expect(status).toBe(0);
  },
);

bootTest(
  `a reset ends with status 4 under --no-reboot${suffix}`,
  { timeout: TIMEOUT_MS + 5000 },
  async () => {
    const { status, output, messages } = await runGuest(
      ["--no-reboot"],
      [{ after: PROMPT, type: "reboot -f" }],
      TIMEOUT_MS,
    );
    expect(output).toContain("reboot: Restarting system");
    expect(messages).toContain("the guest reset the machine");
    expect(status).toBe(4);
  },
);
