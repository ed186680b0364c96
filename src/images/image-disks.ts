import { existsSync, mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { openDisk } from "../disk/open-disk.ts";
import { createQcow2 } from "../disk/qcow2/create.ts";
import { Qcow2Disk } from "../disk/qcow2/qcow2-disk.ts";
import { nodeDiskHost } from "../host/node/disk-host.ts";
import { FileStore } from "../host/node/file-store.ts";
import { VmError } from "../layout/vm-error.ts";
import type { ImageDisk } from "./image-manifest.ts";
import type { StoredImage } from "./image-store.ts";

/** In an image's folder: what machines have written to its disks, an overlay for each. */
const STATE_FOLDER = "state";

/** A disk of an image, to be opened for a machine. */
export interface MachineDisk {
  readonly path: string;
  readonly format: "raw" | "qcow2";
  readonly serial: string;
  /** What is written goes to a file that vanishes with the machine. */
  readonly temporary: boolean;
}

/**
 * The disks for a machine of this image.
 *
 * "keep" has what earlier machines wrote and adds to it, "reset" forgets that first, and "ephemeral" starts from
 * the image as it was made and keeps nothing; any number of ephemeral machines may run at a time.
 *
 * @throws {VmError} `image-invalid` when a disk builds upon a file outside of the image; `file-*`.
 */
export async function machineDisks(
  { folder, manifest }: StoredImage,
  changes: "keep" | "reset" | "ephemeral",
): Promise<MachineDisk[]> {
  const disks: MachineDisk[] = [];
  for (const disk of manifest.disks) {
    const base = path.join(folder, disk.file);
    const sizeBytes = await checkBase(base, disk);
    if (changes === "ephemeral") {
      disks.push({ path: base, format: disk.format, serial: disk.serial, temporary: true });
      continue;
    }
    const overlay = path.join(folder, STATE_FOLDER, `${disk.file}.qcow2`);
    if (changes === "reset") await removeOverlay(overlay);
    if (!existsSync(overlay)) await makeOverlay(overlay, disk, sizeBytes);
    disks.push({ path: overlay, format: "qcow2", serial: disk.serial, temporary: false });
  }
  return disks;
}

/** An image may come from anyone: its disk must not name a file of this host as the one below. */
async function checkBase(base: string, { format }: ImageDisk): Promise<number> {
  const openBacking = async () => {
    throw new VmError({ code: "image-invalid", path: base, reason: "it builds upon another file" });
  };
  const store = await FileStore.open(base, { readOnly: true });
  if (format === "raw") {
    try {
      return await store.size();
    } finally {
      await store.close();
    }
  }
  const { decompressor } = nodeDiskHost;
  try {
    const disk = await Qcow2Disk.open({ store, readOnly: true, decompressor, openBacking });
    const { sizeBytes } = disk;
    await disk.close();
    return sizeBytes;
  } catch (error) {
    await store.close().catch(() => {});
    throw error;
  }
}

async function makeOverlay(overlay: string, { file, format }: ImageDisk, sizeBytes: number): Promise<void> {
  mkdirSync(path.dirname(overlay), { recursive: true });
  const store = await FileStore.create(overlay);
  try {
    await createQcow2(store, { sizeBytes, backing: { name: `../${file}`, format } });
  } catch (error) {
    rmSync(overlay, { force: true });
    throw error;
  } finally {
    await store.close();
  }
}

async function removeOverlay(overlay: string): Promise<void> {
  if (!existsSync(overlay)) return;
  const disk = await openDisk(nodeDiskHost, { path: overlay, format: "qcow2", readOnly: false });
  rmSync(overlay);
  await disk.close();
}
