import { expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { runGuest } from "./console.ts";

/** Boots memtest86+ in 64 MB on the serial console and waits for what its screen shows. */
export async function testMemory(shown: string, wanted: RegExp, timeoutMs: number): Promise<void> {
  for (const name of ["memtest-32", "memtest-64"] as const) {
    const guest = await fetchGuest(name);
    const suffix = guest.available ? "" : ` (skipped: ${guest.reason})`;
    test.skipIf(!guest.available)(`${name} ${shown}${suffix}`, { timeout: timeoutMs + 5000 }, async () => {
      if (!guest.available) return;
      const options = ["--kernel", guest.kernelPath, "--memory", "64M", "--append", "console=ttyS0,115200"];
      const { status, output } = await runGuest(options, [{ after: wanted }], timeoutMs);
      expect(status).toBeUndefined();
      expect(output).not.toMatch(/Errors: +[1-9]/);
    });
  }
}
