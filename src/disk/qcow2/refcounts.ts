import { DiskError } from "../../host/block-device.ts";
import type { ByteStore } from "../../host/byte-store.ts";
import { invariant } from "../../layout/invariant.ts";
import { OFFSET_REFCOUNT_TABLE, type Qcow2Header } from "./header.ts";

const MOST_TABLE_BYTES = 8 << 20;

/**
 * How often each cluster of an image is named, and which are free. All of it
 * is held in memory: 64 KiB for 2 GiB of a usual image.
 *
 * Nothing is written before `write`. A cluster that is freed keeps its refcount
 * until `settleFrees`, so nobody gets it while the file still names it.
 */
export class Refcounts {
  readonly #store: ByteStore;
  readonly #header: Qcow2Header;
  readonly #clusterBytes: number;
  readonly #bits: number;
  readonly #perBlock: number;
  #table: number[] = [];
  #tableOffset: number;
  readonly #blocks = new Map<number, Uint8Array>();
  readonly #dirtyBlocks = new Set<number>();
  readonly #dirtyTable = new Set<number>();
  /** The table has outgrown its place: its old clusters. */
  #movedFrom: { offset: number; clusters: number } | undefined;
  #freed: number[] = [];
  #hint = 0;
  /** One behind the last cluster that was ever in use. */
  #everEnd = 0;

  constructor(store: ByteStore, header: Qcow2Header) {
    this.#store = store;
    this.#header = header;
    this.#clusterBytes = 2 ** header.clusterBits;
    this.#bits = 2 ** header.refcountOrder;
    this.#perBlock = (this.#clusterBytes * 8) / this.#bits;
    this.#tableOffset = header.refcountTableOffset;
  }

