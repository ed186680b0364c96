import { type BytePieces, byteCount } from "../../host/byte-pieces.ts";
import { FolderError } from "../../host/linux-errors.ts";
import type { SharedFolder } from "../../host/shared-folder.ts";
import type { ByteReader } from "../sharing/byte-reader.ts";
import { ByteWriter } from "../sharing/byte-writer.ts";
import { type Fid, type FidTable, MOST_ATTRIBUTE_BYTES } from "./fid-table.ts";
import * as P from "./protocol.ts";
import { readString } from "./structures.ts";

const NOTHING = new ByteWriter(0);

/** Txattrwalk and Txattrcreate; other requests are refused. */
export function openAttribute(
  folder: SharedFolder,
  fids: FidTable,
  type: number,
  fid: Fid,
  body: ByteReader,
): ByteWriter {
  const { extended } = folder;
  if (extended === undefined) throw new FolderError("EOPNOTSUPP");
  switch (type) {
    case P.TYPE.XATTRWALK: {
      const newNumber = body.u32();
      const name = readString(body);
      fids.checkFree(newNumber);
      const value = name === "" ? listOf(extended.list(fid.node)) : extended.get(fid.node, name);
      const reading: Fid = { node: fid.node, user: fid.user };
      fids.addAttribute(reading, { kind: "read", value });
      fids.add(newNumber, reading);
      folder.refer(fid.node);
      return new ByteWriter(8).u64(value.length);
    }
    case P.TYPE.XATTRCREATE: {
      const [name, length, flags] = [readString(body), body.size(), body.u32()];
      if (length > MOST_ATTRIBUTE_BYTES) throw new FolderError("ENOSPC");
      if (fid.handle !== undefined || fid.attribute !== undefined) throw new FolderError("EINVAL");
      const how =
        (flags & P.XATTR_CREATE) !== 0 ? "create" : (flags & P.XATTR_REPLACE) !== 0 ? "replace" : "either";
      fids.addAttribute(fid, { kind: "write", name, value: new Uint8Array(length), how, written: 0 });
      return NOTHING;
    }
    default:
      throw new FolderError("EOPNOTSUPP");
  }
}

/** An attribute is set when its fid is given up; one of no bytes is removed. */
export function finishAttribute({ extended }: SharedFolder, { node, attribute }: Fid): void {
  if (attribute?.kind !== "write" || extended === undefined) return;
  const { name, value, how, written } = attribute;
  if (written < value.length) throw new FolderError("EINVAL");
  if (value.length === 0 && how !== "create") extended.remove(node, name);
  else extended.set(node, name, value, how);
}
function listOf(names: readonly string[]): Uint8Array {
  const to = new ByteWriter();
  for (const name of names) to.text(name).u8(0);
  return to.written;
}

export function readAttribute(attribute: Fid["attribute"], offset: number, count: number): ByteWriter {
  if (attribute?.kind !== "read") throw new FolderError("EINVAL");
  const bytes = attribute.value.subarray(Math.min(offset, attribute.value.length)).subarray(0, count);
  return new ByteWriter(4 + bytes.length).u32(bytes.length).bytes(bytes);
}

export function writeAttribute(
  attribute: Fid["attribute"],
  offset: number,
  pieces: BytePieces,
  reply: ByteWriter,
): ByteWriter {
  const length = byteCount(pieces);
  if (attribute?.kind !== "write" || offset + length > attribute.value.length)
    throw new FolderError("EINVAL");
  let at = offset;
  for (const piece of pieces) {
    attribute.value.set(piece, at);
    at += piece.length;
  }
  attribute.written = Math.max(attribute.written, at);
  return reply.u32(length);
}
