import { tmpdir } from "node:os";
import { openDisk } from "../disk/open-disk.ts";
import { createOverlay } from "../disk/overlay.ts";
import { nodeDiskHost } from "../host/node/disk-host.ts";
import { FileStore } from "../host/node/file-store.ts";
import type { DiskOption } from "./disk-option.ts";
import type { GuestDisk } from "./guest-devices.ts";

/** Opens what `--disk` names; when one fails, those before it are closed again. */
export async function openDisks(options: readonly DiskOption[]): Promise<GuestDisk[]> {
  const disks: GuestDisk[] = [];
  try {
    for (const [index, option] of options.entries()) {
      const { path, format, snapshot, serial } = option;
      const below = await openDisk(nodeDiskHost, { path, format, readOnly: option.readOnly || snapshot });
      const disk = snapshot
        ? await createOverlay(below, FileStore.createTemporary(tmpdir()), nodeDiskHost.decompressor)
        : below;
      disks.push({ disk, serial: serial ?? `disk${index}` });
    }
    return disks;
  } catch (error) {
    await closeDisks(disks);
    throw error;
  }
}

export async function closeDisks(disks: readonly GuestDisk[]): Promise<void> {
  for (const { disk } of disks) await disk.close();
}
