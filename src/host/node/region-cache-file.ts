import { hash } from "node:crypto";
import { closeSync } from "node:fs";
import path from "node:path";
import { crc32 } from "node:zlib";
import type {
  CompiledPlaces,
  CompiledRegions,
  KnownRegion,
  NewlyCompiled,
  RegionCache,
} from "../../cpu/region-translator.ts";
import { defaultCacheFolder } from "./cache-folder.ts";
import { CompiledRegionFile } from "./compiled-region-file.ts";
import {
  type EntryFileKind,
  type FileEntry,
  type NewEntry,
  openEntryFile,
  readEntry,
  readIndex,
  removeOldest,
  writeEntryFile,
} from "./entry-file.ts";
import type { RegionIdentity } from "./kept-module.ts";
import { moduleCode } from "./module-code.ts";

const KIND: EntryFileKind = { magic: 0x47524652, format: 1 };
/** What is older has to go. */
const MOST_BYTES = 64 << 20;
const MOST_ENTRIES = 20_000;
/** Made in one run: what a guest makes beyond that is forgotten, lest it fill the host's memory. A boot and a benchmark of disks learn 35 MB. */
const MOST_NEW_BYTES = 48 << 20;
/** Fewer regions are not worth writing the file again. */
const LEAST_NEW = 8;
/** Files of this version and of others: regions, and V8's code. */
const MOST_FILES = 8;
/** Regions of one key: code that is rewritten in a few ways. */
const MOST_OF_A_KEY = 8;

/** One region: in memory, if it was made in this run, or in the file. */
class Entry implements KnownRegion, RegionIdentity {
  readonly key: number;
  readonly crc: number;
  readonly length: number;
  readonly #read: () => Uint8Array | undefined;
  readonly #compiled: CompiledRegionFile;
  #digest: string | undefined;
  isUsed = false;

  constructor(
    { key, crc, length }: Omit<FileEntry, "offset">,
    compiled: CompiledRegionFile,
    read: () => Uint8Array | undefined,
  ) {
    this.key = key;
    this.crc = crc;
    this.length = length;
    this.#compiled = compiled;
    this.#read = read;
  }

  read(): Uint8Array | undefined {
    return this.#read();
  }

  get digest(): string {
    this.#digest ??= digestOf(this.#read() ?? NOTHING);
    return this.#digest;
  }

  get mayBeCompiled(): boolean {
    return this.#compiled.hasKey(this.key);
  }

  get compiled(): KnownRegion["compiled"] {
    return this.mayBeCompiled ? this.#compiled.find(this) : undefined;
  }
}

/**
 * Regions in a file that outlives the process, and V8's code for them in another. The file is read only where it is asked for, and written
 * anew by `save`. Of two processes that save at the same time one may lose what it made.
 */
export class RegionCacheFile implements RegionCache {
  readonly #path: string;
  readonly #file: number | undefined;
  readonly #compiled: CompiledRegionFile;
  /** By key, when they have been asked for. */
  #known: Map<number, Entry[]> | undefined;
  /** Regions that are not in the file. */
  #new = 0;
  #newBytes = 0;

  constructor(file: string, compiled: CompiledRegionFile) {
    this.#path = file;
    this.#file = openEntryFile(file);
    this.#compiled = compiled;
  }

