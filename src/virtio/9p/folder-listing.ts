import type { FolderEntry, HandleId, NodeId, SharedFolder } from "../../host/shared-folder.ts";
import type { ByteWriter } from "../sharing/byte-writer.ts";
import { entryType } from "../sharing/linux-flags.ts";
import { COUNT_BYTES } from "./protocol.ts";
import { same, step } from "./steps.ts";
import { QID_BYTES, writeQid, writeString } from "./structures.ts";

const DOTS = [".", ".."];

interface Listing {
  readonly node: NodeId;
  readonly handle: HandleId;
  /** Names to pass over: a place in the listing. */
  readonly from: number;
  /** Room for the lines. */
  readonly most: number;
}

/** Rreaddir into `reply`: qid, place behind it, type and name of each entry. */
export function listFolder(folder: SharedFolder, listing: Listing, reply: ByteWriter): ByteWriter {
  const { node, handle, from, most } = listing;
  const lines = reply.u32(0);
  const room = (name: string) => lines.length - COUNT_BYTES + QID_BYTES + 11 + name.length <= most;
  const add = (entry: FolderEntry, next: number, name: string) => {
    const { attributes } = entry;
    writeString(writeQid(lines, attributes).u64(next).u8(entryType(attributes.mode)), name);
    folder.forget(entry.node, 1);
  };
  if (from === 0) folder.rewind(handle);
  for (let index = from; index < DOTS.length; index++) {
    const name = DOTS[index] ?? "";
    if (!room(name)) return finishList(lines);
    const entry = dot(folder, node, name);
    if (entry !== undefined) add(entry, index + 1, name);
  }
  let index = Math.max(from, DOTS.length);
  for (const { name } of folder.list(handle, index - DOTS.length)) {
    if (!room(name)) break;
    index++;
    const entry = quietly(() => folder.lookup(node, name));
    if (entry !== undefined) add(entry, index, name);
  }
  return finishList(lines);
}

function dot(folder: SharedFolder, node: NodeId, name: string): FolderEntry | undefined {
  return quietly(() => (name === ".." ? step(folder, node, name) : same(folder, node)));
}

/** A name that cannot be looked at is left out, and the others stay. */
function quietly(look: () => FolderEntry | undefined): FolderEntry | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

function finishList(lines: ByteWriter): ByteWriter {
  return lines.patchU32(0, lines.length - COUNT_BYTES);
}
