import { type BlockDevice, DiskError, SECTOR_BYTES } from "../../host/block-device.ts";
import type { ByteStore } from "../../host/byte-store.ts";
import type { Decompressor } from "../../host/decompressor.ts";
import { RequestLock } from "../request-lock.ts";
import { decompressCluster } from "./compressed.ts";
import type { Entry } from "./entry.ts";
import {
  isDirty,
  MOST_L1_BYTES,
  OFFSET_AUTOCLEAR,
  OFFSET_INCOMPATIBLE,
  OFFSET_L1,
  OFFSET_SIZE,
  parseHeader,
  type Qcow2Header,
  withDirty,
} from "./header.ts";
import { Refcounts } from "./refcounts.ts";
import { rebuildRefcounts } from "./repair.ts";
import { type InternalSnapshot, readSnapshots } from "./snapshots.ts";
import { Tables } from "./tables.ts";

/** As much of a file as a header can take. */
const MOST_HEADER_BYTES = 2 << 20;
/** The file grows in steps of this, without taking room. */
const GROWTH_BYTES = 64 << 20;

/** What an image is opened with. */
export interface Qcow2Parts {
  readonly store: ByteStore;
  readonly readOnly: boolean;
  readonly decompressor: Decompressor;
  /** Opens the image that this one builds upon; closing the disk closes it. */
  openBacking(name: string, format: string | undefined): Promise<BlockDevice>;
}

/**
 * A disk in a qcow2 image, version 2 or 3.
 *
 * Data goes to the file at once, tables only when the guest flushes: refcounts
 * first, then what names the clusters, then what frees them. So whenever the
 * process is killed, the file holds what was flushed, and nothing names a
 * cluster that is not counted. Between two of these steps a cluster may be
 * counted that nothing names; the dirty bit tells the next one who opens the
 * image to count anew.
 *
 * Source: QEMU, docs/interop/qcow2.rst.
 */
export class Qcow2Disk implements BlockDevice {
  readonly format = "qcow2";
  readonly readOnly: boolean;
  readonly header: Qcow2Header;
  readonly #store: ByteStore;
  readonly #parts: Qcow2Parts;
  readonly #clusterBytes: number;
  readonly #lock = new RequestLock();
  readonly #refcounts: Refcounts;
  readonly #tables: Tables;
  readonly #backing: BlockDevice | undefined;
  #fileBytes = 0;
  #markedDirty = false;
  /** The compressed cluster unpacked last. */
  #unpacked: { offset: number; bytes: Uint8Array } | undefined;

  private constructor(parts: Qcow2Parts, header: Qcow2Header, backing: BlockDevice | undefined) {
    this.readOnly = parts.readOnly || parts.store.readOnly;
    this.header = header;
    this.#parts = parts;
    this.#store = parts.store;
    this.#clusterBytes = 2 ** header.clusterBits;
    this.#backing = backing;
    this.#refcounts = new Refcounts(parts.store, header);
    this.#tables = new Tables(parts.store, header, this.#refcounts, () => this.#fileBytes);
  }

  /** @throws {VmError} `disk-image-invalid`. @throws {DiskError} when its tables cannot be read. */
  static async open(parts: Qcow2Parts): Promise<Qcow2Disk> {
    const writable = !parts.readOnly && !parts.store.readOnly;
    const fileBytes = await parts.store.size();
    const beginning = new Uint8Array(Math.min(fileBytes, MOST_HEADER_BYTES));
    await parts.store.read(0, beginning);
    const header = parseHeader(beginning, parts.store.name, writable);
    const { backing } = header;
    const backingDisk = backing && (await parts.openBacking(backing.name, backing.format));
    try {
      const disk = new Qcow2Disk(parts, header, backingDisk);
      await disk.#load(fileBytes, writable);
      return disk;
    } catch (error) {
      await backingDisk?.close();
      throw error;
    }
  }

  /** The last sector of an odd size is not reached. */
  get sizeBytes(): number {
    return this.header.sizeBytes - (this.header.sizeBytes % SECTOR_BYTES);
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    this.#check(offset, into.length);
    return this.#lock.shared(() => this.#read(offset, into));
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.#checkWritable(offset, bytes.length);
    const inPlace = await this.#lock.shared(() => this.#writeInPlace(offset, bytes));
    if (!inPlace) await this.#lock.exclusive(() => this.#writeAllocating(offset, bytes));
  }

