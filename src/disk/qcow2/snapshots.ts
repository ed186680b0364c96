import { DiskError } from "../../host/block-device.ts";
import type { ByteStore } from "../../host/byte-store.ts";
import type { Qcow2Header } from "./header.ts";

const ENTRY_BYTES = 40;
const MOST_TABLE_BYTES = 64 << 20;
const MOST_L1_BYTES = 32 << 20;

/** A snapshot inside an image. */
export interface InternalSnapshot {
  readonly id: string;
  readonly name: string;
  readonly l1Offset: number;
  readonly l1Entries: number;
  /** Milliseconds since 1970 */
  readonly takenMs: number;
  /** Of the machine's memory, which we do not read; 0 for a snapshot of the disk alone */
  readonly stateBytes: number;
}

/** Reads the table of snapshots ("Snapshot table"). */
export async function readSnapshots(
  store: ByteStore,
  header: Qcow2Header,
): Promise<{ list: InternalSnapshot[]; tableBytes: number }> {
  const list: InternalSnapshot[] = [];
  const end = await store.size();
  let at = header.snapshotsOffset;
  const take = async (length: number) => {
    if (at + length > end || at + length - header.snapshotsOffset > MOST_TABLE_BYTES)
      throw new DiskError(`${store.name}: the snapshot table is not in the file`);
    const bytes = new Uint8Array(length);
    await store.read(at, bytes);
    at += length;
    return bytes;
  };
  const text = new TextDecoder();
  for (let index = 0; index < header.snapshotCount; index++) {
    const view = new DataView((await take(ENTRY_BYTES)).buffer);
    const l1Offset = Number(view.getBigUint64(0));
    const l1Entries = view.getUint32(8);
    if (l1Entries * 8 > MOST_L1_BYTES || l1Offset % 2 ** header.clusterBits !== 0)
      throw new DiskError(`${store.name}: a snapshot with an L1 table of ${l1Entries} entries`);
    await take(view.getUint32(36));
    const id = text.decode(await take(view.getUint16(12)));
    const name = text.decode(await take(view.getUint16(14)));
    const takenMs = view.getUint32(16) * 1000 + view.getUint32(20) / 1e6;
    list.push({ id, name, l1Offset, l1Entries, takenMs, stateBytes: view.getUint32(32) });
    at = header.snapshotsOffset + Math.ceil((at - header.snapshotsOffset) / 8) * 8;
  }
  return { list, tableBytes: header.snapshotCount === 0 ? 0 : at - header.snapshotsOffset };
}
