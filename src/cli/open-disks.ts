import { openDisk } from "../disk/open-disk.ts";
import type { BlockDevice } from "../host/block-device.ts";
import { FileStore } from "../host/node/file-store.ts";
import type { DiskOption } from "./disk-option.ts";

/** An open disk for the guest. */
export interface GuestDisk {
  readonly disk: BlockDevice;
  readonly serial: string;
}

/** Opens what `--disk` names; when one fails, those before it are closed again. */
export async function openDisks(options: readonly DiskOption[]): Promise<GuestDisk[]> {
  const disks: GuestDisk[] = [];
  try {
    for (const [index, option] of options.entries()) {
      const store = await FileStore.open(option.path, { readOnly: option.readOnly });
      const disk = await openDisk(store, option.format ?? "raw", option.readOnly);
      disks.push({ disk, serial: option.serial ?? `disk${index}` });
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
