// A snapshot file, from its start:
//
//   0   magic "\x89RFSNAP\n"
//   8   u32   version of the format
//   12  u32   0
//   16  u64   where the head begins
//   24  u64   size of the head in bytes; the file ends with it
//   32        SHA-256 of bytes 0..31 and the head: the snapshot's checksum, by which a differential one names its parent
//   64        chunks, each packed by itself
//       head  plain data as JSON (plain-data.ts): `SnapshotHead`, with an index of the chunks
//
// Numbers are little-endian. Every chunk has a CRC-32 over its packed bytes in the index. A later version may change
// anything behind the first 64 bytes.

import type { SnapshotCodec } from "../../host/snapshot-host.ts";
import { VmError } from "../../layout/vm-error.ts";
import type { MachineState } from "../machine-state.ts";

export const FORMAT_VERSION = 3;
export const PREAMBLE_BYTES = 64;
/** Before it unpacks, a reader makes room for this much at most. */
export const LARGEST_CHUNK_BYTES = 1 << 20;

const MAGIC = Uint8Array.of(0x89, 0x52, 0x46, 0x53, 0x4e, 0x41, 0x50, 0x0a);
const CHECKED_BYTES = 32;

/** What a machine is built with, apart from what its host may choose anew at each start. */
export interface MachineConfiguration {
  readonly ramBytes: number;
  readonly deterministic: boolean;
  readonly debugExitPort: number | null;
  readonly secondSerial: boolean;
}

/** Where a chunk lies in the file. */
export interface Chunk {
  readonly at: number;
  readonly packedBytes: number;
  readonly sizeBytes: number;
  readonly codec: SnapshotCodec;
  readonly crc32: number;
}

/** Guest pages, packed together in the order of `pages`: number of the first page, count, and so on. */
export interface MemoryChunk extends Chunk {
  readonly pages: readonly number[];
}

/** Bytes in chunks. */
export interface SavedBytes {
  readonly sizeBytes: number;
  readonly pieces: readonly Chunk[];
}

/** Bytes that firmware would put into memory. */
export interface SavedImage extends SavedBytes {
  readonly address: number;
}

/** `SavedCode` in chunks; numbers are 32 bits, little-endian. */
export interface CodeSection {
  readonly key: string;
  readonly inlineShapes: number;
  readonly nextHandler: number;
  readonly shapes: SavedBytes;
  readonly runModule: SavedBytes;
  readonly handlerModule: SavedBytes;
  readonly pages: SavedBytes;
  /** Each is packed by itself. */
  readonly groups: readonly Chunk[];
}

/** A disk of the machine: which files it lies over, and the blocks that differ. */
export interface SavedDisk {
  /** As the guest sees it. */
  readonly serial: string;
  readonly sizeBytes: number;
  readonly below: string;
  /** `pages` count blocks of LAYER_BLOCK_BYTES; the last of a disk may be shorter. */
  readonly blocks: readonly MemoryChunk[];
}

export interface SnapshotHead {
  /** For people. */
  readonly madeBy: string;
  readonly configuration: MachineConfiguration;
  /** The snapshot whose pages are meant where this one has none; it has the boot plan too. */
  readonly parent: { readonly name: string; readonly checksum: string } | null;
  readonly state: MachineState;
  /** What a reset starts; null where the parent has it or nobody knows. */
  readonly bootPlan: { readonly images: readonly SavedImage[]; readonly rest: unknown } | null;
  readonly disks: readonly SavedDisk[];
  /** Decoded code; null where there is none, or that of the parent is of use. */
  readonly code: CodeSection | null;
  readonly memory: readonly MemoryChunk[];
  /** Pages that the parent has and that are zero now: first, count, and so on. */
  readonly zeroPages: readonly number[];
}

export interface Preamble {
  readonly version: number;
  readonly headAt: number;
  readonly headBytes: number;
  readonly checksum: Uint8Array;
}

/** The first 64 bytes. */
export function encodePreamble(
  headAt: number,
  head: Uint8Array,
  sha256: (bytes: Uint8Array) => Uint8Array,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(PREAMBLE_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint32(8, FORMAT_VERSION, true);
  view.setBigUint64(16, BigInt(headAt), true);
  view.setBigUint64(24, BigInt(head.length), true);
  bytes.set(checksumOf(bytes, head, sha256), CHECKED_BYTES);
  return bytes;
}

/**
 * @param fileBytes Size of the whole file.
 * @throws {VmError} `snapshot-foreign`, `snapshot-truncated`, `snapshot-damaged`.
 */
export function decodePreamble(path: string, bytes: Uint8Array, fileBytes: number): Preamble {
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) {
    throw new VmError({ code: "snapshot-foreign", path, reason: "it does not begin as one" });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, PREAMBLE_BYTES);
  const headAt = Number(view.getBigUint64(16, true));
  const headBytes = Number(view.getBigUint64(24, true));
  const expectedBytes = headAt + headBytes;
  if (headAt < PREAMBLE_BYTES || headBytes === 0 || expectedBytes > Number.MAX_SAFE_INTEGER) {
    throw new VmError({ code: "snapshot-damaged", path, where: "its first 64 bytes" });
  }
  if (fileBytes < expectedBytes) {
    throw new VmError({ code: "snapshot-truncated", path, expectedBytes, actualBytes: fileBytes });
  }
  if (fileBytes > expectedBytes) {
    throw new VmError({ code: "snapshot-damaged", path, where: "something stands behind its end" });
  }
  return {
    version: view.getUint32(8, true),
    headAt,
    headBytes,
    checksum: bytes.slice(CHECKED_BYTES, PREAMBLE_BYTES),
  };
}

export function checksumOf(
  preamble: Uint8Array,
  head: Uint8Array,
  sha256: (bytes: Uint8Array) => Uint8Array,
): Uint8Array {
  const checked = new Uint8Array(CHECKED_BYTES + head.length);
  checked.set(preamble.subarray(0, CHECKED_BYTES));
  checked.set(head, CHECKED_BYTES);
  return sha256(checked);
}

/** A list of first page and count, taken apart. */
export function* runsOf(runs: readonly number[]): Generator<{ first: number; count: number }> {
  for (let i = 0; i + 1 < runs.length; i += 2) yield { first: runs[i] ?? 0, count: runs[i + 1] ?? 0 };
}

/** The page numbers of such a list. */
export function* pagesOf(runs: readonly number[]): Generator<number> {
  for (const { first, count } of runsOf(runs))
    for (let page = first; page < first + count; page++) yield page;
}

/** Adds a page to such a list; pages come in rising order. */
export function addPage(runs: number[], page: number): void {
  const last = runs.length - 2;
  if (last >= 0 && (runs[last] ?? 0) + (runs[last + 1] ?? 0) === page)
    runs[last + 1] = (runs[last + 1] ?? 0) + 1;
  else runs.push(page, 1);
}
