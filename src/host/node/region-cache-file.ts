import { hash } from "node:crypto";
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
import type { RegionCache } from "../../cpu/region-translator.ts";
import { defaultCacheFolder } from "./cache-folder.ts";

const MAGIC = 0x47524652;
const FORMAT = 1;
/** Of the file: magic, format, entries, and the CRC of what the entries are. */
const HEAD_BYTES = 16;
/** Of an entry: key, offset in the file, bytes, CRC. */
const ENTRY_WORDS = 4;
const ENTRY_BYTES = 4 * ENTRY_WORDS;
/** What is older has to go. */
const MOST_BYTES = 32 << 20;
const MOST_ENTRIES = 20_000;
/** Made in one run: what a guest makes beyond that is forgotten, lest it fill the host's memory. */
const MOST_NEW_BYTES = 16 << 20;
/** Fewer regions are not worth writing the file again. */
const LEAST_NEW = 8;
/** Files of other versions. */
const MOST_FILES = 4;
/** Regions of one key: code that is rewritten in a few ways. */
const MOST_OF_A_KEY = 8;

/** One region: its bytes, or where in the file they are. */
interface Entry {
  readonly key: number;
  readonly crc: number;
  readonly length: number;
  /** Place in the file; -1 for one that was made in this run. */
  readonly offset: number;
  bytes: Uint8Array | undefined;
  isUsed: boolean;
}

/**
 * Regions in a file that outlives the process. The file is read only where it is asked for, and written anew by `save`: to
 * another name first, so that who reads meanwhile reads the old one. Of two processes that save at the same time one may lose what it made.
 */
export class RegionCacheFile implements RegionCache {
  readonly #path: string;
  readonly #file: number | undefined;
  /** By key, when they have been asked for. */
  #known: Map<number, Entry[]> | undefined;
  /** Regions that are not in the file. */
  #new = 0;
  #newBytes = 0;

  constructor(file: string) {
    this.#path = file;
    this.#file = openFile(file);
  }