  async flush(): Promise<void> {
    if (this.readOnly) return;
    const clean = !this.#tables.isDirty && !this.#refcounts.isDirty && !this.#refcounts.hasFreed;
    if (clean) await this.#store.sync();
    else await this.#lock.exclusive(() => this.#writeTables());
  }

  async discard(offset: number, length: number): Promise<void> {
    this.#checkWritable(offset, length);
    await this.#lock.exclusive(() => this.#unmap(offset, length));
  }

  async writeZeroes(offset: number, length: number): Promise<void> {
    this.#checkWritable(offset, length);
    const first = Math.ceil(offset / this.#clusterBytes) * this.#clusterBytes;
    const end = offset + length - ((offset + length) % this.#clusterBytes);
    const wholeDisk = offset + length === this.sizeBytes ? offset + length : end;
    if (wholeDisk <= first || !this.#canUnmap) return this.#writeZeroBytes(offset, length);
    await this.#writeZeroBytes(offset, first - offset);
    await this.#lock.exclusive(() => this.#unmap(first, wholeDisk - first));
    await this.#writeZeroBytes(wholeDisk, offset + length - wholeDisk);
  }

  /** Snapshots inside the image. */
  async snapshots(): Promise<InternalSnapshot[]> {
    return (await readSnapshots(this.#store, this.header)).list;
  }

  /** Changes the size of the disk. What a smaller one does not reach is lost; what a larger one adds reads as zeroes. */
  async resize(sizeBytes: number): Promise<void> {
    if (this.readOnly) throw new DiskError("the disk is read-only");
    if (sizeBytes % SECTOR_BYTES !== 0) throw new DiskError(`${sizeBytes} bytes are not whole sectors`);
    const before = this.sizeBytes;
    if (sizeBytes < before) {
      await this.#lock.exclusive(() => this.#unmap(sizeBytes, before - sizeBytes));
      await this.flush();
    }
    await this.#lock.exclusive(() => this.#setSize(sizeBytes));
    // The image below may go on behind the old end.
    const covered = Math.min(sizeBytes, this.#backing?.sizeBytes ?? 0);
    if (covered > before) await this.writeZeroes(before, covered - before);
    await this.flush();
  }

  async #setSize(sizeBytes: number): Promise<void> {
    const entries = Math.ceil(sizeBytes / (this.#clusterBytes * this.#tables.entriesPerL2));
    if (entries * 8 > MOST_L1_BYTES) throw new DiskError("the disk would be too large for its clusters");
    await this.#setDirty(true);
    if (entries > this.header.l1Entries) await this.#moveL1(entries);
    await this.#store.write(OFFSET_SIZE, bigEndian64(BigInt(sizeBytes)));
    this.header.sizeBytes = sizeBytes;
  }

  /** A longer L1 table is whole and counted before the header names it. */
  async #moveL1(entries: number): Promise<void> {
    await this.#writeTables();
    const old = { offset: this.header.l1Offset, bytes: this.header.l1Entries * 8 };
    const offset = this.#refcounts.allocate(Math.ceil((entries * 8) / this.#clusterBytes));
    await this.#store.write(offset, this.#tables.replaceL1(entries));
    this.header.l1Offset = offset;
    this.header.l1Entries = entries;
    await this.#writeTables();
    const fields = new DataView(new ArrayBuffer(12));
    fields.setUint32(0, entries);
    fields.setBigUint64(4, BigInt(offset));
    await this.#store.write(OFFSET_L1, new Uint8Array(fields.buffer));
    await this.#store.sync();
    this.#refcounts.freeLater(old.offset, Math.ceil(old.bytes / this.#clusterBytes));
    await this.#writeTables();
  }

  async close(): Promise<void> {
    if (!this.readOnly) {
      await this.#lock.exclusive(async () => {
        do await this.#writeTables();
        while (this.#refcounts.isDirty || this.#refcounts.hasFreed);
        await this.#store.truncate(this.#refcounts.endCluster() * this.#clusterBytes);
        if (this.#markedDirty) await this.#setDirty(false);
        await this.#store.sync();
      });
    }
    await this.#store.close();
    await this.#backing?.close();
  }

  async #load(fileBytes: number, writable: boolean): Promise<void> {
    this.#fileBytes = Math.ceil(fileBytes / this.#clusterBytes) * this.#clusterBytes;
    await this.#tables.load();
    if (!writable) return;
    await this.#refcounts.load(fileBytes);
    if (isDirty(this.header)) {
      await rebuildRefcounts(this.#store, this.header, this.#tables, this.#refcounts);
      this.#markedDirty = true;
      await this.#writeTables();
    }
    // What an earlier process wrote and did not live to name.
    const end = this.#refcounts.endCluster() * this.#clusterBytes;
    if (end > fileBytes - (fileBytes % this.#clusterBytes) + this.#clusterBytes)
      throw new DiskError(
        `${this.#store.name}: it ends at ${fileBytes}, but clusters up to ${end} are in use`,
      );
    await this.#store.truncate(end);
    this.#fileBytes = end;
  }

  async #read(offset: number, into: Uint8Array): Promise<void> {
    const pieces: Promise<void>[] = [];
    let run: { from: number; at: number; length: number } | undefined;
    const endRun = () => {
      if (run !== undefined)
        pieces.push(this.#readFile(run.from, into.subarray(run.at, run.at + run.length)));
      run = undefined;
    };
    for (const piece of this.#clusters(offset, into.length)) {
      const entry = await this.#tables.entry(piece.cluster);
      const stored = entry.compressed === undefined && !entry.zero && entry.offset !== 0;
      const from = entry.offset + piece.within;
      if (stored && run !== undefined && run.from + run.length === from) {
        run.length += piece.length;
        continue;
      }
      endRun();
      if (stored) run = { from, at: piece.at, length: piece.length };
      else pieces.push(this.#readOther(entry, piece, into.subarray(piece.at, piece.at + piece.length)));
    }
    endRun();
    await Promise.all(pieces);
  }

  async #readFile(from: number, into: Uint8Array): Promise<void> {
    this.#checkInFile(from, into.length);
    into.fill(0, await this.#store.read(from, into));
  }

  /** What is compressed, zero, or left to the image below. */
  async #readOther(entry: Entry, piece: Piece, into: Uint8Array): Promise<void> {
    if (entry.compressed !== undefined) {
      const bytes = await this.#unpack(entry.compressed);
      into.set(bytes.subarray(piece.within, piece.within + piece.length));
    } else if (entry.zero) into.fill(0);
    else await this.#readBacking(piece.cluster * this.#clusterBytes + piece.within, into);
  }

  async #readBacking(offset: number, into: Uint8Array): Promise<void> {
    const backing = this.#backing;
    const length = backing === undefined ? 0 : Math.max(0, Math.min(into.length, backing.sizeBytes - offset));
    if (backing !== undefined && length > 0) await backing.read(offset, into.subarray(0, length));
    into.fill(0, length);
  }

  async #unpack({ offset, length }: { offset: number; length: number }): Promise<Uint8Array> {
    if (this.#unpacked?.offset === offset) return this.#unpacked.bytes;
    if (offset >= this.#fileBytes)
      throw this.#damaged(`a compressed cluster at ${offset} is not in the file`);
    const packed = new Uint8Array(Math.min(length, 2 * this.#clusterBytes + SECTOR_BYTES));
    const got = await this.#store.read(offset, packed);
    const { compression } = this.header;
    const bytes = await decompressCluster(
      packed.subarray(0, got),
      compression,
      this.#clusterBytes,
      this.#parts.decompressor,
    );
    this.#unpacked = { offset, bytes };
    return bytes;
  }

  /** Writes where every cluster has its own place already; false, and nothing is done, where one has not. */
  async #writeInPlace(offset: number, bytes: Uint8Array): Promise<boolean> {
    const runs: { to: number; at: number; length: number }[] = [];
    for (const piece of this.#clusters(offset, bytes.length)) {
      const entry = await this.#tables.entry(piece.cluster);
      if (!isOwn(entry)) return false;
      const to = entry.offset + piece.within;
      const last = runs.at(-1);
      if (last !== undefined && last.to + last.length === to) last.length += piece.length;
      else runs.push({ to, at: piece.at, length: piece.length });
    }
    for (const { to, length } of runs) this.#checkInFile(to, length);
    await Promise.all(
      runs.map(({ to, at, length }) => this.#store.write(to, bytes.subarray(at, at + length))),
    );
    return true;
  }

  async #writeAllocating(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#setDirty(true);
    const pieces = [...this.#clusters(offset, bytes.length)];
    for (let index = 0; index < pieces.length; ) {
      const group: { piece: Piece; entry: Entry }[] = [];
      for (const piece of pieces.slice(index)) {
        const entry = await this.#tables.entry(piece.cluster);
        if (isOwn(entry)) break;
        group.push({ piece, entry });
      }
      if (group.length > 0) index += await this.#writeNew(group, bytes);
      else {
        const piece = pieces[index++];
        if (piece !== undefined)
          await this.#writeInPlace(
            piece.cluster * this.#clusterBytes + piece.within,
            bytes.subarray(piece.at, piece.at + piece.length),
          );
      }
    }
    if (this.#tables.isCrowded) await this.#writeTables();
  }

  /** Gives the first clusters of a group a place in a row, and writes them; returns how many. */
  async #writeNew(group: readonly { piece: Piece; entry: Entry }[], bytes: Uint8Array): Promise<number> {
    const size = this.#clusterBytes;
    const { offset: target, clusters, fresh } = this.#refcounts.allocateRun(group.length);
    const pieces = group.slice(0, clusters);
    try {
      await this.#growFile(target + clusters * size);
      const first = pieces[0]?.piece.within ?? 0;
      const last = pieces.at(-1)?.piece;
      const end = (clusters - 1) * size + (last === undefined ? size : last.within + last.length);
      const from = pieces[0]?.piece.at ?? 0;
      const data = bytes.subarray(from, from + end - first);
      const zeroAround = fresh && pieces.every(({ entry }) => this.#readsAsZero(entry));
      if (zeroAround || (first === 0 && end === clusters * size))
        await this.#store.write(target + first, data);
      else await this.#store.write(target, await this.#surround(pieces, first, end, data));
    } catch (error) {
      this.#refcounts.giveBack(target, clusters);
      throw error;
    }
    for (const [index, { piece, entry }] of pieces.entries()) {
      await this.#tables.setEntry(piece.cluster, target + index * size);
      this.#free(entry);
    }
    return clusters;
  }

  /** Whole clusters around `data`: what was in the first before it and in the last behind it. */
  async #surround(
    pieces: readonly { piece: Piece; entry: Entry }[],
    first: number,
    end: number,
    data: Uint8Array,
  ): Promise<Uint8Array> {
    const size = this.#clusterBytes;
    const whole = new Uint8Array(pieces.length * size);
    const old = async (index: number) => {
      const { piece, entry } = pieces[index] ?? {};
      if (piece === undefined || entry === undefined) return;
      const into = whole.subarray(index * size, (index + 1) * size);
      const stored = entry.compressed === undefined && !entry.zero && entry.offset !== 0;
      if (stored) await this.#readFile(entry.offset, into);
      else await this.#readOther(entry, { ...piece, within: 0, length: size }, into);
    };
    if (first > 0) await old(0);
    if (end < whole.length && !(first > 0 && pieces.length === 1)) await old(pieces.length - 1);
    whole.set(data, first);
    return whole;
  }

  #readsAsZero(entry: Entry): boolean {
    return (
      entry.zero || (entry.offset === 0 && entry.compressed === undefined && this.#backing === undefined)
    );
  }

  get #canUnmap(): boolean {
    return this.header.version === 3 || this.#backing === undefined;
  }

  /** Whole clusters in the range give up their room and read as zeroes from then on. */
  async #unmap(offset: number, length: number): Promise<void> {
    if (!this.#canUnmap) return;
    const size = this.#clusterBytes;
    const end =
      offset + length === this.sizeBytes
        ? Math.ceil((offset + length) / size)
        : Math.floor((offset + length) / size);
    const first = Math.ceil(offset / size);
    if (first >= end) return;
    await this.#setDirty(true);
    for (let cluster = first; cluster < end; cluster++) {
      const entry = await this.#tables.entry(cluster);
      if (entry.offset === 0 && entry.compressed === undefined) {
        if (entry.zero || this.#backing === undefined) {
          cluster = await this.#skipEmpty(cluster, end);
          continue;
        }
      }
      await this.#tables.setEntry(cluster, 0, this.#backing !== undefined);
      this.#free(entry);
    }
    if (this.#tables.isCrowded) await this.#writeTables();
  }

  /** Without an image below, everything under an L2 table that is not there is empty: its last cluster. */
  async #skipEmpty(cluster: number, end: number): Promise<number> {
    const { entriesPerL2 } = this.#tables;
    const index = Math.floor(cluster / entriesPerL2);
    const none = this.#tables.l1Entry(index).offset === 0;
    return none ? Math.min((index + 1) * entriesPerL2, end) - 1 : cluster;
  }

  async #writeZeroBytes(offset: number, length: number): Promise<void> {
    const step = 1 << 20;
    for (let done = 0; done < length; done += step)
      await this.write(offset + done, new Uint8Array(Math.min(step, length - done)));
  }

  #free(entry: Entry): void {
    const size = this.#clusterBytes;
    if (entry.compressed !== undefined) {
      const { offset, length } = entry.compressed;
      const first = Math.floor(offset / size);
      this.#refcounts.freeLater(first * size, Math.floor((offset + length - 1) / size) - first + 1);
      this.#unpacked = undefined;
    } else if (entry.offset !== 0) this.#refcounts.freeLater(entry.offset);
  }

  /** See the class: the order is what keeps the image sound. */
  async #writeTables(): Promise<void> {
    await this.#refcounts.write();
    await this.#growFile(this.#refcounts.everEndCluster * this.#clusterBytes);
    await this.#store.sync();
    await this.#tables.writeL2();
    if (this.#tables.isL1Dirty) {
      await this.#store.sync();
      await this.#tables.writeL1();
    }
    await this.#store.sync();
    if (!this.#refcounts.hasFreed) return;
    this.#refcounts.settleFrees();
    await this.#refcounts.write();
  }

  async #growFile(endBytes: number): Promise<void> {
    if (endBytes <= this.#fileBytes) return;
    const grown = endBytes + GROWTH_BYTES;
    await this.#store.truncate(grown);
    this.#fileBytes = grown;
  }

  /** Tells others who open the image whether they must count anew; version 2 has no place for it. */
  async #setDirty(dirty: boolean): Promise<void> {
    if (dirty === this.#markedDirty || this.header.version === 2) return;
    this.header.incompatible = withDirty(this.header, dirty);
    await this.#store.write(OFFSET_INCOMPATIBLE, bigEndian64(this.header.incompatible));
    // Whoever writes must clear what it does not keep up.
    if (dirty) await this.#store.write(OFFSET_AUTOCLEAR, bigEndian64(0n));
    if (dirty) await this.#store.sync();
    this.#markedDirty = dirty;
  }

  /** The parts of a range that lie in one cluster each. */
  *#clusters(offset: number, length: number): Generator<Piece> {
    for (let at = 0; at < length; ) {
      const within = (offset + at) % this.#clusterBytes;
      const piece = Math.min(length - at, this.#clusterBytes - within);
      yield { cluster: Math.floor((offset + at) / this.#clusterBytes), within, at, length: piece };
      at += piece;
    }
  }

  #checkInFile(offset: number, length: number): void {
    if (offset + length > this.#fileBytes) throw this.#damaged(`a cluster at ${offset} is not in the file`);
  }

  #checkWritable(offset: number, length: number): void {
    if (this.readOnly) throw new DiskError("the disk is read-only");
    this.#check(offset, length);
  }

  #check(offset: number, length: number): void {
    const sectors = offset % SECTOR_BYTES === 0 && length % SECTOR_BYTES === 0;
    if (sectors && offset >= 0 && offset + length <= this.sizeBytes) return;
    throw new DiskError(`${length} bytes at ${offset} are not sectors of a disk of ${this.sizeBytes} bytes`);
  }

  #damaged(what: string): DiskError {
    return new DiskError(`${this.#store.name}: ${what}`);
  }
}

interface Piece {
  /** Index of the guest's cluster */
  readonly cluster: number;
  /** Where in the cluster it begins */
  readonly within: number;
  /** Where in the request it begins */
  readonly at: number;
  readonly length: number;
}

/** The cluster has a place that nothing else names, and that counts. */
function isOwn(entry: Entry): boolean {
  return entry.offset !== 0 && entry.copied && !entry.zero;
}

function bigEndian64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}
