import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { expect, test } from "vitest";
import { findOrigin } from "../../src/images/debian/debian-sources.ts";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { CLEAN, checkImage, hasQemuImg, inFolder } from "../disk/qemu-img.ts";
import { RINGFENCE, runGuest } from "./console.ts";

const HOUR_MS = 3_600_000;
const obstacle = await findObstacle();
const suffix = obstacle === undefined ? "" : ` (skipped: ${obstacle})`;
const PROMPT = /root@debian:~# $/;

/** Why there is no Debian to be had here. */
async function findObstacle(): Promise<string | undefined> {
  const guest = await fetchGuest("default");
  if (!guest.available) return guest.reason;
  try {
    await findOrigin(undefined, undefined);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

async function pull(...parameters: string[]): Promise<{ status: number; stderr: string }> {
  const child = spawn(RINGFENCE, ["pull", "debian", ...parameters], { stdio: ["ignore", "ignore", "pipe"] });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const [status] = (await once(child, "close")) as [number | null];
  return { status: status ?? -1, stderr };
}

test.skipIf(obstacle !== undefined)(
  `pulled Debian boots to a login, all packages configured, and installs and runs gcc from the network${suffix}`,
  { timeout: 2 * HOUR_MS },
  async () => {
    await inFolder(async (folder) => {
      process.env["RINGFENCE_IMAGES"] = folder;
      const { status, stderr } = await pull("--size", "4G");
      expect({ status, stderr }).toEqual({ status: 0, stderr: expect.stringContaining("closing the disk") });
      if (hasQemuImg) expect(checkImage(path.join(folder, "debian", "disk.qcow2"))).toEqual(CLEAN);
      const lines = [
        "until systemctl is-system-running | grep -Eq 'running|degraded'; do sleep 2; done; echo state:$(systemctl is-system-running)",
        "echo audit:$(dpkg --audit | wc -l) verify:$(dpkg --verify | wc -l) left:$(dpkg -l | grep -c '^i[^i]')",
        "apt-get update && apt-get install -y gcc libc6-dev > /dev/null && echo installed-$?",
        "printf '#include <stdio.h>\\nint main(void) { return printf(\"%%d\\\\n\", 6 * 7000) < 0; }\\n' > a.c && gcc a.c -o a && ./a",
        "poweroff",
      ];
      const steps = lines.map((type) => ({ after: PROMPT, type }));
      const run = await runGuest(["debian"], steps, HOUR_MS);
      expect(run.output).toContain("debian login: root (automatic login)");
      expect(run.output).toContain("state:running\r\n");
      expect(run.output).toContain("audit:0 verify:0 left:0");
      expect(run.output).toContain("installed-0");
      // The shell ends its bracketed paste with a carriage return.
      expect(run.output).toMatch(/[\r\n]42000\r\n/);
      expect(run.status).toBe(0);
    });
  },
);

test.skipIf(obstacle !== undefined)(
  `Debian with the standard kernel shares folders by virtio-fs and 9p, and a card without an address does no harm${suffix}`,
  { timeout: 2 * HOUR_MS },
  async () => {
    await inFolder(async (folder) => {
      process.env["RINGFENCE_IMAGES"] = path.join(folder, "images");
      const words = ["--name", "std", "--kernel", "linux-image-amd64", "--size", "4G"];
      const { status, stderr } = await pull(...words);
      expect({ status, stderr }).toEqual({ status: 0, stderr: expect.stringContaining("closing the disk") });
      for (const tag of ["virtio", "nine"]) {
        mkdirSync(path.join(folder, tag));
        writeFileSync(path.join(folder, tag, "in"), `into ${tag}\n`);
      }
      const lines = [
        "until systemctl is-system-running | grep -Eq 'running|degraded'; do sleep 2; done; echo state:$(systemctl is-system-running)",
        "mkdir -p /mnt/a /mnt/b; mount -t virtiofs virtio /mnt/a && mount -t 9p -o trans=virtio,version=9p2000.L nine /mnt/b; echo mounted-$?",
        "cat /mnt/a/in /mnt/b/in; echo by virtio-fs > /mnt/a/out; echo by 9p > /mnt/b/out",
        "poweroff",
      ];
      const steps = lines.map((type) => ({ after: /root@std:~# $/, type }));
      const options = [
        ...["--share", `${folder}/virtio`, "--share", `${folder}/nine,protocol=9p`],
        ...["--network", "user", "--network", `switch:${folder}/wire`],
      ];
      const run = await runGuest(["std", ...options], steps, HOUR_MS);
      expect(run.output).toContain("state:running\r\n");
      expect(run.output).toContain("mounted-0\r\n");
      expect(run.output).toMatch(/into virtio\r\ninto nine\r\n/);
      expect(readFileSync(path.join(folder, "virtio", "out"), "utf8")).toBe("by virtio-fs\n");
      expect(readFileSync(path.join(folder, "nine", "out"), "utf8")).toBe("by 9p\n");
      expect(run.status).toBe(0);
    });
  },
);