  get #entries(): Map<number, Entry[]> {
    this.#known ??= byKey(this.#file === undefined ? [] : readEntries(this.#file));
    return this.#known;
  }

  *find(key: number): Generator<Uint8Array> {
    for (const entry of this.#entries.get(key) ?? []) {
      const bytes = entry.bytes ?? this.#read(entry);
      if (bytes === undefined) continue;
      entry.isUsed = true;
      yield bytes;
    }
  }

  add(key: number, bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#newBytes + bytes.length > MOST_NEW_BYTES) return;
    const known = this.#entries.get(key) ?? [];
    const crc = crc32(bytes);
    if (known.some((entry) => entry.crc === crc && entry.length === bytes.length)) return;
    const entry = { key, crc, length: bytes.length, offset: -1, bytes, isUsed: true };
    this.#entries.set(key, [entry, ...known].slice(0, MOST_OF_A_KEY));
    this.#new++;
    this.#newBytes += bytes.length;
  }

  nowMs(): number {
    return performance.now();
  }

  /** Writes what was added, if that is some regions, and what others have written since the file was opened. Where it cannot be written, nothing is kept. */
  save(): void {
    if (this.#new < LEAST_NEW) return;
    const mine = [...this.#entries.values()].flat();
    const kept = [...mine.filter(({ isUsed }) => isUsed), ...mine.filter(({ isUsed }) => !isUsed)];
    const current = openFile(this.#path);
    try {
      const known = new Set(kept.map(nameOf));
      const theirs = current === undefined ? [] : readEntries(current).filter((e) => !known.has(nameOf(e)));
      for (const entry of theirs) entry.bytes = readEntry(current!, entry);
      mkdirSync(path.dirname(this.#path), { recursive: true });
      const temporary = `${this.#path}.${process.pid}.${threadId}`;
      writeFileSync(
        temporary,
        encode([...kept, ...theirs], (entry) => entry.bytes ?? this.#read(entry)),
      );
      renameSync(temporary, this.#path);
      this.#new = 0;
      removeOthers(this.#path);
    } catch {
      // A cache that cannot be written is none: the next run makes its regions again.
    } finally {
      if (current !== undefined) closeSync(current);
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
  }

  #read(entry: Entry): Uint8Array | undefined {
    return this.#file === undefined ? undefined : readEntry(this.#file, entry);
  }
}

/** The caches of one machine's processors, in the user's cache folder. */
export class RegionCacheFolder {
  readonly #files = new Map<string, RegionCacheFile>();

  /** @param version Names all that a region's code depends on besides the guest's code. */
  open(version: string): RegionCacheFile {
    const name = `${hash("sha256", version).slice(0, 32)}.regions`;
    const known = this.#files.get(name);
    if (known !== undefined) return known;
    const file = new RegionCacheFile(path.join(defaultCacheFolder(), "regions", name));
    this.#files.set(name, file);
    return file;
  }

  close(): void {
    for (const file of this.#files.values()) {
      file.save();
      file.close();
    }
    this.#files.clear();
  }
}

const nameOf = ({ key, crc, length }: Entry): string => `${key} ${crc} ${length}`;

function openFile(file: string): number | undefined {
  try {
    return openSync(file, "r");
  } catch {
    return undefined;
  }
}

/** What the file says it has; nothing where it is damaged or another format's. */
function readEntries(file: number): Entry[] {
  const head = new Uint32Array(HEAD_BYTES / 4);
  const size = fstatSync(file).size;
  if (readSync(file, head, 0, HEAD_BYTES, 0) !== HEAD_BYTES) return [];
  const [magic, format, count, crc] = head as unknown as [number, number, number, number];
  if (magic !== MAGIC || format !== FORMAT || HEAD_BYTES + count * ENTRY_BYTES > size) return [];
  const index = new Uint8Array(count * ENTRY_BYTES);
  readSync(file, index, 0, index.length, HEAD_BYTES);
  if (crc32(index) !== crc) return [];
  const words = new Uint32Array(index.buffer);
  return Array.from({ length: count }, (_, i) => {
    const [key, offset, length, entryCrc] = words.subarray(i * ENTRY_WORDS) as unknown as number[];
    return { key: key!, offset: offset!, length: length!, crc: entryCrc!, bytes: undefined, isUsed: false };
  });
}

function readEntry(file: number, { offset, length, crc }: Entry): Uint8Array | undefined {
  const bytes = new Uint8Array(length);
  const read = readSync(file, bytes, 0, length, offset);
  return read === length && crc32(bytes) === crc ? bytes : undefined;
}

function byKey(entries: readonly Entry[]): Map<number, Entry[]> {
  const found = new Map<number, Entry[]>();
  for (const entry of entries) {
    const same = found.get(entry.key);
    if (same === undefined) found.set(entry.key, [entry]);
    else same.push(entry);
  }
  return found;
}

/** The file of some entries, those first that matter most. */
function encode(entries: readonly Entry[], bytesOf: (entry: Entry) => Uint8Array | undefined): Uint8Array {
  const kept: { entry: Entry; bytes: Uint8Array }[] = [];
  let total = 0;
  for (const entry of entries) {
    const bytes = bytesOf(entry);
    if (bytes === undefined) continue;
    if (total + bytes.length > MOST_BYTES || kept.length === MOST_ENTRIES) break;
    total += bytes.length;
    kept.push({ entry, bytes });
  }
  const indexBytes = kept.length * ENTRY_BYTES;
  const file = new Uint8Array(HEAD_BYTES + indexBytes + total);
  const words = new Uint32Array(file.buffer, 0, (HEAD_BYTES + indexBytes) / 4);
  let at = HEAD_BYTES + indexBytes;
  for (const [i, { entry, bytes }] of kept.entries()) {
    words.set([entry.key, at, bytes.length, entry.crc], HEAD_BYTES / 4 + i * ENTRY_WORDS);
    file.set(bytes, at);
    at += bytes.length;
  }
  words.set([MAGIC, FORMAT, kept.length, crc32(file.subarray(HEAD_BYTES, HEAD_BYTES + indexBytes))]);
  return file;
}

/** Removes the oldest files of other versions. */
function removeOthers(file: string): void {
  const folder = path.dirname(file);
  const others = readdirSync(folder).map((name) => path.join(folder, name));
  const byAge = others.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  for (const old of byAge.slice(MOST_FILES)) rmSync(old, { force: true });
}
