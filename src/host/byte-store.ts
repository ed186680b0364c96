import type { BytePieces } from "./byte-pieces.ts";

/**
 * A file, or what serves as one: bytes `0 .. size - 1` that can be changed
 * and that grow. Operations may overlap in time; those on the same bytes are
 * the caller's to order.
 */
export interface ByteStore {
  /** For messages: a path, for one. */
  readonly name: string;
  readonly readOnly: boolean;
  size(): Promise<number>;
  /** Fills `into` from `offset` on; returns how many bytes there were before the end. */
  read(offset: number, into: Uint8Array): Promise<number>;
  /** Writes all of `bytes`; behind the end, what lies between becomes zeroes. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** The same while the caller waits, where that is quick; undefined: nothing was read. */
  readNow?(offset: number, into: BytePieces): number | undefined;
  /** False: nothing was written. */
  writeNow?(offset: number, pieces: BytePieces): boolean;
  /** The same by another thread, in the memory itself that the pieces lie in. One of the two is called later, once. */
  readInPlace?(
    offset: number,
    into: BytePieces,
    done: (got: number) => void,
    failed: (error: unknown) => void,
  ): void;
  writeInPlace?(offset: number, pieces: BytePieces, done: () => void, failed: (error: unknown) => void): void;
  /** Resolves when all that was written before is safe from a crash of the host. */
  sync(): Promise<void>;
  /** Cuts off the end, or adds zeroes. */
  truncate(sizeBytes: number): Promise<void>;
  close(): Promise<void>;
}
