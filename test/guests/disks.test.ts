import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, openSync, readSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { CLEAN, checkImage, hasQemuImg, inFolder, qemuImg } from "../disk/qemu-img.ts";
import { PROMPT, RINGFENCE, runGuest } from "./console.ts";

const guest = await fetchGuest("default");
const hasMkfs = spawnSync("mkfs.ext4", ["-V"]).status === 0;
const hasDebugfs = spawnSync("debugfs", ["-V"]).status === 0;
const obstacle = !guest.available
  ? guest.reason
  : hasMkfs && hasDebugfs
    ? undefined
    : "there is no mkfs.ext4 or debugfs";
const suffix = obstacle === undefined ? "" : ` (skipped: ${obstacle})`;
const diskTest = test.skipIf(obstacle !== undefined);
const TIMEOUT_MS = 300_000;
/** Kills of a whole guest; npm run test:kills makes more. */
const GUEST_KILLS = Number(process.env["RINGFENCE_GUEST_KILLS"] ?? 1);

function makeFileSystem(file: string, sizeBytes: number): void {
  writeFileSync(file, "");
  truncateSync(file, sizeBytes);
  const { status, stderr } = spawnSync("mkfs.ext4", ["-q", "-F", file], { encoding: "utf8" });
  if (status !== 0) throw new Error(`mkfs.ext4: ${stderr}`);
}

/** The file system is sound and a file in it has this hash. */
function expectFile(image: string, name: string, sha256: string): void {
  expect(spawnSync("e2fsck", ["-f", "-n", image]).status).toBe(0);
  const { stdout } = spawnSync("debugfs", ["-R", `cat ${name}`, image], { maxBuffer: 64 << 20 });
  expect(createHash("sha256").update(stdout).digest("hex")).toBe(sha256);
}

diskTest(
  `Linux mounts, writes and trims a raw disk and a qcow2 overlay, and the host finds what it wrote${suffix}`,
  { timeout: TIMEOUT_MS + 5000 },
  async () => {
    await inFolder(async (folder) => {
      const raw = path.join(folder, "a.img");
      const below = path.join(folder, "below.img");
      const overlay = path.join(folder, "b.qcow2");
      makeFileSystem(raw, 64 << 20);
      makeFileSystem(below, 64 << 20);
      const made = spawnSync(RINGFENCE, ["disk", "create", overlay, "--backing", below]);
      expect(made.status).toBe(0);
      const lines = [
        "cat /sys/block/vd*/serial; cat /sys/block/vdc/ro; ls /sys/block",
        "mkdir -p /a /b && mount -t ext4 -o discard /dev/vda /a && mount -t ext4 /dev/vdb /b",
        "dd if=/dev/urandom of=/a/file bs=64k count=200 2>/dev/null; cp /a/file /b/file; cp /a/file /a/gone; sync",
        "rm /a/gone; fstrim -v /b; echo 3 > /proc/sys/vm/drop_caches; sha256sum /a/file /b/file",
        "umount /a /b; head -c 16 /dev/hwrng | wc -c; dmesg -r | grep -c '^<[0-3]>'",
        "poweroff",
      ];
      const disks = [`${raw},serial=first`, overlay, `${below},readonly`].flatMap((disk) => ["--disk", disk]);
      const options = [...disks.slice(0, 4), "--rng"];
      const steps = lines.map((type) => ({ after: PROMPT, type }));
      const { status, output, messages } = await runGuest(options, steps, TIMEOUT_MS);
      expect(messages).not.toContain("disk:");
      expect(output).toContain("first");
      const [, sha256 = ""] = /([0-9a-f]{64}) {2}\/a\/file/.exec(output) ?? [];
      expect(output).toContain(`${sha256}  /b/file`);
      expect(output).toContain("trimmed");
      expect(output).toMatch(/'\^<\[0-3\]>'\r\n16\r\n0\r\n/);
      expect(status).toBe(0);
      expectFile(raw, "file", sha256);
      if (!hasQemuImg) return;
      expect(checkImage(overlay)).toEqual(CLEAN);
      const flat = path.join(folder, "flat.img");
      qemuImg("convert", "-O", "raw", overlay, flat);
      expectFile(flat, "file", sha256);
    });
  },
);

/** Boots a guest that writes numbered records, each flushed, and kills the machine; returns the last record that was. */
function writeRecordsUntilKilled(disk: string, records: number): Promise<number> {
  const child = spawn(RINGFENCE, ["run", "--disk", disk]);
  // Record n fills 16 KiB at 16 KiB * n.
  const script =
    "n=1; while :; do yes record-$n | head -c 16384 | dd of=/dev/vda bs=16k seek=$n conv=notrunc,fsync 2>/dev/null && echo flushed-$n; n=$((n+1)); done";
  let output = "";
  let typed = false;
  child.stdout.setEncoding("latin1").on("data", (text: string) => {
    output += text;
    if (!typed && output.includes(PROMPT)) {
      typed = true;
      child.stdin.write(`${script}\n`);
    }
    if (lastFlushed(output) >= records) child.kill("SIGKILL");
  });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), TIMEOUT_MS);
    child.on("error", reject);
    child.on("close", () => {
      clearTimeout(timer);
      resolve(lastFlushed(output));
    });
  });
}

function lastFlushed(output: string): number {
  return Number([...output.matchAll(/\nflushed-(\d+)\r/g)].at(-1)?.[1] ?? 0);
}

diskTest.each(["raw", "qcow2"])(
  `%s: what a guest flushed is there after its machine was killed, ${GUEST_KILLS} times${suffix}`,
  { timeout: GUEST_KILLS * (TIMEOUT_MS + 5000) },
  async (format) => {
    for (let kill = 0; kill < GUEST_KILLS; kill++) {
      await inFolder(async (folder) => {
        const file = path.join(folder, `disk.${format}`);
        expect(spawnSync(RINGFENCE, ["disk", "create", file, "64M"]).status).toBe(0);
        const last = await writeRecordsUntilKilled(file, 10 + ((kill * 37) % 90));
        expect(last).toBeGreaterThanOrEqual(10);
        if (format === "qcow2" && hasQemuImg) expect({ ...checkImage(file), leaks: 0 }).toEqual(CLEAN);
        const flat = path.join(folder, "flat.img");
        expect(spawnSync(RINGFENCE, ["disk", "convert", file, flat]).status).toBe(0);
        const descriptor = openSync(flat, "r");
        for (let record = 1; record <= last; record++) {
          const wanted = `record-${record}\n`.repeat(4096).slice(0, 16384);
          const bytes = Buffer.alloc(16384);
          readSync(descriptor, bytes, 0, 16384, 16384 * record);
          expect(bytes.toString("latin1") === wanted, `record ${record} of ${last}`).toBe(true);
        }
        closeSync(descriptor);
        rmSync(flat);
      });
    }
  },
);
