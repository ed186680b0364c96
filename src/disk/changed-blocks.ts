import { type BlockDevice, LAYER_BLOCK_BYTES, type LayeredDisk } from "../host/block-device.ts";
import { type BytePieces, byteCount } from "../host/byte-pieces.ts";

/** A disk that begins as files which nobody writes, and notes which blocks have been written since. */
export class ChangedBlocks implements LayeredDisk {
  readonly below: string;
  readonly #disk: BlockDevice;
  readonly #changed = new Set<number>();

  /**
   * @param disk Read-only, or keeps what is written apart from the files.
   * @param below Tells the files from others.
   */
  constructor(disk: BlockDevice, below: string) {
    this.#disk = disk;
    this.below = below;
  }

  get format(): string {
    return this.#disk.format;
  }

  get sizeBytes(): number {
    return this.#disk.sizeBytes;
  }

  get readOnly(): boolean {
    return this.#disk.readOnly;
  }

  get changedBlocks(): readonly number[] {
    return [...this.#changed].sort((a, b) => a - b);
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    return this.#disk.read(offset, into);
  }

  write(offset: number, bytes: Uint8Array): Promise<void> {
    this.#note(offset, bytes.length);
    return this.#disk.write(offset, bytes);
  }

  readNow(offset: number, into: BytePieces): boolean {
    return this.#disk.readNow?.(offset, into) ?? false;
  }

  writeNow(offset: number, pieces: BytePieces): boolean {
    this.#note(offset, byteCount(pieces));
    return this.#disk.writeNow?.(offset, pieces) ?? false;
  }

  readInPlace(offset: number, into: BytePieces, done: () => void, failed: (error: unknown) => void): boolean {
    return this.#disk.readInPlace?.(offset, into, done, failed) ?? false;
  }

  writeInPlace(
    offset: number,
    pieces: BytePieces,
    done: () => void,
    failed: (error: unknown) => void,
  ): boolean {
    this.#note(offset, byteCount(pieces));
    return this.#disk.writeInPlace?.(offset, pieces, done, failed) ?? false;
  }

  flush(): Promise<void> {
    return this.#disk.flush();
  }

  discard(offset: number, length: number): Promise<void> {
    this.#note(offset, length);
    return this.#disk.discard(offset, length);
  }

  writeZeroes(offset: number, length: number, mayUnmap: boolean): Promise<void> {
    this.#note(offset, length);
    return this.#disk.writeZeroes(offset, length, mayUnmap);
  }

  close(): Promise<void> {
    return this.#disk.close();
  }

  #note(offset: number, length: number): void {
    const end = Math.min(offset + length, this.sizeBytes);
    for (let block = Math.floor(offset / LAYER_BLOCK_BYTES); block * LAYER_BLOCK_BYTES < end; block++)
      this.#changed.add(block);
  }
}
