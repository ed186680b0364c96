import { closeSync } from "node:fs";
import { crc32 } from "node:zlib";
import type { CompiledPlaces, CompiledRegions, KnownRegion } from "../../cpu/region-translator.ts";
import { LINK_SLOTS, LINK_SLOTS_END, REGION_CELLS, REGION_CELLS_END } from "../../layout/memory-map.ts";
import {
  type EntryFileKind,
  type FileEntry,
  openEntryFile,
  readEntry,
  readIndex,
  writeEntryFile,
} from "./entry-file.ts";
import {
  KeptModule,
  type ModuleKeeper,
  type PlacedRegion,
  type RegionIdentity,
  type StoredModule,
} from "./kept-module.ts";
import type { ModuleCode } from "./module-code.ts";

const KIND: EntryFileKind = { magic: 0x434d5246, format: 1 };
/** The entry that lists the others, which have the keys from 1 on: a module's bytes, and V8's code behind them. */
const DIRECTORY = 0;
/** Numbers of a module in the directory, and of each of its regions behind them. */
const MODULE_WORDS = 3;
const DIGEST_WORDS = 4;
const REGION_WORDS = 5 + DIGEST_WORDS;
const MOST_BYTES = 64 << 20;
/** Code of modules that this run has let go of, in memory. */
const MOST_HELD_BYTES = 16 << 20;
/** Less new code is not worth writing the file again. */
const LEAST_NEW_BYTES = 64 << 10;

type Compiled = NonNullable<KnownRegion["compiled"]>;

const nameOf = ({ key, digest }: RegionIdentity): string => `${key} ${digest}`;

/**
 * V8's machine code for modules of regions, in a file that outlives the process: which regions they are, and the places in memory that they
 * were compiled for and which are taken by them for good.
 */
export class CompiledRegionFile implements ModuleKeeper {
  readonly code: ModuleCode | undefined;
  readonly #path: string;
  readonly #file: number | undefined;
  #stored: Set<KeptModule> | undefined;
  readonly #made = new Set<KeptModule>();
  #byRegion: Map<string, Compiled> | undefined;
  readonly #keys = new Set<number>();
  #heldBytes = 0;

  constructor(file: string, code: ModuleCode | undefined) {
    this.#path = file;
    this.code = code;
    this.#file = code === undefined ? undefined : openEntryFile(file);
  }

