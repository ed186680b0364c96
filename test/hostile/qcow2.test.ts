import { readFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { expect, test } from "vitest";
import { MemoryStore } from "../../src/disk/memory-store.ts";
import { createQcow2 } from "../../src/disk/qcow2/create.ts";
import { Qcow2Disk } from "../../src/disk/qcow2/qcow2-disk.ts";
import { RawDisk } from "../../src/disk/raw-disk.ts";
import { DiskError } from "../../src/host/block-device.ts";
import { nodeDecompressor } from "../../src/host/node/decompressor.ts";
import { VmError } from "../../src/layout/vm-error.ts";
import { Dice } from "../disk/disk-model.ts";
import { hasQemuImg, inFolder, qemuImg, qemuIo } from "../disk/qemu-img.ts";

/** A longer run: RINGFENCE_QCOW2_CASES=100000 */
const CASES = Number(process.env["RINGFENCE_QCOW2_CASES"] ?? 600);
const SIZE_BYTES = 1 << 20;

/** Sound images, to be damaged: ours, and QEMU's with compressed clusters and snapshots where QEMU is. */
async function sources(): Promise<Uint8Array[]> {
  const images: Uint8Array[] = [];
  for (const clusterBits of [9, 12, 16]) {
    const store = new MemoryStore();
    await createQcow2(store, {
      sizeBytes: SIZE_BYTES,
      clusterBits,
      backing: { name: "below", format: "raw" },
    });
    const disk = await open(store);
    for (let at = 0; at < SIZE_BYTES; at += 100 * 512) await disk.write(at, new Uint8Array(5120).fill(7));
    await disk.close();
    const bytes = new Uint8Array(await store.size());
    await store.read(0, bytes);
    images.push(bytes);
  }
  if (!hasQemuImg) return images;
  return inFolder(async (folder) => {
    const raw = path.join(folder, "raw");
    qemuImg("create", "-q", "-f", "raw", raw, String(SIZE_BYTES));
    qemuIo(raw, "write -q -P 5 0 300k", "write -q -P 6 500k 100k");
    for (const options of [
      "compat=0.10",
      "cluster_size=4k,compression_type=zstd",
      "refcount_bits=1,cluster_size=512",
    ]) {
      const image = path.join(folder, "image");
      qemuImg("convert", "-q", "-c", "-O", "qcow2", "-o", options, raw, image);
      if (!options.includes("refcount_bits")) qemuImg("snapshot", "-c", "one", image);
      qemuIo(image, "write -q -P 8 100k 50k");
      images.push(new Uint8Array(readFileSync(image)));
    }
    return images;
  });
}

function open(store: MemoryStore): Promise<Qcow2Disk> {
  const openBacking = () => RawDisk.open(new MemoryStore("below", new Uint8Array(SIZE_BYTES / 2)), true);
  return Qcow2Disk.open({ store, readOnly: false, decompressor: nodeDecompressor, openBacking });
}

/** Changes bytes, most of them where tables are or to values that matter there. */
function damage(bytes: Uint8Array, dice: Dice): void {
  const view = new DataView(bytes.buffer);
  for (let count = 1 + dice.below(8); count > 0; count--) {
    const at = dice.below(2) === 0 ? dice.below(112) : dice.below(bytes.length / 8) * 8;
    const value = [0, 1, 0xff, 0x80, 0x40, dice.below(256)][dice.below(6)] ?? 0;
    if (dice.below(3) > 0 || at + 8 > bytes.length) bytes[at] = value;
    else {
      const far = [0n, 512n, 0x10000n, BigInt(bytes.length), 2n ** 62n, 2n ** 63n + 0x10000n, 2n ** 64n - 1n];
      view.setBigUint64(at, far[dice.below(far.length)] ?? 0n);
    }
  }
  if (dice.below(3) === 0) view.setUint32(76, view.getUint32(76) | 1); // dirty: refcounts are counted anew
}

/** Works on an image; a refusal or a failure of the disk is as good as success. */
async function work(bytes: Uint8Array, dice: Dice): Promise<"worked" | "refused"> {
  try {
    const disk = await open(new MemoryStore("image", bytes));
    await disk.snapshots();
    for (let i = 0; i < 12; i++) {
      const offset = dice.below(Math.min(disk.sizeBytes, SIZE_BYTES) / 512) * 512;
      const length = Math.min(disk.sizeBytes - offset, 512 * (1 + dice.below(200)));
      if (length <= 0) continue;
      const data = new Uint8Array(length);
      if (i % 4 === 0) await disk.write(offset, data);
      else if (i % 4 === 1) await disk.read(offset, data);
      else if (i % 4 === 2) await disk.discard(offset, length);
      else await disk.flush();
    }
    await disk.close();
    return "worked";
  } catch (error) {
    if (error instanceof DiskError || error instanceof VmError) return "refused";
    throw error;
  }
}

/** Unlike time, it stands still while the process is stopped or waits for its turn. */
function processorSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

test(`no damaged image does more than fail, over ${CASES}`, { timeout: 3_600_000 }, async () => {
  const images = await sources();
  const outcomes = { worked: 0, refused: 0 };
  for (let seed = 0; seed < CASES; seed++) {
    const dice = new Dice(seed);
    const bytes = (images[seed % images.length] ?? new Uint8Array()).slice();
    damage(bytes, dice);
    const started = processorSeconds();
    try {
      outcomes[await work(bytes, dice)]++;
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
    expect(processorSeconds() - started, `processor seconds of seed ${seed}`).toBeLessThan(20);
  }
  expect(outcomes.worked).toBeGreaterThan(CASES / 10);
  expect(outcomes.refused).toBeGreaterThan(CASES / 10);
});
