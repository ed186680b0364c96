import { DiskError, SECTOR_BYTES } from "../host/block-device.ts";

/** @throws {DiskError} unless these are whole sectors of the disk. */
export function checkSectors(disk: { readonly sizeBytes: number }, offset: number, length: number): void {
  const sectors = offset % SECTOR_BYTES === 0 && length % SECTOR_BYTES === 0;
  if (sectors && offset >= 0 && offset + length <= disk.sizeBytes) return;
  throw new DiskError(`${length} bytes at ${offset} are not sectors of a disk of ${disk.sizeBytes} bytes`);
}

/** @throws {DiskError} unless these are whole sectors of a disk that can be written. */
export function checkWritableSectors(
  disk: { readonly sizeBytes: number; readonly readOnly: boolean },
  offset: number,
  length: number,
): void {
  if (disk.readOnly) throw new DiskError("the disk is read-only");
  checkSectors(disk, offset, length);
}
