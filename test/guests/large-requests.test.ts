import { createHash, randomBytes } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { VirtualMachine } from "ringfence";
import { expect, test } from "vitest";
import { fetchGuest } from "../../tools/fetch-guests.ts";
import { inFolder } from "../disk/qemu-img.ts";
import { PROMPT, runGuest } from "./console.ts";

const guest = await fetchGuest("default");
const suffix = guest.available ? "" : ` (skipped: ${guest.reason})`;
const linuxTest = test.skipIf(!guest.available);
const TIMEOUT_MS = 120_000;
const DISK_BYTES = 96 << 20;
const READ_ALL = "dd if=/dev/vda bs=1M iflag=direct 2>/dev/null";
const LOAD = `(while :; do ${READ_ALL} >/dev/null; done) &`;

function makeDisk(folder: string): { file: string; sha256: string } {
  const bytes = randomBytes(DISK_BYTES);
  const file = path.join(folder, "disk.raw");
  writeFileSync(file, bytes);
  return { file, sha256: createHash("sha256").update(bytes).digest("hex") };
}

/** Threads of this process that move bytes between files and a guest's memory. */
function fileThreads(): number {
  const tasks = readdirSync("/proc/self/task").map((task) => `/proc/self/task/${task}/comm`);
  return tasks.filter((comm) => readFileSync(comm, "utf8") === "ringfence-files\n").length;
}

linuxTest(
  `a machine of the library moves large requests by a thread, is saved among them, and ends it${suffix}`,
  { timeout: TIMEOUT_MS },
  async () => {
    await inFolder(async (folder) => {
      const { file, sha256 } = makeDisk(folder);
      const disks = [{ path: file, format: "raw" as const, readOnly: true }];
      {
        await using machine = await VirtualMachine.create({ memoryBytes: 256 << 20, disks });
        await machine.start();
        const run = async (command: string) => (await machine.exec(command)).stdout;
        expect(await run(`${READ_ALL} | sha256sum`)).toBe(`${sha256}  -\n`);
        await run(`${READ_ALL} >/dev/null; ${READ_ALL} >/dev/null`);
        expect(fileThreads()).toBe(1);
        await run(`${LOAD} >/dev/null 2>&1`);
        for (const name of ["first", "second", "third"]) await machine.snapshot(path.join(folder, name));
        expect(await run(`${READ_ALL} | sha256sum`)).toBe(`${sha256}  -\n`);
      }
      expect(fileThreads()).toBe(0);
    });
  },
);

linuxTest(
  `a machine that is started anew among large requests works on its disks, and its process ends${suffix}`,
  { timeout: TIMEOUT_MS + 5000 },
  async () => {
    await inFolder(async (folder) => {
      const { file, sha256 } = makeDisk(folder);
      const copy = path.join(folder, "copy.raw");
      writeFileSync(copy, new Uint8Array(DISK_BYTES));
      const steps = [
        `${READ_ALL} >/dev/null; ${LOAD} sleep 1; reboot -f`,
        `${READ_ALL} | dd of=/dev/vdb bs=1M iflag=fullblock oflag=direct; ${LOAD} sleep 1; poweroff -f`,
      ].map((type) => ({ after: PROMPT, type }));
      const disks = [file, copy].flatMap((disk) => ["--disk", `${disk},format=raw`]);
      const { status } = await runGuest(disks, steps, TIMEOUT_MS);
      expect(status).toBe(0);
      for (const disk of [file, copy])
        expect(createHash("sha256").update(readFileSync(disk)).digest("hex")).toBe(sha256);
    });
  },
);
