import { tmpdir } from "node:os";
import path from "node:path";
import { ChangedBlocks } from "../disk/changed-blocks.ts";
import { type DiskHost, openDisk } from "../disk/open-disk.ts";
import { createOverlay } from "../disk/overlay.ts";
import { fingerprint } from "../host/node/bundle.ts";
import { nodeDiskHost } from "../host/node/disk-host.ts";
import { FileStore } from "../host/node/file-store.ts";
import type { DiskOption } from "./disk-option.ts";
import type { GuestDisk } from "./guest-devices.ts";

/** Opens what `--disk` names; when one fails, those before it are closed again. */
export async function openDisks(options: readonly DiskOption[]): Promise<GuestDisk[]> {
  const disks: GuestDisk[] = [];
  try {
    for (const [index, option] of options.entries()) {
      const { path: file, format, snapshot, serial } = option;
      const readOnly = option.readOnly || snapshot;
      const files: string[] = [];
      const below = await openDisk(noting(files), { path: file, format, readOnly });
      const disk = snapshot
        ? await createOverlay(below, FileStore.createTemporary(tmpdir()), nodeDiskHost.decompressor)
        : below;
      const identity = () => files.map((name) => `${path.basename(name)} ${fingerprint(name)}`).join("\n");
      disks.push({
        disk: readOnly ? new ChangedBlocks(disk, identity()) : disk,
        serial: serial ?? `disk${index}`,
      });
    }
    return disks;
  } catch (error) {
    await closeDisks(disks);
    throw error;
  }
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

export async function closeDisks(disks: readonly GuestDisk[]): Promise<void> {
  for (const { disk } of disks) await disk.close();
}
