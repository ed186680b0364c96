import { expect, test } from "vitest";
import { fetchGuest, type GuestName } from "../../tools/fetch-guests.ts";
import { runGuest } from "./console.ts";

// A slice of what the slow suite (npm run test:guests) boots to its end: these kernels unpack themselves with xz.

const TIMEOUT_MS = 300_000;

const GUESTS: readonly (readonly [GuestName, string])[] = [
  ["standard-kernel", "512M"],
  ["debian-installer", "1G"],
];

for (const [name, memory] of GUESTS) {
  const guest = await fetchGuest(name);
  const suffix = guest.available ? "" : ` (skipped: ${guest.reason})`;
  test.skipIf(!guest.available)(
    `${name} unpacks itself and finds its memory, console and ACPI tables${suffix}`,
    { timeout: TIMEOUT_MS + 5000 },
    async () => {
      if (!guest.available) return;
      const initrd = guest.initrdPath === undefined ? [] : ["--initrd", guest.initrdPath];
      const options = [
        "--kernel",
        guest.kernelPath,
        ...initrd,
        "--append",
        "console=ttyS0",
        "--memory",
        memory,
      ];
      const steps = [{ after: /Linux version 6[\s\S]*ACPI: DSDT[\s\S]*printk: console \[ttyS0\] enabled/ }];
      const { status, output } = await runGuest(options, steps, TIMEOUT_MS);
      expect(status).toBeUndefined();
      expect(output).not.toMatch(/ACPI (Error|Warning|BIOS)|WARNING:/);
    },
  );
}
