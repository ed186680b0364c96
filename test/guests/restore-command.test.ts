import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { RINGFENCE } from "./console.ts";

const guest = await fetchGuest("default");
const suffix = guest.available ? "" : ` (skipped: ${guest.reason})`;
const folder = mkdtempSync(path.join(os.tmpdir(), "rf-"));
const environment = { ...process.env, XDG_RUNTIME_DIR: folder, XDG_STATE_HOME: path.join(folder, "state") };
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function ringfence(...parameters: string[]): { status: number | null; stdout: string; stderr: string } {
  const options = { encoding: "utf8", env: environment, input: "", timeout: 280_000 } as const;
  const { status, stdout, stderr } = spawnSync(RINGFENCE, parameters, options);
  return { status, stdout, stderr };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

test.skipIf(!guest.available)(
  `a machine with a disk is saved and restored by commands, with the disk given again and a port forwarded${suffix}`,
  { timeout: 300_000 },
  async () => {
    const port = await freePort();
    const disk = path.join(folder, "disk.raw");
    const file = path.join(folder, "saved");
    writeFileSync(disk, "as it was\n".padEnd(1 << 20, "\0"));
    onTestFinished(() => {
      for (const name of ["first", "second"]) ringfence("stop", "--force", name);
    });
    const start = (name: string, ...more: string[]) =>
      ringfence("run", "--detach", "--name", name, "--disk", `${disk},snapshot`, ...more);
    const inGuest = (name: string, command: string) =>
      ringfence("exec", name, "--", "sh", "-c", command).stdout;

    expect(start("first").stdout).toBe("first\n");
    expect(inGuest("first", "head -n 1 /dev/vda; echo written | dd of=/dev/vda conv=fsync 2>/dev/null")).toBe(
      "as it was\n",
    );
    expect(ringfence("snapshot", "first", file).status).toBe(0);
    ringfence("stop", "--force", "first");

    expect(start("second", "--restore", file, "--forward", `tcp:${port}:80`).stdout).toBe("second\n");
    expect(inGuest("second", "echo 3 > /proc/sys/vm/drop_caches; head -n 1 /dev/vda")).toBe("written\n");
    expect(readFileSync(disk, "latin1").slice(0, 10)).toBe("as it was\n");

    inGuest("second", "echo from the guest > /tmp/index.html; httpd -h /tmp");
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("from the guest\n");

    const bare = ringfence("run", "--restore", file);
    expect([bare.status, bare.stderr]).toEqual([2, expect.stringContaining("give it the same disks")]);
  },
);
