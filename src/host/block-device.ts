import type { BytePieces } from "./byte-pieces.ts";

/**
 * What a guest's disk stands on: sectors of 512 bytes. Offsets and lengths are
 * whole sectors inside `0 .. sizeBytes`; everything else throws.
 *
 * A promise rejects with a `DiskError` when the disk cannot do what it should. A
 * write that overlaps another one in time leaves either's bytes in each sector.
 */
export interface BlockDevice {
  /** "raw", "qcow2" and so on. */
  readonly format: string;
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  /** Fills `into`. */
  read(offset: number, into: Uint8Array): Promise<void>;
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** The same while the caller waits, where that is quick. False: nothing was read. */
  readNow?(offset: number, into: BytePieces): boolean;
  writeNow?(offset: number, pieces: BytePieces): boolean;
  /**
   * The same by another thread, between the disk and the memory itself that the pieces lie in: whoever looks there sees
   * bytes change until `done` or `failed` has been called, which happens later. False: nothing was begun.
   */
  readInPlace?(offset: number, into: BytePieces, done: () => void, failed: (error: unknown) => void): boolean;
  writeInPlace?(
    offset: number,
    pieces: BytePieces,
    done: () => void,
    failed: (error: unknown) => void,
  ): boolean;
  /** Resolves when every write that had resolved before survives a crash of the host. */
  flush(): Promise<void>;
  /** The guest no longer needs these bytes; they may read as anything afterwards. */
  discard(offset: number, length: number): Promise<void>;
  /** `mayUnmap`: the room they take may be given back. */
  writeZeroes(offset: number, length: number, mayUnmap: boolean): Promise<void>;
  /** Flushes, and lets go of the files. */
  close(): Promise<void>;
}

export const SECTOR_BYTES = 512;

/** Granularity in which a `LayeredDisk` knows what has changed. */
export const LAYER_BLOCK_BYTES = 65536;

/** A disk whose contents go with a snapshot: those of files that nobody writes, and blocks that differ from them. */
export interface LayeredDisk extends BlockDevice {
  /** Tells the files from others, and from what becomes of them when somebody writes them after all. */
  readonly below: string;
  /** Numbers of the blocks of LAYER_BLOCK_BYTES that may differ, rising. */
  readonly changedBlocks: readonly number[];
}

export function isLayered(disk: BlockDevice): disk is LayeredDisk {
  return "changedBlocks" in disk;
}

/** A disk that cannot be read or written any further: damaged, full, or gone. */
export class DiskError extends Error {
  override readonly name = "DiskError";
}
