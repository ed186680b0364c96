import type { AttributeChanges, Attributes, FileSystemSpace, FolderEntry } from "../../host/shared-folder.ts";
import type { ByteReader } from "../sharing/byte-reader.ts";
import { ByteWriter } from "../sharing/byte-writer.ts";
import { NS_PER_S } from "../sharing/linux-flags.ts";
import { SET } from "./protocol.ts";

/**
 * For so long the guest may believe what it was told of names and attributes;
 * the host may change them meanwhile.
 */
const VALID_S = 1;
const NAME_BYTES = 255;
export const ENTRY_BYTES = 128;

/** The first field of every request. */
export interface RequestHeader {
  readonly opcode: number;
  readonly unique: bigint;
  readonly node: number;
  readonly owner: number;
  readonly group: number;
}

/** struct fuse_in_header */
export function readHeader(reader: ByteReader): RequestHeader {
  reader.skip(4); // the length, which the descriptors say too
  const opcode = reader.u32();
  const unique = reader.u64();
  const node = reader.size();
  const owner = reader.u32();
  const group = reader.u32();
  reader.skip(8); // process, lengths of extensions
  return { opcode, unique, node, owner, group };
}

/** struct fuse_attr */
export function writeAttributes(to: ByteWriter, attributes: Attributes): ByteWriter {
  const { accessedNs, modifiedNs, changedNs } = attributes;
  const times = [accessedNs, modifiedNs, changedNs];
  to.u64(attributes.inode).u64(attributes.sizeBytes).u64(attributes.blocks);
  for (const time of times) to.u64(time / NS_PER_S);
  for (const time of times) to.u32(Number(time % NS_PER_S));
  to.u32(attributes.mode).u32(attributes.links).u32(attributes.owner).u32(attributes.group);
  return to.u32(attributes.device).u32(attributes.blockBytes).u32(0);
}

/** struct fuse_attr_out */
export function attributesReply(attributes: Attributes): Uint8Array {
  return writeAttributes(new ByteWriter().u64(VALID_S).u32(0).u32(0), attributes).written;
}

/** struct fuse_entry_out */
export function writeEntry(to: ByteWriter, { node, attributes }: FolderEntry): ByteWriter {
  to.u64(node).u64(0).u64(VALID_S).u64(VALID_S).u32(0).u32(0);
  return writeAttributes(to, attributes);
}

export function entryReply(entry: FolderEntry): Uint8Array {
  return writeEntry(new ByteWriter(), entry).written;
}

/** struct fuse_open_out */
export function writeOpen(to: ByteWriter, handle: number): ByteWriter {
  return to.u64(handle).u32(0).u32(0);
}

/** struct fuse_kstatfs */
export function spaceReply(space: FileSystemSpace): Uint8Array {
  const to = new ByteWriter().u64(space.blocks).u64(space.freeBlocks).u64(space.availableBlocks);
  to.u64(space.files).u64(space.freeFiles).u32(space.blockBytes).u32(NAME_BYTES).u32(space.blockBytes);
  return to.zeroes(28).written;
}

/** struct fuse_setattr_in */
export function readChanges(reader: ByteReader): AttributeChanges {
  const valid = reader.u32();
  reader.skip(12); // padding, handle
  const sizeBytes = reader.size();
  reader.skip(8); // owner of locks
  const [accessedS, modifiedS] = [reader.u64(), reader.u64()];
  reader.skip(8); // change time
  const [accessedNs, modifiedNs] = [reader.u32(), reader.u32()];
  reader.skip(4);
  const mode = reader.u32();
  reader.skip(4);
  const [owner, group] = [reader.u32(), reader.u32()];
  const has = (bit: number) => (valid & bit) !== 0;
  const time = (seconds: bigint, ns: number) => BigInt.asIntN(64, seconds) * NS_PER_S + BigInt(ns);
  return {
    ...(has(SET.MODE) && { mode }),
    ...(has(SET.OWNER) && { owner }),
    ...(has(SET.GROUP) && { group }),
    ...(has(SET.SIZE) && { sizeBytes }),
    ...(has(SET.ACCESSED) && {
      accessedNs: has(SET.ACCESSED_NOW) ? ("now" as const) : time(accessedS, accessedNs),
    }),
    ...(has(SET.MODIFIED) && {
      modifiedNs: has(SET.MODIFIED_NOW) ? ("now" as const) : time(modifiedS, modifiedNs),
    }),
  };
}
