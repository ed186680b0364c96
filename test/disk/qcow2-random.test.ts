import { writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { expect, test } from "vitest";
import { MemoryStore } from "../../src/disk/memory-store.ts";
import { createQcow2 } from "../../src/disk/qcow2/create.ts";
import { Qcow2Disk } from "../../src/disk/qcow2/qcow2-disk.ts";
import { RawDisk } from "../../src/disk/raw-disk.ts";
import type { ByteStore } from "../../src/host/byte-store.ts";
import { nodeDecompressor } from "../../src/host/node/decompressor.ts";
import { Dice, DiskModel } from "./disk-model.ts";
import { KillableStore, Killed } from "./killable-store.ts";
import { CLEAN, checkImage, copyToFile, hasQemuImg, inFolder } from "./qemu-img.ts";

/** A longer run: RINGFENCE_DISK_RUNS=2000 */
const RUNS = Number(process.env["RINGFENCE_DISK_RUNS"] ?? 15);
const SIZE_BYTES = 2 << 20;
const BACKING_BYTES = SIZE_BYTES / 2;
const BELOW = 99;
const backing = new Uint8Array(new Uint32Array(BACKING_BYTES / 4).fill(BELOW).buffer);

function openImage(store: ByteStore): Promise<Qcow2Disk> {
  const openBacking = () => RawDisk.open(new MemoryStore("below", backing), true);
  return Qcow2Disk.open({ store, readOnly: false, decompressor: nodeDecompressor, openBacking });
}

/** A new image of random cluster size, over another or not, and what it holds. */
async function newImage(store: ByteStore, dice: Dice): Promise<DiskModel> {
  const below = dice.below(2) === 1 ? { backing: { name: "below", format: "raw" } } : {};
  await createQcow2(store, { sizeBytes: SIZE_BYTES, clusterBits: 9 + dice.below(8), ...below });
  return new DiskModel(SIZE_BYTES, (sector) =>
    "backing" in below && sector < BACKING_BYTES / 512 ? BELOW : 0,
  );
}

/** What qemu-img check finds in what a store holds. */
async function judge(store: ByteStore): Promise<{ corruptions: number; leaks: number; errors: number }> {
  if (!hasQemuImg) return CLEAN;
  return inFolder(async (folder) => {
    writeFileSync(path.join(folder, "below"), backing);
    const image = path.join(folder, "image.qcow2");
    await copyToFile(store, image);
    return checkImage(image);
  });
}

const judged = hasQemuImg ? "" : " (qemu-img, which would judge, is not here)";

test(`an image holds what was written, and closes clean, over ${RUNS} random runs${judged}`, async () => {
  for (let seed = 0; seed < RUNS; seed++) {
    const dice = new Dice(seed);
    const store = new MemoryStore("image");
    const model = await newImage(store, dice);
    let disk = await openImage(store);
    for (let step = 0; step < 150; step++) {
      await model.step(disk, dice);
      if (dice.below(40) > 0) continue;
      await disk.close();
      disk = await openImage(store);
    }
    await model.check(disk);
    await disk.close();
    expect(await judge(store), `seed ${seed}`).toEqual(CLEAN);
  }
}, 600_000);

test(`a kill between any two writes to the file loses nothing flushed, over ${RUNS} random runs${judged}`, async () => {
  for (let seed = 0; seed < RUNS; seed++) {
    const dice = new Dice(1_000_000 + seed);
    const store = new KillableStore("image");
    const model = await newImage(store, dice);
    try {
      const disk = await openImage(store);
      for (let step = dice.below(30); step > 0; step--) await model.step(disk, dice);
      // Every other time in the few writes of a flush, where the order counts.
      store.changesLeft = 1 + dice.below(seed % 2 === 0 ? 8 : 100);
      for (;;) {
        await model.flush(disk);
        await model.step(disk, dice);
      }
    } catch (error) {
      if (!(error instanceof Killed)) throw new Error(`seed ${seed}`, { cause: error });
    }
    const found = await judge(store.file);
    expect({ ...found, leaks: 0 }, `seed ${seed}`).toEqual(CLEAN);
    const disk = await openImage(store.file);
    await model.checkAfterKill(disk);
    await disk.close();
    expect(await judge(store.file), `seed ${seed}`).toEqual(CLEAN);
  }
}, 600_000);

test("requests at the same time do not mix", async () => {
  const dice = new Dice(7);
  const store = new MemoryStore("image");
  const model = await newImage(store, dice);
  const disk = await openImage(store);
  for (let round = 0; round < 50; round++) {
    const requests: Promise<void>[] = [];
    for (let sector = 0; sector < 400; sector += 1 + dice.below(20)) {
      const count = 1 + dice.below(3);
      requests.push(model.write(disk, sector + dice.below(2) * 2000, count));
      if (dice.below(10) === 0) requests.push(disk.flush());
      sector += count + 1;
    }
    await Promise.all(requests);
    await model.check(disk);
  }
  await disk.close();
  expect(await judge(store)).toEqual(CLEAN);
});
