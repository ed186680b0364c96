import { VmError } from "../../layout/vm-error.ts";

export const MAGIC = 0x514649fb;

// Bits of incompatible_features.
const DIRTY = 1n << 0n;
const CORRUPT = 1n << 1n;
const EXTERNAL_DATA = 1n << 2n;
const COMPRESSION_TYPE = 1n << 3n;
const EXTENDED_L2 = 1n << 4n;
const SUPPORTED = DIRTY | COMPRESSION_TYPE;
/** Of autoclear_features: bitmaps that a writer would have to keep up. */
const BITMAPS = 1n;

// Header extensions.
const EXTENSION_END = 0;
const EXTENSION_BACKING_FORMAT = 0xe2792aca;

const V2_BYTES = 72;
const V3_BYTES = 104;
/** As long as the compression type needs. */
const WRITTEN_BYTES = 112;
const MOST_BACKING_NAME = 1023;
export const MOST_L1_BYTES = 32 << 20;
const MOST_REFCOUNT_TABLE_BYTES = 8 << 20;
const MOST_SNAPSHOTS = 65536;

/** Where fields lie that change while an image is open. */
export const OFFSET_SIZE = 24;
export const OFFSET_L1 = 36;
export const OFFSET_REFCOUNT_TABLE = 48;
export const OFFSET_SNAPSHOTS = 60;
export const OFFSET_INCOMPATIBLE = 72;
export const OFFSET_AUTOCLEAR = 88;

/** What an image's header says; offsets and sizes in bytes unless they are counts. */
export interface Qcow2Header {
  readonly version: 2 | 3;
  readonly clusterBits: number;
  sizeBytes: number;
  l1Entries: number;
  l1Offset: number;
  refcountTableOffset: number;
  refcountTableClusters: number;
  snapshotCount: number;
  snapshotsOffset: number;
  /** Refcounts are 2**n bits wide. */
  readonly refcountOrder: number;
  readonly compression: "zlib" | "zstd";
  incompatible: bigint;
  readonly autoclear: bigint;
  readonly backing: { readonly name: string; readonly format: string | undefined } | undefined;
}

/** The image was not closed: refcounts may be too high. */
export function isDirty(header: Qcow2Header): boolean {
  return (header.incompatible & DIRTY) !== 0n;
}

export function withDirty(header: Qcow2Header, dirty: boolean): bigint {
  return dirty ? header.incompatible | DIRTY : header.incompatible & ~DIRTY;
}

/**
 * Reads and checks a header. `bytes` is the file's beginning, a cluster or as much as there is.
 *
 * Source: QEMU, docs/interop/qcow2.rst.
 *
 * @throws {VmError} `disk-image-invalid`.
 */
export function parseHeader(bytes: Uint8Array, name: string, writable: boolean): Qcow2Header {
  const refuse = (reason: string) => new VmError({ code: "disk-image-invalid", path: name, reason });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < V2_BYTES || view.getUint32(0) !== MAGIC) throw refuse("not a qcow2 image");
  const version = view.getUint32(4);
  if (version !== 2 && version !== 3) throw refuse(`qcow2 version ${version} is not supported`);
  if (version === 3 && bytes.length < V3_BYTES) throw refuse("the qcow2 header is cut off");
  const headerBytes = version === 3 ? view.getUint32(100) : V2_BYTES;
  const clusterBits = view.getUint32(20);
  if (clusterBits < 9 || clusterBits > 21) throw refuse(`clusters of 2**${clusterBits} bytes`);
  if (
    headerBytes < (version === 3 ? V3_BYTES : V2_BYTES) ||
    headerBytes > Math.min(bytes.length, 1 << clusterBits)
  )
    throw refuse(`a header of ${headerBytes} bytes`);
  const incompatible = version === 3 ? view.getBigUint64(72) : 0n;
  const autoclear = version === 3 ? view.getBigUint64(88) : 0n;
  if ((incompatible & CORRUPT) !== 0n)
    throw refuse("marked as damaged; repair it with qemu-img check -r all");
  if ((incompatible & EXTERNAL_DATA) !== 0n) throw refuse("external data files are not supported");
  if ((incompatible & EXTENDED_L2) !== 0n) throw refuse("subclusters (extended_l2) are not supported");
  if ((incompatible & ~SUPPORTED) !== 0n) throw refuse(`unknown features 0x${incompatible.toString(16)}`);
  if (writable && (autoclear & BITMAPS) !== 0n)
    throw refuse("it has bitmaps, which a writer would damage; open it read-only");
  if (view.getUint32(32) !== 0) throw refuse("encryption is not supported");
  const header: Qcow2Header = {
    version,
    clusterBits,
    sizeBytes: Number(view.getBigUint64(OFFSET_SIZE)),
    l1Entries: view.getUint32(OFFSET_L1),
    l1Offset: Number(view.getBigUint64(OFFSET_L1 + 4)),
    refcountTableOffset: Number(view.getBigUint64(OFFSET_REFCOUNT_TABLE)),
    refcountTableClusters: view.getUint32(OFFSET_REFCOUNT_TABLE + 8),
    snapshotCount: view.getUint32(OFFSET_SNAPSHOTS),
    snapshotsOffset: Number(view.getBigUint64(OFFSET_SNAPSHOTS + 4)),
    refcountOrder: version === 3 ? view.getUint32(96) : 4,
    compression:
      (incompatible & COMPRESSION_TYPE) === 0n ? "zlib" : compressionType(bytes[104], headerBytes, refuse),
    incompatible,
    autoclear,
    backing: readBacking(view, bytes, headerBytes, clusterBits, refuse),
  };
  checkTables(header, refuse);
  return header;
}

