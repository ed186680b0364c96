import { DiskError } from "../../host/block-device.ts";
import type { ByteStore } from "../../host/byte-store.ts";
import {
  isDirty,
  MOST_L1_BYTES,
  OFFSET_AUTOCLEAR,
  OFFSET_INCOMPATIBLE,
  OFFSET_L1,
  OFFSET_SIZE,
  type Qcow2Header,
  withDirty,
} from "./header.ts";
import { Refcounts } from "./refcounts.ts";
import { rebuildRefcounts } from "./repair.ts";
import { Tables } from "./tables.ts";

/** The file grows in steps of this, without taking room. */
const GROWTH_BYTES = 64 << 20;

/**
 * The file of a qcow2 image: its header, tables and refcounts, and the order
 * in which they are written.
 *
 * Data goes to the file at once, tables only when they are asked for, by a
 * flush of the guest: refcounts first, then what names the clusters, then what
 * frees them. So whenever the process is killed, the file holds what was
 * flushed, and nothing names a cluster that is not counted. Between two of
 * these steps a cluster may be counted that nothing names; the dirty bit tells
 * the next one who opens the image to count anew.
 */
export class Qcow2Image {
  readonly store: ByteStore;
  readonly header: Qcow2Header;
  readonly clusterBytes: number;
  readonly refcounts: Refcounts;
  readonly tables: Tables;
  #fileBytes = 0;
  #markedDirty = false;

  constructor(store: ByteStore, header: Qcow2Header) {
    this.store = store;
    this.header = header;
    this.clusterBytes = 2 ** header.clusterBits;
    this.refcounts = new Refcounts(store, header);
    this.tables = new Tables(store, header, this.refcounts, () => this.#fileBytes);
  }

  /** Reads the tables. One who will write needs the refcounts too, and an image that was not closed is mended. */
  async load(writable: boolean): Promise<void> {
    const fileBytes = await this.store.size();
    this.#fileBytes = Math.ceil(fileBytes / this.clusterBytes) * this.clusterBytes;
    await this.tables.load();
    if (!writable) return;
    await this.refcounts.load(fileBytes);
    if (isDirty(this.header)) {
      await rebuildRefcounts(this.store, this.header, this.tables, this.refcounts);
      this.#markedDirty = true;
      await this.writeTables();
    }
    const end = this.refcounts.endCluster() * this.clusterBytes;
    if (end > this.#fileBytes)
      throw this.damaged(`it ends at ${fileBytes}, but clusters up to ${end} are in use`);
    // Behind lies what an earlier process wrote and did not live to name.
    await this.store.truncate(end);
    this.#fileBytes = end;
  }

  /** Something has changed that `writeTables` must write. */
  get hasChanges(): boolean {
    return this.tables.isDirty || this.refcounts.isDirty || this.refcounts.hasFreed;
  }

  /** See the class: the order is what keeps the image sound. Nobody else may change the image meanwhile. */
  async writeTables(): Promise<void> {
    await this.refcounts.write();
    await this.growFile(this.refcounts.everEndCluster * this.clusterBytes);
    await this.store.sync();
    await this.tables.writeL2();
    if (this.tables.isL1Dirty) {
      await this.store.sync();
      await this.tables.writeL1();
    }
    await this.store.sync();
    if (!this.refcounts.hasFreed) return;
    this.refcounts.settleFrees();
    await this.refcounts.write();
  }

  /** Makes sure that the file reaches to `endBytes`; what is added reads as zeroes. */
  async growFile(endBytes: number): Promise<void> {
    if (endBytes <= this.#fileBytes) return;
    const grown = endBytes + GROWTH_BYTES;
    await this.store.truncate(grown);
    this.#fileBytes = grown;
  }

  /** To be called before anything changes: tells others who open the image whether they must count anew. */
  async setDirty(dirty: boolean): Promise<void> {
    // Version 2 has no place for it.
    if (dirty === this.#markedDirty || this.header.version === 2) return;
    this.header.incompatible = withDirty(this.header, dirty);
    await this.store.write(OFFSET_INCOMPATIBLE, bigEndian64(this.header.incompatible));
    if (dirty) {
      // Whoever writes must clear what it does not keep up.
      await this.store.write(OFFSET_AUTOCLEAR, bigEndian64(0n));
      await this.store.sync();
    }
    this.#markedDirty = dirty;
  }

  async setSize(sizeBytes: number): Promise<void> {
    const entries = Math.ceil(sizeBytes / (this.clusterBytes * this.tables.entriesPerL2));
    if (entries * 8 > MOST_L1_BYTES) throw new DiskError("the disk would be too large for its clusters");
    await this.setDirty(true);
    if (entries > this.header.l1Entries) await this.#moveL1(entries);
    await this.store.write(OFFSET_SIZE, bigEndian64(BigInt(sizeBytes)));
    this.header.sizeBytes = sizeBytes;
  }

  /** Writes what is left, gives back the file's unused end, and marks the image as closed. */
  async finish(): Promise<void> {
    do await this.writeTables();
    while (this.refcounts.isDirty || this.refcounts.hasFreed);
    await this.store.truncate(this.refcounts.endCluster() * this.clusterBytes);
    if (this.#markedDirty) await this.setDirty(false);
    await this.store.sync();
  }

  /** @throws {DiskError} when a range that a table names is not in the file. */
  checkInFile(offset: number, length: number): void {
    if (offset + length > this.#fileBytes) throw this.damaged(`a cluster at ${offset} is not in the file`);
  }

  damaged(what: string): DiskError {
    return new DiskError(`${this.store.name}: ${what}`);
  }

  /** A longer L1 table is whole and counted before the header names it. */
  async #moveL1(entries: number): Promise<void> {
    await this.writeTables();
    const old = { offset: this.header.l1Offset, bytes: this.header.l1Entries * 8 };
    const offset = this.refcounts.allocate(Math.ceil((entries * 8) / this.clusterBytes));
    await this.store.write(offset, this.tables.replaceL1(entries));
    this.header.l1Offset = offset;
    this.header.l1Entries = entries;
    await this.writeTables();
    const fields = new DataView(new ArrayBuffer(12));
    fields.setUint32(0, entries);
    fields.setBigUint64(4, BigInt(offset));
    await this.store.write(OFFSET_L1, new Uint8Array(fields.buffer));
    await this.store.sync();
    this.refcounts.freeLater(old.offset, Math.ceil(old.bytes / this.clusterBytes));
    await this.writeTables();
  }
}

function bigEndian64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}
