import type { ByteStore } from "../../host/byte-store.ts";
import { type NewHeader, writeHeader } from "./header.ts";

const REFCOUNT_BYTES = 2;

/** What a new image is to be. */
export interface NewImage {
  readonly sizeBytes: number;
  /** Clusters of 2**n bytes, 9 to 21; 16 if absent. */
  readonly clusterBits?: number;
  readonly backing?: NewHeader["backing"];
}

/** Writes an empty image into an empty file: header, refcount table, refcount blocks and L1 table, in this order. */
export async function createQcow2(
  store: ByteStore,
  { sizeBytes, clusterBits = 16, backing }: NewImage,
): Promise<void> {
  const clusterBytes = 2 ** clusterBits;
  const perBlock = clusterBytes / REFCOUNT_BYTES;
  const l1Entries = Math.ceil(sizeBytes / (clusterBytes * (clusterBytes / 8)));
  const l1Clusters = Math.max(1, Math.ceil((l1Entries * 8) / clusterBytes));
  let blocks = 1;
  let tableClusters = 1;
  const used = () => 1 + tableClusters + blocks + l1Clusters;
  while (blocks * perBlock < used()) {
    blocks++;
    tableClusters = Math.ceil((blocks * 8) / clusterBytes);
  }
  const metadata = new Uint8Array((1 + tableClusters + blocks) * clusterBytes);
  const header = {
    sizeBytes,
    clusterBits,
    l1Offset: metadata.length,
    l1Entries,
    refcountTableOffset: clusterBytes,
    refcountTableClusters: tableClusters,
    backing,
  };
  metadata.set(writeHeader(header));
  const view = new DataView(metadata.buffer);
  const firstBlock = (1 + tableClusters) * clusterBytes;
  for (let block = 0; block < blocks; block++)
    view.setBigUint64(clusterBytes + 8 * block, BigInt(firstBlock + block * clusterBytes));
  for (let cluster = 0; cluster < used(); cluster++) view.setUint16(firstBlock + REFCOUNT_BYTES * cluster, 1);
  await store.truncate(used() * clusterBytes);
  await store.write(0, metadata);
  await store.sync();
}
