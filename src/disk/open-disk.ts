import type { BlockDevice } from "../host/block-device.ts";
import type { ByteStore } from "../host/byte-store.ts";
import { RawDisk } from "./raw-disk.ts";

export const DISK_FORMATS = ["raw", "qcow2"] as const;
export type DiskFormat = (typeof DISK_FORMATS)[number];

/** Opens a disk image of a known format. */
export async function openDisk(
  store: ByteStore,
  _format: DiskFormat,
  readOnly: boolean,
): Promise<BlockDevice> {
  return RawDisk.open(store, readOnly);
}
