import { expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { runGuest } from "./console.ts";

const guest = await fetchGuest("debian-installer");
const suffix = guest.available ? "" : ` (skipped: ${guest.reason})`;
const TIMEOUT_MS = 900_000;

test.skipIf(!guest.available)(
  `Debian's installer asks for the language on the serial console${suffix}`,
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
