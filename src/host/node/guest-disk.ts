import { tmpdir } from "node:os";
import path from "node:path";
import { ChangedBlocks } from "../../disk/changed-blocks.ts";
import { type DiskFormat, type DiskHost, openDisk } from "../../disk/open-disk.ts";
import { createOverlay } from "../../disk/overlay.ts";
import type { BlockDevice } from "../block-device.ts";
import { fingerprint } from "./bundle.ts";
import { nodeDiskHost } from "./disk-host.ts";
import { FileStore } from "./file-store.ts";

/** A file as a disk. */
export interface DiskFile {
  readonly path: string;
  /** Undefined: found out from the file. */
  readonly format: DiskFormat | undefined;
  readonly readOnly: boolean;
  /** Changes go to a file that vanishes when the disk is closed. */
  readonly snapshot: boolean;
}

/**
 * Opens a disk for a guest. One whose files nobody writes can go with a snapshot of the machine.
 *
 * @throws {VmError} `file-*`, `disk-image-invalid`. @throws {DiskError}
 */
export async function openGuestDisk({ path: file, format, ...how }: DiskFile): Promise<BlockDevice> {
  const readOnly = how.readOnly || how.snapshot;
  const files: string[] = [];
  const below = await openDisk(noting(files), { path: file, format, readOnly });
  const identity = () => files.map((name) => `${path.basename(name)} ${fingerprint(name)}`).join("\n");
  return layered(below, { ...how, identity });
}

/**
 * Puts over a disk what keeps its changes apart, or at hand for a snapshot.
 *
 * @param identity Tells what is below from other disks.
 */
export async function layered(
  below: BlockDevice,
  { readOnly, snapshot, identity }: { readOnly: boolean; snapshot: boolean; identity: () => string },
): Promise<BlockDevice> {
  const disk = snapshot
    ? await createOverlay(below, FileStore.createTemporary(tmpdir()), nodeDiskHost.decompressor)
    : below;
  return readOnly || snapshot ? new ChangedBlocks(disk, identity()) : disk;
}

/** Opens disks, and notes the names of all files that belong to them. */
function noting(files: string[]): DiskHost {
  return {
    ...nodeDiskHost,
    openFile: async (file, options) => {
      const store = await nodeDiskHost.openFile(file, options);
      files.push(path.resolve(store.name));
      return store;
    },
  };
}
