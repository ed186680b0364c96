import type { FolderEntry, HandleId, NodeId, SharedFolder } from "../../host/shared-folder.ts";
import { ByteWriter } from "../sharing/byte-writer.ts";
import { entryType } from "../sharing/linux-flags.ts";
import { UNKNOWN_INODE } from "./protocol.ts";
import { ENTRY_BYTES, writeEntry } from "./structures.ts";

/** struct fuse_dirent without the name */
const LINE_BYTES = 24;
/** "." and ".." come first; the driver makes nothing of them but their names. */
const DOTS = [".", ".."];
const TYPE_FOLDER_MODE = 0o040000;

interface Listing {
  readonly folder: NodeId;
  readonly handle: HandleId;
  /** Names to pass over: a place in the listing. */
  readonly from: number;
  /** Room for the reply. */
  readonly most: number;
}

/** READDIR: struct fuse_dirent after the other, as many as there is room for. */
export function listNames(share: SharedFolder, listing: Listing): Uint8Array {
  const to = new ByteWriter(Math.min(listing.most, 4096));
  for (const { name, type, next } of lines(share, listing)) {
    if (to.length + paddedLine(name) > listing.most) break;
    writeLine(to, { name, type, next, inode: BigInt(UNKNOWN_INODE) });
  }
  return to.written;
}

/** READDIRPLUS: the same with attributes. Each is a lookup, whose reference the driver gives back one day. */
export function listEntries(share: SharedFolder, listing: Listing): Uint8Array {
  const to = new ByteWriter(Math.min(listing.most, 4096));
  for (const { name, type, next } of lines(share, listing)) {
    if (to.length + ENTRY_BYTES + paddedLine(name) > listing.most) break;
    const isDot = DOTS.includes(name);
    const entry: FolderEntry | undefined = isDot ? undefined : lookupQuietly(share, listing.folder, name);
    if (entry === undefined && !isDot) continue; // gone meanwhile
    if (entry === undefined) to.zeroes(ENTRY_BYTES);
    else writeEntry(to, entry);
    const inode = entry?.attributes.inode ?? BigInt(UNKNOWN_INODE);
    writeLine(to, { name, type: entry?.attributes.mode ?? type, next, inode });
  }
  return to.written;
}

/** A name that cannot be looked at is left out, and the others stay. */
function lookupQuietly(share: SharedFolder, folder: NodeId, name: string): FolderEntry | undefined {
  try {
    return share.lookup(folder, name);
  } catch {
    return undefined;
  }
}

/** @yields Names with the place behind each. */
function* lines(
  share: SharedFolder,
  { handle, from }: Listing,
): Generator<{ name: string; type: number; next: number }> {
  if (from === 0) share.rewind(handle);
  for (let index = from; index < DOTS.length; index++)
    yield { name: DOTS[index] ?? "", type: TYPE_FOLDER_MODE, next: index + 1 };
  let index = Math.max(from, DOTS.length);
  for (const { name, type } of share.list(handle, index - DOTS.length)) yield { name, type, next: ++index };
}

function paddedLine(name: string): number {
  return (LINE_BYTES + name.length + 7) & ~7;
}

/** struct fuse_dirent, padded to eight bytes */
function writeLine(to: ByteWriter, line: { name: string; type: number; next: number; inode: bigint }): void {
  const { name, type, next, inode } = line;
  to.u64(inode).u64(next).u32(name.length).u32(entryType(type)).text(name);
  to.zeroes(paddedLine(name) - LINE_BYTES - name.length);
}
