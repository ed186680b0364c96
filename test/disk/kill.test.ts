import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { expect, test } from "vitest";
import { MemoryStore } from "../../src/disk/memory-store.ts";
import { type DiskFormat, openDisk } from "../../src/disk/open-disk.ts";
import { createQcow2 } from "../../src/disk/qcow2/create.ts";
import { RawDisk } from "../../src/disk/raw-disk.ts";
import { nodeDiskHost } from "../../src/host/node/disk-host.ts";
import { FileStore } from "../../src/host/node/file-store.ts";
import { Dice, DiskModel } from "./disk-model.ts";
import { CLEAN, checkImage, hasQemuImg, inFolder } from "./qemu-img.ts";

/** npm run test:kills makes 200. */
const KILLS = Number(process.env["RINGFENCE_KILLS"] ?? 6);
const SIZE_BYTES = 8 << 20;
const CHILD = path.join(import.meta.dirname, "kill-child.ts");

type Kind = "raw" | "qcow2" | "overlay";

async function makeDisk(folder: string, kind: Kind): Promise<{ file: string; format: DiskFormat }> {
  const file = path.join(folder, "disk");
  const store = await FileStore.create(file);
  if (kind === "raw") await store.truncate(SIZE_BYTES);
  else if (kind === "qcow2") await createQcow2(store, { sizeBytes: SIZE_BYTES, clusterBits: 12 });
  else {
    const below = await FileStore.create(path.join(folder, "below"));
    await below.truncate(SIZE_BYTES);
    await below.close();
    await createQcow2(store, { sizeBytes: SIZE_BYTES, backing: { name: "below", format: "raw" } });
  }
  await store.close();
  return { file, format: kind === "raw" ? "raw" : "qcow2" };
}

/** Starts a process that works on the disk, and kills it when it has done some steps and a random while has passed. */
async function workAndKill(file: string, format: string, seed: number, log: string): Promise<void> {
  const child = spawn(process.execPath, [CHILD, file, format, String(seed), log], { stdio: "inherit" });
  const exited = new Promise<void>((resolve) => child.on("close", () => resolve()));
  while (logged(log).length < 60 + (seed % 400)) await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, new Dice(seed).below(30)));
  child.kill("SIGKILL");
  await exited;
}

function logged(log: string): string {
  try {
    return readFileSync(log, "latin1");
  } catch {
    return "";
  }
}

/** Does in memory what the process did, and had begun. */
async function replay(log: string, seed: number): Promise<DiskModel> {
  const store = new MemoryStore();
  await store.truncate(SIZE_BYTES);
  const disk = await RawDisk.open(store);
  const model = new DiskModel(SIZE_BYTES);
  const dice = new Dice(seed);
  const begun = [...log].filter((letter) => letter === "b").length;
  const ended = begun - (log.endsWith("b") ? 1 : 0);
  for (let step = 0; step < ended; step++) await model.step(disk, dice);
  if (begun > ended) await model.stepUnfinished(disk, dice);
  return model;
}

const kinds: Kind[] = ["raw", "qcow2", "overlay"];

test.each(kinds)(
  `%s: what was flushed survives SIGKILL (${KILLS} kills over all kinds${hasQemuImg ? "" : "; no qemu-img to judge"})`,
  { timeout: 3_600_000 },
  async (kind) => {
    for (let seed = kinds.indexOf(kind); seed < KILLS; seed += kinds.length) {
      await inFolder(async (folder) => {
        const { file, format } = await makeDisk(folder, kind);
        const log = path.join(folder, "log");
        await workAndKill(file, format, seed, log);
        const model = await replay(logged(log), seed);
        const judge = () => (format === "qcow2" && hasQemuImg ? checkImage(file) : CLEAN);
        expect({ ...judge(), leaks: 0 }, `seed ${seed}`).toEqual(CLEAN);
        const disk = await openDisk(nodeDiskHost, { path: file, format, readOnly: false });
        await model.checkAfterKill(disk);
        await disk.close();
        expect(judge(), `seed ${seed}`).toEqual(CLEAN);
      });
    }
  },
);
