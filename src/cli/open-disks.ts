import { openGuestDisk } from "../host/node/guest-disk.ts";
import type { DiskOption } from "./disk-option.ts";
import type { GuestDisk } from "./guest-devices.ts";

/** Opens what `--disk` names; when one fails, those before it are closed again. */
export async function openDisks(options: readonly DiskOption[]): Promise<GuestDisk[]> {
  const disks: GuestDisk[] = [];
  try {
    for (const [index, option] of options.entries())
      disks.push({ disk: await openGuestDisk(option), serial: option.serial ?? `disk${index}` });
    return disks;
  } catch (error) {
    await closeDisks(disks);
    throw error;
  }
}

export async function closeDisks(disks: readonly GuestDisk[]): Promise<void> {
  for (const { disk } of disks) await disk.close();
}
