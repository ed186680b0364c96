import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { VirtualMachine } from "ringfence";
import { expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";

const guest = await fetchGuest("default");
const suffix = guest.available ? "" : ` (skipped: ${guest.reason})`;

/** In the guest: holds files open, and goes on with them when it is told to. */
const HOLDER = `
cd /mnt/work
exec 3<kept 4<vanishing 5>>written
(while [ ! -e /tmp/go ]; do sleep 0.1; done
cat <&3 >/tmp/kept; cat <&4 >/tmp/vanished 2>&1 || echo failed >>/tmp/vanished
echo again >&5; echo done >/tmp/done) >/dev/null 2>&1 &
`;

test.skipIf(!guest.available)(
  `a guest goes on with files of a shared folder behind a restore; a file that vanished gives an error${suffix}`,
  { timeout: 600_000 },
  async () => {
    const base = mkdtempSync(path.join(os.tmpdir(), "ringfence-share-snapshot-"));
    const [folder, file] = [mkdtempSync(path.join(base, "share-")), path.join(base, "snapshot")];
    const shares = [{ path: folder, tag: "work" }];
    try {
      writeFileSync(path.join(folder, "kept"), "kept\n");
      writeFileSync(path.join(folder, "vanishing"), "here\n");
      writeFileSync(path.join(folder, "written"), "first\n");
      {
        await using machine = await VirtualMachine.create({ shares });
        await machine.start();
        expect((await machine.exec(HOLDER)).status).toBe(0);
        await machine.snapshot(file);
      }
      rmSync(path.join(folder, "vanishing"));
      writeFileSync(path.join(folder, "new"), "new\n");
      await expect(VirtualMachine.restore(file)).rejects.toMatchObject({
        detail: { code: "snapshot-devices-differ" },
      });
      await using restored = await VirtualMachine.restore(file, { shares });
      await restored.start();
      const script =
        "touch /tmp/go; while [ ! -e /tmp/done ]; do sleep 0.1; done; cat /tmp/kept /tmp/vanished";
      const { stdout } = await restored.exec(script);
      expect(stdout).toMatch(/^kept\n.*[Ss]tale file handle\nfailed\n$/s);
      expect((await restored.exec("cat /mnt/work/new && ls /mnt/work")).stdout).toBe(
        "new\nkept\nnew\nwritten\n",
      );
      expect(readFileSync(path.join(folder, "written"), "utf8")).toBe("first\nagain\n");
    } finally {
      rmSync(base, { recursive: true, force: true });
    }
  },
);
