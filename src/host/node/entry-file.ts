import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import process from "node:process";
import { threadId } from "node:worker_threads";
import { crc32 } from "node:zlib";

/** Of the file: magic, format, entries, and the CRC of what the entries are. */
const HEAD_BYTES = 16;
/** Of an entry: key, offset in the file, bytes, CRC. */
const ENTRY_WORDS = 4;
const ENTRY_BYTES = 4 * ENTRY_WORDS;

/** What a file begins with. */
export interface EntryFileKind {
  readonly magic: number;
  readonly format: number;
}

/** Bytes in a file, and the number that they were put in by. */
export interface FileEntry {
  readonly key: number;
  readonly offset: number;
  readonly length: number;
  readonly crc: number;
}

/** What goes into a file. */
export interface NewEntry {
  readonly key: number;
  readonly crc: number;
  readonly bytes: Uint8Array;
}

/** The number of an open file, or undefined where it cannot be read, or somebody else can write it. */
export function openEntryFile(file: string): number | undefined {
  let opened: number | undefined;
  try {
    opened = openSync(file, "r");
    const { uid, mode } = fstatSync(opened);
    if (process.getuid === undefined || (uid === process.getuid() && (mode & 0o022) === 0)) return opened;
  } catch {
    return undefined;
  }
  closeSync(opened);
  return undefined;
}

/** What the file says it has; nothing where it is damaged or another kind's. */
export function readIndex(file: number, { magic, format }: EntryFileKind): FileEntry[] {
  const head = new Uint32Array(HEAD_BYTES / 4);
  const size = fstatSync(file).size;
  if (readSync(file, head, 0, HEAD_BYTES, 0) !== HEAD_BYTES) return [];
  const [foundMagic, foundFormat, count, crc] = head as unknown as [number, number, number, number];
  if (foundMagic !== magic || foundFormat !== format || HEAD_BYTES + count * ENTRY_BYTES > size) return [];
  const index = new Uint8Array(count * ENTRY_BYTES);
  readSync(file, index, 0, index.length, HEAD_BYTES);
  if (crc32(index) !== crc) return [];
  const words = new Uint32Array(index.buffer);
  return Array.from({ length: count }, (_, i) => {
    const [key, offset, length, entryCrc] = words.subarray(i * ENTRY_WORDS) as unknown as number[];
    return { key: key!, offset: offset!, length: length!, crc: entryCrc! };
  });
}

/** Undefined where it is damaged. */
export function readEntry(
  file: number,
  { offset, length, crc }: FileEntry,
): Uint8Array<ArrayBuffer> | undefined {
  const bytes = new Uint8Array(length);
  const read = readSync(file, bytes, 0, length, offset);
  return read === length && crc32(bytes) === crc ? bytes : undefined;
}

/** Writes a file anew, to another name first: who reads meanwhile reads the old one. */
export function writeEntryFile(
  file: string,
  { magic, format }: EntryFileKind,
  entries: readonly NewEntry[],
): void {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.${process.pid}.${threadId}`;
  const indexBytes = entries.length * ENTRY_BYTES;
  const index = new Uint8Array(indexBytes);
  const words = new Uint32Array(index.buffer);
  let at = HEAD_BYTES + indexBytes;
  for (const [i, { key, crc, bytes }] of entries.entries()) {
    words.set([key, at, bytes.length, crc], i * ENTRY_WORDS);
    at += bytes.length;
  }
  const head = Uint32Array.of(magic, format, entries.length, crc32(index));
  const parts = [new Uint8Array(head.buffer), index, ...entries.map(({ bytes }) => bytes)];
  writeFileSync(temporary, Buffer.concat(parts), { mode: 0o600 });
  renameSync(temporary, file);
}

/** Removes the files of a folder that were written longest ago, but for so many. */
export function removeOldest(folder: string, most: number): void {
  const files = readdirSync(folder).map((name) => path.join(folder, name));
  const byAge = files.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  for (const old of byAge.slice(most)) rmSync(old, { force: true });
}
