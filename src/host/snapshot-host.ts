/** How the bytes of a snapshot's chunk are packed. Every host unpacks "none" and "deflate"; "zstd" is faster. */
export type SnapshotCodec = "none" | "zstd" | "deflate";

export interface PackedBytes {
  readonly codec: SnapshotCodec;
  readonly bytes: Uint8Array;
}

/** A snapshot file being read. */
export interface SnapshotFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** Fills `target` from `offset` on. Rejects when the file ends before. */
  read(offset: number, target: Uint8Array): Promise<void>;
  /** Fills several targets one after the other. */
  readInto(offset: number, targets: readonly Uint8Array[]): Promise<void>;
  /** As `read`, at once; for what is needed rarely and without notice. */
  readNow(offset: number, target: Uint8Array): void;
  close(): Promise<void>;
}

/** A snapshot file being written. It appears under its name when it is complete. */
export interface SnapshotSink {
  /** Appends; the bytes must not change before this resolves. */
  append(bytes: Uint8Array): Promise<void>;
  /** Replaces bytes at the start. */
  rewriteStart(bytes: Uint8Array): Promise<void>;
  /** Puts the file into its place, safe on disk. */
  finish(): Promise<void>;
  /** Leaves nothing behind. Does nothing after `finish`. */
  abandon(): Promise<void>;
}

/** What snapshots need of the program they are taken in. */
export interface SnapshotHost {
  /** @throws {VmError} `file-not-found`, `file-unreadable`. */
  open(path: string): Promise<SnapshotFile>;
  /** @throws {VmError} `file-unwritable`. */
  create(path: string): Promise<SnapshotSink>;
  /** The path of a file that lies in the folder of `path`. */
  beside(path: string, name: string): string;
  /** The last part of a path. */
  nameOf(path: string): string;
  /** Packs bytes, or gives them back with the codec "none" where packing does not pay. */
  pack(bytes: Uint8Array): Promise<PackedBytes>;
  /** Throws when the bytes are not what the codec makes, or give other than `sizeBytes`. */
  unpack(packed: PackedBytes, sizeBytes: number): Uint8Array;
  /** CRC-32 as in gzip (RFC 1952, section 8). `before`: that of the bytes before these. */
  crc32(bytes: Uint8Array, before?: number): number;
  /** SHA-256, 32 bytes. */
  sha256(bytes: Uint8Array): Uint8Array;
}
