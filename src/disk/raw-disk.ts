import { type BlockDevice, DiskError, SECTOR_BYTES } from "../host/block-device.ts";
import { type BytePieces, byteCount, fillFrom } from "../host/byte-pieces.ts";
import type { ByteStore } from "../host/byte-store.ts";
import { checkSectors, checkWritableSectors } from "./check-sectors.ts";

/** Zeroes are written in pieces of this. */
const ZEROES_BYTES = 1 << 20;

/** A disk whose bytes are those of a file: also what a CD's image is. */
export class RawDisk implements BlockDevice {
  readonly format = "raw";
  readonly readOnly: boolean;
  readonly #store: ByteStore;
  #sizeBytes: number;

  private constructor(store: ByteStore, fileBytes: number, readOnly: boolean) {
    this.#store = store;
    this.readOnly = readOnly || store.readOnly;
    // The last sector may be there in part, where nobody can write the rest.
    const sectors = this.readOnly
      ? Math.ceil(fileBytes / SECTOR_BYTES)
      : Math.floor(fileBytes / SECTOR_BYTES);
    this.#sizeBytes = sectors * SECTOR_BYTES;
  }

  /** Closing the disk closes `store`. */
  static async open(store: ByteStore, readOnly = false): Promise<RawDisk> {
    return new RawDisk(store, await store.size(), readOnly);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Cuts the file off, or adds zeroes to it. */
  async resize(sizeBytes: number): Promise<void> {
    if (this.readOnly) throw new DiskError("the disk is read-only");
    if (sizeBytes % SECTOR_BYTES !== 0) throw new DiskError(`${sizeBytes} bytes are not whole sectors`);
    await this.#store.truncate(sizeBytes);
    this.#sizeBytes = sizeBytes;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    checkSectors(this, offset, into.length);
    const got = await this.#store.read(offset, into);
    into.fill(0, got);
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    checkWritableSectors(this, offset, bytes.length);
    await this.#store.write(offset, bytes);
  }

  readNow(offset: number, into: BytePieces): boolean {
    checkSectors(this, offset, byteCount(into));
    const got = this.#store.readNow?.(offset, into);
    if (got === undefined) return false;
    fillFrom(into, got);
    return true;
  }

  writeNow(offset: number, pieces: BytePieces): boolean {
    checkWritableSectors(this, offset, byteCount(pieces));
    return this.#store.writeNow?.(offset, pieces) ?? false;
  }

  readInPlace(offset: number, into: BytePieces, done: () => void, failed: (error: unknown) => void): boolean {
    checkSectors(this, offset, byteCount(into));
    if (this.#store.readInPlace === undefined) return false;
    const filled = (got: number) => {
      fillFrom(into, got);
      done();
    };
    this.#store.readInPlace(offset, into, filled, failed);
    return true;
  }

  writeInPlace(
    offset: number,
    pieces: BytePieces,
    done: () => void,
    failed: (error: unknown) => void,
  ): boolean {
    checkWritableSectors(this, offset, byteCount(pieces));
    if (this.#store.writeInPlace === undefined) return false;
    this.#store.writeInPlace(offset, pieces, done, failed);
    return true;
  }

  async flush(): Promise<void> {
    if (!this.readOnly) await this.#store.sync();
  }

  /** Files give no room back from their middle here, so nothing happens. */
  async discard(offset: number, length: number): Promise<void> {
    checkWritableSectors(this, offset, length);
  }

  async writeZeroes(offset: number, length: number): Promise<void> {
    checkWritableSectors(this, offset, length);
    const zeroes = new Uint8Array(Math.min(length, ZEROES_BYTES));
    for (let done = 0; done < length; done += zeroes.length) {
      await this.#store.write(offset + done, zeroes.subarray(0, Math.min(zeroes.length, length - done)));
    }
  }

  async close(): Promise<void> {
    await this.flush();
    await this.#store.close();
  }
}
