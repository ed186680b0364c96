import { statSync } from "node:fs";
import { isDirty } from "../disk/qcow2/header.ts";
import { Qcow2Disk } from "../disk/qcow2/qcow2-disk.ts";
import type { BlockDevice } from "../host/block-device.ts";

/** What `ringfence disk info` prints of an open image. */
export async function describeDisk(
  disk: BlockDevice,
  { path, json }: { path: string; json: boolean },
): Promise<string> {
  const status = statSync(path);
  const facts: Record<string, unknown> = {
    file: path,
    format: disk.format,
    sizeBytes: disk.sizeBytes,
    fileBytes: status.size,
    allocatedBytes: status.blocks * 512,
  };
  if (disk instanceof Qcow2Disk) {
    const { header } = disk;
    facts["version"] = header.version;
    facts["clusterBytes"] = 2 ** header.clusterBits;
    facts["compression"] = header.compression;
    facts["closed"] = !isDirty(header);
    if (header.backing !== undefined) facts["backing"] = header.backing;
    const snapshots = await disk.snapshots();
    facts["snapshots"] = snapshots.map(({ id, name, takenMs }) => ({
      id,
      name,
      taken: new Date(takenMs).toISOString(),
    }));
  }
  if (json) return `${JSON.stringify(facts, undefined, 2)}\n`;
  const lines = Object.entries(facts).map(([name, value]) => {
    const shown = typeof value === "object" ? JSON.stringify(value) : String(value);
    const unit = name.endsWith("Bytes") ? ` (${readable(Number(value))})` : "";
    return `${`${name}:`.padEnd(16)}${shown}${unit}`;
  });
  return `${lines.join("\n")}\n`;
}

function readable(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(bytes, 1)) / 10)));
  const value = bytes / 1024 ** power;
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[power]}`;
}
