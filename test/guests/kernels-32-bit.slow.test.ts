import { expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { runGuest } from "./console.ts";

const TIMEOUT_MS = 1_800_000;

for (const name of ["installer-686", "installer-686-pae"] as const) {
  const guest = await fetchGuest(name);
  const suffix = guest.available ? "" : ` (skipped: ${guest.reason})`;
  test.skipIf(!guest.available)(
    `${name}: Debian's 32-bit kernel runs the installer to its first question${suffix}`,
    { timeout: TIMEOUT_MS + 5000 },
    async () => {
      if (!guest.available) return;
      const files = ["--kernel", guest.kernelPath, "--initrd", guest.initrdPath ?? ""];
      const options = [...files, "--append", "console=ttyS0", "--memory", "1G", "--no-reboot"];
      const steps = [{ after: /Select a language[\s\S]*English[\s\S]*<Tab> moves/ }];
      const { status, output } = await runGuest(options, steps, TIMEOUT_MS);
      expect(status).toBeUndefined();
      expect(output).not.toMatch(/Oops|BUG:|Call Trace|Kernel panic/);
    },
  );
}
