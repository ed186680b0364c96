import type { Readable } from "node:stream";
import { VmError } from "../../layout/vm-error.ts";
import { readTar, type TarEntry, wholeContents } from "../tar-reader.ts";
import type { TarMember, TarWriter } from "../tar-writer.ts";

/** Entries that a file system may have; more would only fill memory. */
const MOST_ENTRIES = 2_000_000;
/** OCI image-spec, layer.md: a file of this name hides what is in its folder in lower layers. */
const OPAQUE = ".wh..wh..opq";
/** A file with this in front of its name hides the one of that name in lower layers. */
const WHITEOUT = ".wh.";
const MOST_KEPT_BYTES = 1 << 20;

type Layer = () => Readable;

/** Which entry of which layer a path is in the end. */
interface Winner {
  readonly layer: number;
  readonly ordinal: number;
  readonly isFolder: boolean;
}

/** The file system that layers make together: what each path is, and files that were asked for. */
export interface MergedTree {
  readonly winners: ReadonlyMap<string, Winner>;
  readonly kept: ReadonlyMap<string, Buffer>;
}

/**
 * Finds out what the layers are together. Paths are only ever keys here.
 * @param keep Paths of small files whose contents are wanted.
 * @throws {VmError} `archive-invalid`.
 */
export async function mergeLayers(
  layers: readonly Layer[],
  keep: readonly string[],
  archive: string,
): Promise<MergedTree> {
  const tree = new Tree();
  const kept = new Map<string, Buffer>();
  for (const [layer, open] of layers.entries()) {
    const entries: { path: string; winner: Winner }[] = [];
    let ordinal = 0;
    await readLayer(open(), archive, async (entry) => {
      const winner = { layer, ordinal: ordinal++, isFolder: entry.type === "directory" };
      const path = entryPath(entry.name, archive);
      if (path === "") return;
      if (entries.length + tree.size > MOST_ENTRIES) throw invalid(archive, "it has too many files");
      const { folder, name } = splitPath(path);
      // What a layer hides lies below it, never in it, so hiding comes before adding.
      if (name === OPAQUE) tree.removeInside(folder);
      else if (name.startsWith(WHITEOUT)) tree.remove(joinPath(folder, name.slice(WHITEOUT.length)));
      else entries.push({ path, winner });
      if (keep.includes(path) && entry.type === "file" && entry.sizeBytes <= MOST_KEPT_BYTES)
        kept.set(path, await wholeContents(entry));
    });
    for (const { path, winner } of entries) tree.set(path, winner);
  }
  for (const path of [...kept.keys()]) if (!tree.winners.has(path)) kept.delete(path);
  return { winners: tree.winners, kept };
}

/** Writes what `mergeLayers` found to `writer`, from the layers once more. */
export async function writeMerged(
  layers: readonly Layer[],
  { winners }: MergedTree,
  writer: TarWriter,
  archive: string,
): Promise<void> {
  for (const [layer, open] of layers.entries()) {
    let ordinal = 0;
    await readLayer(open(), archive, async (entry) => {
      const path = entryPath(entry.name, archive);
      const winner = winners.get(path);
      const isWinner = winner?.layer === layer && winner.ordinal === ordinal;
      ordinal++;
      if (isWinner) await copyEntry(entry, path, writer, archive);
    });
  }
}

async function copyEntry(entry: TarEntry, path: string, writer: TarWriter, archive: string): Promise<void> {
  const kind = kindOf(entry.type);
  // Devices are made by the machine's own /dev.
  if (kind === undefined) return;
  const target = kind === "link" ? entryPath(entry.target, archive) : entry.target;
  const sizeBytes = kind === "file" ? entry.sizeBytes : 0;
  const { permissions, owner, group, modified } = entry;
  writer.begin({ kind, path, target, permissions, owner, group, modified, sizeBytes });
  if (kind !== "file") return;
  for await (const bytes of entry.contents()) writer.data(bytes);
}

function kindOf(type: string): TarMember["kind"] | undefined {
  switch (type) {
    case "file":
    case "link":
    case "symlink":
    case "directory":
    case "fifo":
      return type;
    default:
      return undefined;
  }
}

/** All paths, with what is in each folder, so that a folder goes away as a whole. */
class Tree {
  readonly winners = new Map<string, Winner>();
  readonly #members = new Map<string, Set<string>>();

  get size(): number {
    return this.winners.size;
  }

  set(path: string, winner: Winner): void {
    if (!winner.isFolder) this.removeInside(path);
    this.winners.set(path, winner);
    for (let inside = path; inside !== ""; ) {
      const { folder } = splitPath(inside);
      const members = this.#members.get(folder) ?? new Set();
      if (members.has(inside)) return;
      members.add(inside);
      this.#members.set(folder, members);
      inside = folder;
    }
  }

  remove(path: string): void {
    this.removeInside(path);
    this.winners.delete(path);
    this.#members.get(splitPath(path).folder)?.delete(path);
  }

  removeInside(folder: string): void {
    const waiting = [folder];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      for (const inside of this.#members.get(next) ?? []) {
        this.winners.delete(inside);
        waiting.push(inside);
      }
      this.#members.delete(next);
    }
  }
}

async function readLayer(
  stream: Readable,
  archive: string,
  take: (entry: TarEntry) => Promise<void>,
): Promise<void> {
  try {
    await readTar(stream, take);
  } catch (cause) {
    if (cause instanceof VmError) throw cause;
    const reason = `a layer is damaged: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new VmError({ code: "archive-invalid", path: archive, reason }, { cause });
  }
}

/** A path from the root without "." and empty parts. @throws {VmError} `archive-invalid` when it leads upwards. */
function entryPath(name: string, archive: string): string {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes(".."))
    throw invalid(archive, `a file in it is called ${JSON.stringify(name.slice(0, 200))}`);
  if (name.includes("\0")) throw invalid(archive, "the name of a file in it has a zero byte");
  return parts.join("/");
}

function splitPath(path: string): { folder: string; name: string } {
  const at = path.lastIndexOf("/");
  return { folder: at < 0 ? "" : path.slice(0, at), name: path.slice(at + 1) };
}

function joinPath(folder: string, name: string): string {
  return folder === "" ? name : `${folder}/${name}`;
}

function invalid(archive: string, reason: string): VmError {
  return new VmError({ code: "archive-invalid", path: archive, reason });
}