  get freePlaces(): CompiledPlaces {
    return placesBehind([...this.#storedModules, ...this.#made]);
  }

  find(region: RegionIdentity): Compiled | undefined {
    return this.#listed.get(nameOf(region));
  }

  /** Whether some region of a key is compiled. */
  hasKey(key: number): boolean {
    return this.#listed.size > 0 && this.#keys.has(key);
  }

  /** Adds a module's regions, in the order of its functions; not where others have their places, which other processors' regions may. */
  add(
    wire: Uint8Array<ArrayBuffer>,
    module: WebAssembly.Module,
    regions: readonly PlacedRegion[],
  ): CompiledRegions {
    const kept = new KeptModule(this, regions, { bytes: 0, read: () => ({ wire, code: undefined }) }, module);
    if ([...this.#storedModules, ...this.#made].some((other) => other.isBeside(kept))) return kept;
    this.#made.add(kept);
    if (this.#byRegion !== undefined) this.#list(kept);
    return kept;
  }

  /** The places of this run's modules are free again. */
  forgetMade(): void {
    this.#made.clear();
    this.#byRegion = undefined;
    this.#heldBytes = 0;
  }

  forget(module: KeptModule): void {
    this.#made.delete(module);
    this.#stored?.delete(module);
    for (const region of module.regions)
      if (this.#byRegion?.get(nameOf(region))?.module === module) this.#byRegion.delete(nameOf(region));
  }

  hold(bytes: number): boolean {
    if (this.#heldBytes + bytes > MOST_HELD_BYTES) return false;
    this.#heldBytes += bytes;
    return true;
  }

  /** Writes the code of all modules of which some region is known, and what others have written since, if there is enough that is new. */
  save(isKnown: (region: RegionIdentity) => boolean): void {
    if (this.code === undefined) return;
    const mine = [...this.#storedModules, ...this.#made].filter(({ regions }) => regions.some(isKnown));
    if (mine.reduce((sum, { newBytes }) => sum + newBytes, 0) < LEAST_NEW_BYTES) return;
    const current = openEntryFile(this.#path);
    try {
      const theirs = current === undefined ? [] : readModules(current, this);
      const others = theirs.filter((module) => !mine.some((other) => other.isBeside(module)));
      const all = [...mine, ...others].sort((a, b) => Number(b.wasUsed) - Number(a.wasUsed));
      // Where places run out, none is kept: the next run compiles what it needs, from the first place on.
      writeModules(this.#path, isTooFar(placesBehind(all)) ? [] : all);
    } finally {
      if (current !== undefined) closeSync(current);
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
  }

  get #listed(): ReadonlyMap<string, Compiled> {
    if (this.#byRegion === undefined) {
      this.#byRegion = new Map();
      for (const module of [...this.#storedModules, ...this.#made]) this.#list(module);
    }
    return this.#byRegion;
  }

  get #storedModules(): ReadonlySet<KeptModule> {
    this.#stored ??= new Set(this.#file === undefined ? [] : readModules(this.#file, this));
    return this.#stored;
  }

  #list(module: KeptModule): void {
    for (const [index, region] of module.regions.entries()) {
      const name = nameOf(region);
      const { slots, cells } = region;
      if (this.#byRegion?.has(name) === false) this.#byRegion.set(name, { module, index, slots, cells });
      this.#keys.add(region.key);
    }
  }
}

function placesBehind(modules: readonly KeptModule[]): CompiledPlaces {
  let [slots, cells] = [LINK_SLOTS, REGION_CELLS];
  for (const { to } of modules) {
    slots = Math.max(slots, to.slots);
    cells = Math.max(cells, to.cells);
  }
  return { slots, cells };
}

/** Half of the room is for what a run compiles anew. */
function isTooFar({ slots, cells }: CompiledPlaces): boolean {
  return slots > (LINK_SLOTS + LINK_SLOTS_END) / 2 || cells > (REGION_CELLS + REGION_CELLS_END) / 2;
}

/** The modules of a file; none where it is damaged. */
function readModules(file: number, keeper: ModuleKeeper): KeptModule[] {
  const entries = readIndex(file, KIND);
  const directory = entries.find(({ key }) => key === DIRECTORY);
  const bytes = directory === undefined ? undefined : readEntry(file, directory);
  if (bytes === undefined) return [];
  const byKey = new Map(entries.map((entry) => [entry.key, entry]));
  const words = new Uint32Array(bytes.buffer);
  const modules: KeptModule[] = [];
  for (let at = 0; at < words.length; ) {
    const [wireBytes, codeBytes, count] = words.subarray(at, at + MODULE_WORDS) as unknown as number[];
    at += MODULE_WORDS;
    const regions = Array.from({ length: count! }, (_, i) => decode(words.subarray(at + i * REGION_WORDS)));
    at += count! * REGION_WORDS;
    const entry = byKey.get(modules.length + 1);
    const read = (): StoredModule | undefined => readModule(file, entry, wireBytes!);
    modules.push(new KeptModule(keeper, regions, { bytes: codeBytes!, read }));
  }
  return modules;
}

function readModule(file: number, entry: FileEntry | undefined, wireBytes: number): StoredModule | undefined {
  const bytes = entry === undefined ? undefined : readEntry(file, entry);
  return bytes === undefined
    ? undefined
    : { wire: bytes.subarray(0, wireBytes), code: bytes.subarray(wireBytes) };
}

function writeModules(file: string, modules: readonly KeptModule[]): void {
  const directory: number[] = [];
  const stored: Uint8Array[] = [];
  let total = 0;
  for (const module of modules) {
    const bytes = module.toStore();
    if (bytes === undefined) continue;
    total += bytes.wire.length + bytes.code.length;
    if (total > MOST_BYTES) break;
    stored.push(Buffer.concat([bytes.wire, bytes.code]));
    directory.push(bytes.wire.length, bytes.code.length, module.regions.length);
    directory.push(...module.regions.flatMap(encode));
  }
  const contents = [new Uint8Array(Uint32Array.from(directory).buffer), ...stored];
  const entries = contents.map((bytes, i) => ({ key: DIRECTORY + i, crc: crc32(bytes), bytes }));
  writeEntryFile(file, KIND, entries);
}

function encode({ key, digest, slots, slotBytes, cells, cellBytes }: PlacedRegion): number[] {
  const words = new Uint32Array(new Uint8Array(Buffer.from(digest, "hex")).buffer);
  return [key, slots, slotBytes, cells, cellBytes, ...words];
}

function decode(words: Uint32Array): PlacedRegion {
  const [key, slots, slotBytes, cells, cellBytes] = words as unknown as [
    number,
    number,
    number,
    number,
    number,
  ];
  const digest = Buffer.from(words.slice(REGION_WORDS - DIGEST_WORDS, REGION_WORDS).buffer).toString("hex");
  return { key, digest, slots, slotBytes, cells, cellBytes };
}