  get #entries(): Map<number, Entry[]> {
    this.#known ??= byKey(this.#file === undefined ? [] : this.#entriesOf(this.#file));
    return this.#known;
  }

  *find(key: number): Generator<KnownRegion> {
    for (const entry of this.#entries.get(key) ?? []) {
      entry.isUsed = true;
      yield entry;
    }
  }

  add(key: number, bytes: Uint8Array<ArrayBuffer>): KnownRegion | undefined {
    const known = this.#entries.get(key) ?? [];
    const entry = new Entry({ key, crc: crc32(bytes), length: bytes.length }, this.#compiled, () => bytes);
    const same = known.find((other) => nameOf(other) === nameOf(entry) && other.digest === entry.digest);
    if (same !== undefined) return same;
    if (this.#newBytes + bytes.length > MOST_NEW_BYTES) return undefined;
    entry.isUsed = true;
    this.#entries.set(key, [entry, ...known].slice(0, MOST_OF_A_KEY));
    this.#new++;
    this.#newBytes += bytes.length;
    return entry;
  }

  get keepsCode(): boolean {
    return this.#compiled.code !== undefined;
  }

  get freePlaces(): CompiledPlaces {
    return this.#compiled.freePlaces;
  }

  addCompiled(
    bytes: Uint8Array<ArrayBuffer>,
    module: WebAssembly.Module,
    regions: readonly NewlyCompiled[],
  ): CompiledRegions {
    const placed = regions.map(({ region, ...places }) => {
      const { key, digest } = region instanceof Entry ? region : NO_REGION;
      return { key, digest, ...places };
    });
    if (placed.every(({ digest }) => digest === NO_REGION.digest)) return NO_MODULE;
    return this.#compiled.add(bytes, module, placed);
  }

  forgetCompiled(): void {
    this.#compiled.forgetMade();
  }

  nowMs(): number {
    return performance.now();
  }

  /** Writes what was added, if that is some regions, and what others have written since the file was opened. Where it cannot be written, nothing is kept. */
  save(): void {
    try {
      if (this.#new >= LEAST_NEW) this.#saveRegions();
      this.#compiled.save(({ key }) => this.#entries.has(key));
    } catch (error) {
      // A cache that the system does not let be written is none: the next run makes its regions again.
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    }
  }

  #saveRegions(): void {
    const mine = [...this.#entries.values()].flat();
    const kept = [...mine.filter(({ isUsed }) => isUsed), ...mine.filter(({ isUsed }) => !isUsed)];
    const current = openEntryFile(this.#path);
    try {
      const known = new Set(kept.map(nameOf));
      const theirs =
        current === undefined ? [] : this.#entriesOf(current).filter((entry) => !known.has(nameOf(entry)));
      writeEntryFile(this.#path, KIND, withinLimits([...kept, ...theirs]));
      this.#new = 0;
      removeOldest(path.dirname(this.#path), MOST_FILES);
    } finally {
      if (current !== undefined) closeSync(current);
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#compiled.close();
  }

  #entriesOf(file: number): Entry[] {
    return readIndex(file, KIND).map(
      (entry: FileEntry) => new Entry(entry, this.#compiled, () => readEntry(file, entry)),
    );
  }
}

const NOTHING = new Uint8Array();

const digestOf = (bytes: Uint8Array): string => hash("sha256", bytes).slice(0, 32);

/** Stands for a region that is not kept: no region has no bytes. */
const NO_REGION: RegionIdentity = { key: 0, digest: digestOf(NOTHING) };
const NO_MODULE: CompiledRegions = { load: () => undefined, release: () => {} };

/** The caches of one machine's processors, in the user's cache folder. */
export class RegionCacheFolder {
  readonly #files = new Map<string, RegionCacheFile>();

  /** @param version Names all that a region's code depends on besides the guest's code. */
  open(version: string): RegionCacheFile {
    const known = this.#files.get(version);
    if (known !== undefined) return known;
    const code = moduleCode();
    const compiled = new CompiledRegionFile(fileOf("code", `${version} ${code?.version}`), code);
    const file = new RegionCacheFile(fileOf("regions", version), compiled);
    this.#files.set(version, file);
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

function fileOf(kind: string, version: string): string {
  return path.join(defaultCacheFolder(), "regions", `${hash("sha256", version).slice(0, 32)}.${kind}`);
}

/** For files: that takes no reading. */
const nameOf = ({ key, crc, length }: Entry): string => `${key} ${crc} ${length}`;

function byKey(entries: readonly Entry[]): Map<number, Entry[]> {
  const found = new Map<number, Entry[]>();
  for (const entry of entries) {
    const same = found.get(entry.key);
    if (same === undefined) found.set(entry.key, [entry]);
    else same.push(entry);
  }
  return found;
}

/** As many of the first entries as a file holds: those that matter most are first. */
function withinLimits(entries: readonly Entry[]): NewEntry[] {
  const kept: NewEntry[] = [];
  let total = 0;
  for (const entry of entries) {
    const { key, crc } = entry;
    const bytes = entry.read();
    if (bytes === undefined) continue;
    if (total + bytes.length > MOST_BYTES || kept.length === MOST_ENTRIES) break;
    total += bytes.length;
    kept.push({ key, crc, bytes });
  }
  return kept;
}