  /** Reads the table and all blocks. @throws {DiskError} when they are not inside the file. */
  async load(fileBytes: number): Promise<void> {
    const { refcountTableOffset, refcountTableClusters } = this.#header;
    const bytes = new Uint8Array(refcountTableClusters * this.#clusterBytes);
    await this.#store.read(refcountTableOffset, bytes);
    const view = new DataView(bytes.buffer);
    this.#table = Array.from({ length: bytes.length / 8 }, (_, i) => Number(view.getBigUint64(8 * i)));
    const fileClusters = Math.ceil(fileBytes / this.#clusterBytes);
    const offsets = new Set<number>();
    for (const [index, offset] of this.#table.entries()) {
      // What counts only clusters behind the end of the file counts nothing.
      if (offset === 0 || index * this.#perBlock > fileClusters) continue;
      if (offset % this.#clusterBytes !== 0 || offset >= fileBytes || offsets.has(offset))
        throw new DiskError(`${this.#store.name}: a refcount block is misplaced, at ${offset}`);
      offsets.add(offset);
      const block = new Uint8Array(this.#clusterBytes);
      await this.#store.read(offset, block);
      this.#blocks.set(index, block);
    }
    this.#everEnd = this.endCluster();
  }

  /** What lies behind was never in use since the image was opened. */
  get everEndCluster(): number {
    return this.#everEnd;
  }

  /** The clusters that the table itself and its blocks take. */
  ownClusters(): number[] {
    const first = this.#tableOffset / this.#clusterBytes;
    const clusters = Math.ceil((this.#table.length * 8) / this.#clusterBytes);
    const own = Array.from({ length: clusters }, (_, index) => first + index);
    return [
      ...own,
      ...this.#table.filter((offset) => offset > 0).map((offset) => offset / this.#clusterBytes),
    ];
  }

  /** One behind the last cluster that is in use. */
  endCluster(): number {
    const indexes = [...this.#blocks.keys()].sort((a, b) => b - a);
    for (const index of indexes) {
      for (let within = this.#perBlock - 1; within >= 0; within--)
        if (this.get(index * this.#perBlock + within) > 0) return index * this.#perBlock + within + 1;
    }
    return 0;
  }

  /** The clusters that are in use, in no order. */
  *clustersInUse(): Generator<number> {
    for (const index of [...this.#blocks.keys()]) {
      const first = index * this.#perBlock;
      for (let cluster = first; cluster < first + this.#perBlock; cluster++)
        if (this.get(cluster) > 0) yield cluster;
    }
  }

  get(cluster: number): number {
    const block = this.#blocks.get(Math.floor(cluster / this.#perBlock));
    return block === undefined ? 0 : readCount(block, cluster % this.#perBlock, this.#bits);
  }

  set(cluster: number, count: number): void {
    const index = Math.floor(cluster / this.#perBlock);
    if (!this.#blocks.has(index)) {
      if (count === 0) return;
      this.#addBlock(index);
    }
    const block = this.#blocks.get(index);
    invariant(block !== undefined, "a refcount block that was added is there");
    if (count > 2 ** this.#bits - 1)
      throw new DiskError(`${this.#store.name}: refcount ${count} does not fit`);
    writeCount(block, cluster % this.#perBlock, this.#bits, count);
    this.#dirtyBlocks.add(index);
    if (count > 0) this.#everEnd = Math.max(this.#everEnd, cluster + 1);
  }

  /** Takes up to `most` clusters in a row, from the first free one on. `fresh`: none of them was in use before. */
  allocateRun(most: number): { offset: number; clusters: number; fresh: boolean } {
    for (;;) {
      const first = this.#firstFree(this.#hint);
      let clusters = 1;
      while (clusters < most && this.get(first + clusters) === 0) clusters++;
      if (this.#addMissingBlock(first, clusters)) continue;
      const fresh = first >= this.#everEnd;
      for (let index = 0; index < clusters; index++) this.set(first + index, 1);
      this.#hint = first + clusters;
      return { offset: first * this.#clusterBytes, clusters, fresh };
    }
  }

  /** Takes exactly `count` clusters in a row; returns the offset of the first. */
  allocate(count: number): number {
    for (;;) {
      let first = this.#firstFree(this.#hint);
      for (let found = 1; found < count; ) {
        if (this.get(first + found) === 0) found++;
        else {
          first = this.#firstFree(first + found);
          found = 1;
        }
      }
      if (this.#addMissingBlock(first, count)) continue;
      for (let index = 0; index < count; index++) this.set(first + index, 1);
      return first * this.#clusterBytes;
    }
  }

  /** Gives up clusters that nothing names any more, once `settleFrees` is called. */
  freeLater(offset: number, clusters = 1): void {
    const first = Math.floor(offset / this.#clusterBytes);
    for (let index = 0; index < clusters; index++) this.#freed.push(first + index);
  }

  /** Gives back clusters that were allocated and are named nowhere yet. */
  giveBack(offset: number, clusters: number): void {
    const first = offset / this.#clusterBytes;
    for (let index = 0; index < clusters; index++) this.set(first + index, 0);
    this.#hint = Math.min(this.#hint, first);
  }

  /** To be called when the file names none of the freed clusters any more. */
  settleFrees(): void {
    const freed = this.#freed;
    this.#freed = [];
    for (const cluster of freed) {
      const count = this.get(cluster);
      if (count === 0) continue;
      this.set(cluster, count - 1);
      if (count === 1) this.#hint = Math.min(this.#hint, cluster);
    }
  }

  get isDirty(): boolean {
    return this.#dirtyBlocks.size > 0 || this.#dirtyTable.size > 0 || this.#movedFrom !== undefined;
  }

  get hasFreed(): boolean {
    return this.#freed.length > 0;
  }

  /** Writes what has changed: blocks, then what names them. */
  async write(): Promise<void> {
    for (const index of [...this.#dirtyBlocks].sort((a, b) => a - b)) {
      const block = this.#blocks.get(index);
      if (block === undefined) continue;
      await this.#store.write(this.#table[index] ?? 0, block);
      this.#dirtyBlocks.delete(index);
    }
    if (this.#movedFrom !== undefined) await this.#writeMovedTable(this.#movedFrom);
    else if (this.#dirtyTable.size > 0) {
      await this.#store.sync();
      for (const index of this.#dirtyTable) await this.#writeTableEntry(index);
      this.#dirtyTable.clear();
    }
  }

  #firstFree(from: number): number {
    let cluster = from;
    while (this.get(cluster) > 0) cluster++;
    return cluster;
  }

  /** Makes a block for free clusters that no block counts yet, in the first of them; false when there is none to make. */
  #addMissingBlock(first: number, clusters: number): boolean {
    const lastIndex = Math.floor((first + clusters - 1) / this.#perBlock);
    for (let index = Math.floor(first / this.#perBlock); index <= lastIndex; index++) {
      if (this.#blocks.has(index)) continue;
      this.#placeBlock(index, Math.max(first, index * this.#perBlock));
      return true;
    }
    return false;
  }

  /** Makes a block for clusters that are in use but not counted, behind all others. */
  #addBlock(index: number): void {
    const block = new Uint8Array(this.#clusterBytes);
    this.#growTable(index);
    this.#blocks.set(index, block);
    this.#table[index] = this.allocate(1);
    this.#dirtyBlocks.add(index);
    this.#dirtyTable.add(index);
  }

  /** Makes a block in `cluster`, which it counts itself. */
  #placeBlock(index: number, cluster: number): void {
    const block = new Uint8Array(this.#clusterBytes);
    writeCount(block, cluster % this.#perBlock, this.#bits, 1);
    this.#everEnd = Math.max(this.#everEnd, cluster + 1);
    this.#blocks.set(index, block);
    this.#growTable(index);
    this.#table[index] = cluster * this.#clusterBytes;
    this.#dirtyBlocks.add(index);
    this.#dirtyTable.add(index);
  }

  /** Moves the table to where there is room for entry `index`, unless it has it. */
  #growTable(index: number): void {
    if (index < this.#table.length) return;
    const entriesPerCluster = this.#clusterBytes / 8;
    const old = { offset: this.#tableOffset, clusters: this.#table.length / entriesPerCluster };
    const clusters = Math.max(old.clusters * 2, Math.ceil((index + 1) / entriesPerCluster));
    if (clusters * this.#clusterBytes > MOST_TABLE_BYTES)
      throw new DiskError(`${this.#store.name}: it is full`);
    while (this.#table.length < clusters * entriesPerCluster) this.#table.push(0);
    if (this.#movedFrom === undefined) this.#movedFrom = old;
    else this.giveBack(old.offset, old.clusters);
    this.#tableOffset = this.allocate(clusters);
  }

  async #writeTableEntry(index: number): Promise<void> {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(this.#table[index] ?? 0));
    await this.#store.write(this.#tableOffset + 8 * index, bytes);
  }

  /** The new table is whole before the header names it. */
  async #writeMovedTable(from: { offset: number; clusters: number }): Promise<void> {
    const bytes = new Uint8Array(this.#table.length * 8);
    const view = new DataView(bytes.buffer);
    for (const [index, offset] of this.#table.entries()) view.setBigUint64(8 * index, BigInt(offset));
    await this.#store.write(this.#tableOffset, bytes);
    await this.#store.sync();
    const clusters = bytes.length / this.#clusterBytes;
    const fields = new DataView(new ArrayBuffer(12));
    fields.setBigUint64(0, BigInt(this.#tableOffset));
    fields.setUint32(8, clusters);
    await this.#store.write(OFFSET_REFCOUNT_TABLE, new Uint8Array(fields.buffer));
    await this.#store.sync();
    this.#header.refcountTableOffset = this.#tableOffset;
    this.#header.refcountTableClusters = clusters;
    this.#movedFrom = undefined;
    this.#dirtyTable.clear();
    this.freeLater(from.offset, from.clusters);
  }
}

/** Counts narrower than a byte begin at its low end; wider ones are big-endian. */
function readCount(block: Uint8Array, index: number, bits: number): number {
  if (bits < 8) {
    const at = index * bits;
    return ((block[at >> 3] ?? 0) >> (at & 7)) & ((1 << bits) - 1);
  }
  let value = 0;
  for (let i = 0; i < bits / 8; i++) value = value * 256 + (block[(index * bits) / 8 + i] ?? 0);
  return value;
}

function writeCount(block: Uint8Array, index: number, bits: number, count: number): void {
  if (bits < 8) {
    const at = index * bits;
    const mask = ((1 << bits) - 1) << (at & 7);
    block[at >> 3] = ((block[at >> 3] ?? 0) & ~mask) | (count << (at & 7));
    return;
  }
  let left = count;
  for (let i = bits / 8 - 1; i >= 0; i--) {
    block[(index * bits) / 8 + i] = left % 256;
    left = Math.floor(left / 256);
  }
}
