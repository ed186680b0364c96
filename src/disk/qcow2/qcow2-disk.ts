import { type BlockDevice, DiskError, SECTOR_BYTES } from "../../host/block-device.ts";
import type { ByteStore } from "../../host/byte-store.ts";
import type { Decompressor } from "../../host/decompressor.ts";
import { checkSectors, checkWritableSectors } from "../check-sectors.ts";
import { RequestLock } from "../request-lock.ts";
import { ClusterReader } from "./cluster-reader.ts";
import { ClusterWriter } from "./cluster-writer.ts";
import { parseHeader, type Qcow2Header } from "./header.ts";
import { Qcow2Image } from "./image.ts";
import { type InternalSnapshot, readSnapshots } from "./snapshots.ts";

/** As much of a file as a header can take. */
const MOST_HEADER_BYTES = 2 << 20;
/** Zeroes are written in pieces of this. */
const ZEROES_BYTES = 1 << 20;

/** What an image is opened with. */
export interface Qcow2Parts {
  readonly store: ByteStore;
  readonly readOnly: boolean;
  readonly decompressor: Decompressor;
  /** Opens the image that this one builds upon; closing the disk closes it. */
  openBacking(name: string, format: string | undefined): Promise<BlockDevice>;
}

/**
 * A disk in a qcow2 image, version 2 or 3. Requests that give clusters a place
 * or take it away run alone, all others at the same time.
 *
 * Source: QEMU, docs/interop/qcow2.rst.
 */
export class Qcow2Disk implements BlockDevice {
  readonly format = "qcow2";
  readonly readOnly: boolean;
  readonly #image: Qcow2Image;
  readonly #backing: BlockDevice | undefined;
  readonly #reader: ClusterReader;
  readonly #writer: ClusterWriter;
  readonly #lock = new RequestLock();

  private constructor(image: Qcow2Image, parts: Qcow2Parts, backing: BlockDevice | undefined) {
    this.readOnly = parts.readOnly || parts.store.readOnly;
    this.#image = image;
    this.#backing = backing;
    this.#reader = new ClusterReader(image, backing, parts.decompressor);
    this.#writer = new ClusterWriter(image, this.#reader, backing !== undefined);
  }

  /** @throws {VmError} `disk-image-invalid`. @throws {DiskError} when its tables cannot be read. */
  static async open(parts: Qcow2Parts): Promise<Qcow2Disk> {
    const { store } = parts;
    const writable = !parts.readOnly && !store.readOnly;
    const beginning = new Uint8Array(Math.min(await store.size(), MOST_HEADER_BYTES));
    await store.read(0, beginning);
    const header = parseHeader(beginning, store.name, writable);
    const backing = header.backing && (await parts.openBacking(header.backing.name, header.backing.format));
    try {
      const image = new Qcow2Image(store, header);
      await image.load(writable);
      return new Qcow2Disk(image, parts, backing);
    } catch (error) {
      await backing?.close();
      throw error;
    }
  }

  get header(): Qcow2Header {
    return this.#image.header;
  }

  /** The last sector of an odd size is not reached. */
  get sizeBytes(): number {
    return this.header.sizeBytes - (this.header.sizeBytes % SECTOR_BYTES);
  }

  /** Snapshots inside the image. */
  async snapshots(): Promise<InternalSnapshot[]> {
    return (await readSnapshots(this.#image.store, this.header)).list;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    checkSectors(this, offset, into.length);
    await this.#lock.shared(() => this.#reader.read(offset, into));
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    checkWritableSectors(this, offset, bytes.length);
    const inPlace = await this.#lock.shared(() => this.#writer.writeInPlace(offset, bytes));
    if (!inPlace) await this.#lock.exclusive(() => this.#writer.writeAllocating(offset, bytes));
  }

  async flush(): Promise<void> {
    if (this.readOnly) return;
    if (this.#image.hasChanges) await this.#lock.exclusive(() => this.#image.writeTables());
    else await this.#image.store.sync();
  }

  async discard(offset: number, length: number): Promise<void> {
    checkWritableSectors(this, offset, length);
    const { first, end } = this.#wholeClusters(offset, length);
    if (this.#canUnmap && first < end) await this.#lock.exclusive(() => this.#writer.unmap(first, end));
  }

  async writeZeroes(offset: number, length: number): Promise<void> {
    checkWritableSectors(this, offset, length);
    const { first, end } = this.#wholeClusters(offset, length);
    if (!this.#canUnmap || first >= end) return this.#writeZeroBytes(offset, length);
    const { clusterBytes } = this.#image;
    const unmappedEnd = Math.min(end * clusterBytes, offset + length);
    await this.#writeZeroBytes(offset, first * clusterBytes - offset);
    await this.#lock.exclusive(() => this.#writer.unmap(first, end));
    await this.#writeZeroBytes(unmappedEnd, offset + length - unmappedEnd);
  }

  /** Changes the size of the disk. What a smaller one does not reach is lost; what a larger one adds reads as zeroes. */
  async resize(sizeBytes: number): Promise<void> {
    if (this.readOnly) throw new DiskError("the disk is read-only");
    if (sizeBytes % SECTOR_BYTES !== 0) throw new DiskError(`${sizeBytes} bytes are not whole sectors`);
    const before = this.sizeBytes;
    if (sizeBytes < before) {
      await this.discard(sizeBytes, before - sizeBytes);
      await this.flush();
    }
    await this.#lock.exclusive(() => this.#image.setSize(sizeBytes));
    // The image below, or what was cut off in part, may go on behind the old end.
    const { clusterBytes } = this.#image;
    const clusterEnd = Math.ceil(before / clusterBytes) * clusterBytes;
    const covered = Math.min(sizeBytes, Math.max(clusterEnd, this.#backing?.sizeBytes ?? 0));
    if (covered > before) await this.writeZeroes(before, covered - before);
    await this.flush();
  }

  async close(): Promise<void> {
    if (!this.readOnly) await this.#lock.exclusive(() => this.#image.finish());
    await this.#image.store.close();
    await this.#backing?.close();
  }

  /** Version 2 cannot say that a cluster hides the image below and is zero. */
  get #canUnmap(): boolean {
    return this.header.version === 3 || this.#backing === undefined;
  }

  /** The clusters that lie in a range as a whole; the disk's last one may be cut off by its end. */
  #wholeClusters(offset: number, length: number): { first: number; end: number } {
    const { clusterBytes } = this.#image;
    const last = (offset + length) / clusterBytes;
    const end = offset + length === this.sizeBytes ? Math.ceil(last) : Math.floor(last);
    return { first: Math.ceil(offset / clusterBytes), end };
  }

  async #writeZeroBytes(offset: number, length: number): Promise<void> {
    for (let done = 0; done < length; done += ZEROES_BYTES)
      await this.write(offset + done, new Uint8Array(Math.min(ZEROES_BYTES, length - done)));
  }
}