type Refuse = (reason: string) => VmError;

function compressionType(value: number | undefined, headerBytes: number, refuse: Refuse): "zlib" | "zstd" {
  if (headerBytes <= V3_BYTES || value === undefined || value > 1) throw refuse("an unknown compression");
  return value === 1 ? "zstd" : "zlib";
}

function checkTables(header: Qcow2Header, refuse: Refuse): void {
  const clusterBytes = 2 ** header.clusterBits;
  const tableAt = (offset: number) =>
    Number.isSafeInteger(offset) && offset > 0 && offset % clusterBytes === 0;
  if (!Number.isSafeInteger(header.sizeBytes)) throw refuse("a disk that is too large");
  if (header.refcountOrder > 6) throw refuse(`refcounts of 2**${header.refcountOrder} bits`);
  const bytesPerL1 = clusterBytes * (clusterBytes / 8);
  const neededEntries = Math.ceil(header.sizeBytes / bytesPerL1);
  if (header.l1Entries * 8 > MOST_L1_BYTES || header.l1Entries < neededEntries)
    throw refuse(`an L1 table of ${header.l1Entries} entries for ${header.sizeBytes} bytes`);
  if (header.l1Entries > 0 && !tableAt(header.l1Offset)) throw refuse("a misplaced L1 table");
  if (
    header.refcountTableClusters * clusterBytes > MOST_REFCOUNT_TABLE_BYTES ||
    !tableAt(header.refcountTableOffset)
  )
    throw refuse("a misplaced refcount table");
  if (header.refcountTableClusters === 0) throw refuse("no refcount table");
  if (header.snapshotCount > MOST_SNAPSHOTS) throw refuse(`${header.snapshotCount} snapshots`);
  if (header.snapshotCount > 0 && !tableAt(header.snapshotsOffset))
    throw refuse("a misplaced snapshot table");
}

function readBacking(
  view: DataView,
  bytes: Uint8Array,
  headerBytes: number,
  clusterBits: number,
  refuse: Refuse,
): Qcow2Header["backing"] {
  const offset = Number(view.getBigUint64(8));
  if (offset === 0) return undefined;
  const length = view.getUint32(16);
  const end = Math.min(bytes.length, 2 ** clusterBits);
  if (length === 0 || length > MOST_BACKING_NAME || offset + length > end)
    throw refuse("a misplaced backing file name");
  const text = new TextDecoder();
  const name = text.decode(bytes.slice(offset, offset + length));
  let format: string | undefined;
  for (let at = headerBytes; at + 8 <= offset; ) {
    const type = view.getUint32(at);
    const size = view.getUint32(at + 4);
    if (type === EXTENSION_END || at + 8 + size > offset) break;
    if (type === EXTENSION_BACKING_FORMAT) format = text.decode(bytes.slice(at + 8, at + 8 + size));
    at += 8 + Math.ceil(size / 8) * 8;
  }
  return { name, format };
}

/** What a new image is to be. */
export interface NewHeader {
  readonly sizeBytes: number;
  readonly clusterBits: number;
  readonly l1Offset: number;
  readonly l1Entries: number;
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
  readonly backing?: { readonly name: string; readonly format: string } | undefined;
}

/** The first cluster of a new image, version 3 with refcounts of 16 bits. */
export function writeHeader(header: NewHeader): Uint8Array {
  const bytes = new Uint8Array(2 ** header.clusterBits);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC);
  view.setUint32(4, 3);
  view.setUint32(20, header.clusterBits);
  view.setBigUint64(OFFSET_SIZE, BigInt(header.sizeBytes));
  view.setUint32(OFFSET_L1, header.l1Entries);
  view.setBigUint64(OFFSET_L1 + 4, BigInt(header.l1Offset));
  view.setBigUint64(OFFSET_REFCOUNT_TABLE, BigInt(header.refcountTableOffset));
  view.setUint32(OFFSET_REFCOUNT_TABLE + 8, header.refcountTableClusters);
  view.setUint32(96, 4);
  view.setUint32(100, WRITTEN_BYTES);
  if (header.backing === undefined) return bytes;
  const encoder = new TextEncoder();
  const format = encoder.encode(header.backing.format);
  const name = encoder.encode(header.backing.name);
  const nameAt = WRITTEN_BYTES + 8 + Math.ceil(format.length / 8) * 8 + 8;
  if (name.length > MOST_BACKING_NAME || nameAt + name.length > bytes.length) {
    const reason = `a backing file name of ${name.length} bytes`;
    throw new VmError({ code: "disk-image-invalid", path: header.backing.name, reason });
  }
  view.setUint32(WRITTEN_BYTES, EXTENSION_BACKING_FORMAT);
  view.setUint32(WRITTEN_BYTES + 4, format.length);
  bytes.set(format, WRITTEN_BYTES + 8);
  bytes.set(name, nameAt);
  view.setBigUint64(8, BigInt(nameAt));
  view.setUint32(16, name.length);
  return bytes;
}
