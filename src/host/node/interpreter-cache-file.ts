import { hash } from "node:crypto";
import { closeSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import v8 from "node:v8";
import { crc32 } from "node:zlib";
import type { InterpreterCache, SavedHandlers } from "../../interpret/interpreter-cache.ts";
import { defaultCacheFolder } from "./cache-folder.ts";
import {
  type EntryFileKind,
  type NewEntry,
  openEntryFile,
  readEntry,
  readIndex,
  removeOldest,
  writeEntryFile,
} from "./entry-file.ts";
import { type ModuleCode, moduleCode } from "./module-code.ts";

const KIND: EntryFileKind = { magic: 0x434d4652, format: 1 };
/** What was used longest ago has to go. */
const MOST_BYTES = 32 << 20;
/** Files of this version and of others. */
const MOST_FILES = 4;
/** V8 has optimised some more functions of a module: code that has grown by less is not written again. */
const LEAST_GROWTH = 1 / 32;
const DIGEST_BYTES = 32;

/** A module that this run has compiled, and how much code of it is in the file. */
interface Compiled {
  readonly digest: Uint8Array;
  readonly module: WebAssembly.Module;
  readonly storedBytes: number;
}

/**
 * The interpreter's handlers and V8's machine code for the modules that are the same in each run, in a file that outlives the
 * process. An entry's key is a CRC of its name, and the name stands before the bytes: of a module, SHA-256 of what it was compiled from.
 */
export class InterpreterCacheFile implements InterpreterCache {
  readonly #path: string;
  readonly #code: ModuleCode | undefined;
  readonly #file: number | undefined;
  readonly #compiled: Compiled[] = [];
  readonly #saves: (() => SavedHandlers | undefined)[] = [];
  readonly #used = new Set<number>();
  #index: ReadonlyMap<number, ReturnType<typeof readIndex>[number]> | undefined;

  /** @param code Absent: handlers are kept, their machine code is not. */
  constructor(file: string, code: ModuleCode | undefined) {
    this.#path = file;
    this.#code = code;
    this.#file = openEntryFile(file);
  }

  compile(wireBytes: Uint8Array<ArrayBuffer>): WebAssembly.Module {
    if (this.#code === undefined) return new WebAssembly.Module(wireBytes);
    const digest = hash("sha256", wireBytes, "buffer");
    const stored = this.#find(digest);
    const known = stored && this.#code.deserialize(wireBytes, stored);
    const module = known ?? new WebAssembly.Module(wireBytes);
    this.#compiled.push({ digest, module, storedBytes: known === undefined ? 0 : stored!.length });
    return module;
  }

  handlers(key: string): SavedHandlers | undefined {
    const bytes = this.#find(nameOf(key));
    const saved = bytes && (v8.deserialize(bytes) as SavedHandlers);
    return saved?.key === key ? saved : undefined;
  }

  saveAtEnd(save: () => SavedHandlers | undefined): void {
    this.#saves.push(save);
  }

  /** Writes what is new, and what others have written since. Where it cannot be written, nothing is kept. */
  close(): void {
    try {
      const added = [...this.#newHandlers(), ...this.#newCode()];
      if (added.length > 0) this.#write(added);
    } catch {
      // The next run compiles everything again.
    } finally {
      if (this.#file !== undefined) closeSync(this.#file);
    }
  }

  *#newHandlers(): Generator<NewEntry> {
    for (const save of this.#saves) {
      const saved = save();
      if (saved !== undefined) yield entryOf(nameOf(saved.key), v8.serialize(saved));
    }
  }

  *#newCode(): Generator<NewEntry> {
    for (const { digest, module, storedBytes } of this.#compiled) {
      const code = this.#code!.serialize(module);
      if (code !== undefined && code.length > storedBytes * (1 + LEAST_GROWTH)) yield entryOf(digest, code);
    }
  }

  #write(added: readonly NewEntry[]): void {
    const current = openEntryFile(this.#path);
    try {
      const keys = new Set(added.map(({ key }) => key));
      const others = (current === undefined ? [] : readIndex(current, KIND)).filter(
        ({ key }) => !keys.has(key),
      );
      others.sort((a, b) => Number(this.#used.has(b.key)) - Number(this.#used.has(a.key)));
      const entries: NewEntry[] = [];
      let total = 0;
      for (const entry of [...added, ...others]) {
        const bytes = "bytes" in entry ? entry.bytes : readEntry(current!, entry);
        if (bytes === undefined) continue;
        total += bytes.length;
        if (total > MOST_BYTES) break;
        entries.push({ key: entry.key, crc: entry.crc, bytes });
      }
      writeEntryFile(this.#path, KIND, entries);
      removeOldest(path.dirname(this.#path), MOST_FILES);
    } finally {
      if (current !== undefined) closeSync(current);
    }
  }

  #find(name: Uint8Array): Uint8Array | undefined {
    if (this.#file === undefined) return undefined;
    this.#index ??= new Map(readIndex(this.#file, KIND).map((entry) => [entry.key, entry]));
    const entry = this.#index.get(crc32(name));
    const bytes = entry && readEntry(this.#file, entry);
    if (bytes === undefined || Buffer.compare(bytes.subarray(0, DIGEST_BYTES), name) !== 0) return undefined;
    this.#used.add(entry!.key);
    return bytes.subarray(DIGEST_BYTES);
  }
}

const nameOf = (key: string): Uint8Array => hash("sha256", `handlers ${key}`, "buffer");

function entryOf(name: Uint8Array, contents: Uint8Array): NewEntry {
  const bytes = Buffer.concat([name, contents]);
  return { key: crc32(name), crc: crc32(bytes), bytes };
}

/**
 * The cache in the user's folder, for machines of this version.
 *
 * @param codeVersion Names the version of what generates code.
 */
export function openInterpreterCache(codeVersion: string): InterpreterCacheFile {
  const code = moduleCode();
  const version = `${codeVersion} ${code?.version ?? process.version}`;
  const name = `${hash("sha256", version).slice(0, 32)}.modules`;
  return new InterpreterCacheFile(path.join(defaultCacheFolder(), "interpreter", name), code);
}
