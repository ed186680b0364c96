import type { BlockDevice } from "../host/block-device.ts";
import type { ByteStore } from "../host/byte-store.ts";
import type { Decompressor } from "../host/decompressor.ts";
import { createQcow2 } from "./qcow2/create.ts";
import { Qcow2Disk } from "./qcow2/qcow2-disk.ts";

/**
 * A disk that shows `below` and keeps what is written in `changes`, an empty
 * file of which only this disk makes use. Closing it closes both.
 */
export async function createOverlay(
  below: BlockDevice,
  changes: ByteStore,
  decompressor: Decompressor,
): Promise<BlockDevice> {
  const backing = { name: "below", format: "raw" };
  await createQcow2(changes, { sizeBytes: below.sizeBytes, backing });
  return Qcow2Disk.open({ store: changes, readOnly: false, decompressor, openBacking: async () => below });
}
