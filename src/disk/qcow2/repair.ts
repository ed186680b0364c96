import { DiskError } from "../../host/block-device.ts";
import type { ByteStore } from "../../host/byte-store.ts";
import { type Entry, readEntry } from "./entry.ts";
import type { Qcow2Header } from "./header.ts";
import type { Refcounts } from "./refcounts.ts";
import { readSnapshots } from "./snapshots.ts";
import type { Tables } from "./tables.ts";

/** Entries that are looked at: those of a disk of 16 TiB in usual clusters. */
const MOST_ENTRIES = 2 ** 28;

/**
 * Counts anew how often each cluster is named, and corrects refcounts and the
 * flags that depend on them. For an image that was not closed.
 */
export async function rebuildRefcounts(
  store: ByteStore,
  header: Qcow2Header,
  tables: Tables,
  refcounts: Refcounts,
): Promise<void> {
  const counts = await countReferences(store, header, tables, refcounts);
  for (const cluster of refcounts.clustersInUse()) if (!counts.has(cluster)) refcounts.set(cluster, 0);
  for (const [cluster, count] of counts) if (refcounts.get(cluster) !== count) refcounts.set(cluster, count);
  const clusterBytes = 2 ** header.clusterBits;
  await tables.updateCopiedFlags((offset) => refcounts.get(Math.floor(offset / clusterBytes)));
}

/** How often each cluster of the file is named by the header and what follows from it. */
export async function countReferences(
  store: ByteStore,
  header: Qcow2Header,
  tables: Tables,
  refcounts: Refcounts,
): Promise<Map<number, number>> {
  const clusterBytes = 2 ** header.clusterBits;
  const fileBytes = await store.size();
  const counts = new Map<number, number>();
  const count = (offset: number, bytes: number) => {
    if (offset >= fileBytes) throw new DiskError(`${store.name}: a cluster at ${offset} is not in the file`);
    const last = Math.floor((offset + Math.max(bytes, 1) - 1) / clusterBytes);
    for (let cluster = Math.floor(offset / clusterBytes); cluster <= last; cluster++)
      counts.set(cluster, (counts.get(cluster) ?? 0) + 1);
  };
  let walked = 0;
  const countL1 = async (entries: readonly Entry[]) => {
    const seen = new Set<number>();
    for (const { offset } of entries) {
      if (offset === 0) continue;
      walked += tables.entriesPerL2;
      if (seen.has(offset) || walked > MOST_ENTRIES)
        throw new DiskError(`${store.name}: its tables are damaged; repair it with qemu-img check -r all`);
      seen.add(offset);
      count(offset, clusterBytes);
      const { view } = await tables.l2At(offset);
      for (let index = 0; index < tables.entriesPerL2; index++) {
        const entry = readEntry(view, index, header.clusterBits);
        if (entry.compressed !== undefined) count(entry.compressed.offset, entry.compressed.length);
        else if (entry.offset !== 0) count(entry.offset, clusterBytes);
      }
    }
  };
  count(0, clusterBytes);
  for (const cluster of refcounts.ownClusters()) count(cluster * clusterBytes, clusterBytes);
  if (header.l1Entries > 0) count(header.l1Offset, header.l1Entries * 8);
  await countL1(Array.from({ length: header.l1Entries }, (_, index) => tables.l1Entry(index)));
  const snapshots = await readSnapshots(store, header);
  if (snapshots.tableBytes > 0) count(header.snapshotsOffset, snapshots.tableBytes);
  for (const { l1Offset, l1Entries } of snapshots.list) {
    if (l1Entries === 0) continue;
    count(l1Offset, l1Entries * 8);
    const bytes = new Uint8Array(l1Entries * 8);
    await store.read(l1Offset, bytes);
    const view = new DataView(bytes.buffer);
    await countL1(
      Array.from({ length: l1Entries }, (_, index) => readEntry(view, index, header.clusterBits)),
    );
  }
  return counts;
}
