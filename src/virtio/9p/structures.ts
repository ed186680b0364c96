import type { AttributeChanges, Attributes, ByteString, FileSystemSpace } from "../../host/shared-folder.ts";
import { TYPE_FOLDER, TYPE_LINK, TYPE_MASK } from "../../host/shared-folder.ts";
import type { ByteReader } from "../sharing/byte-reader.ts";
import type { ByteWriter } from "../sharing/byte-writer.ts";
import { NS_PER_S } from "../sharing/linux-flags.ts";
import * as P from "./protocol.ts";

export const QID_BYTES = 13;
const NAME_BYTES = 255;

/** string[s]: a length of two bytes, and the text */
export function readString(reader: ByteReader): ByteString {
  return reader.text(reader.u16());
}

export function writeString(to: ByteWriter, text: ByteString): ByteWriter {
  return to.u16(text.length).text(text);
}

/** What identifies a file: kind, version, inode. */
export function writeQid(to: ByteWriter, { mode, inode, modifiedNs, sizeBytes }: Attributes): ByteWriter {
  const type = mode & TYPE_MASK;
  const kind = type === TYPE_FOLDER ? P.QID_FOLDER : type === TYPE_LINK ? P.QID_LINK : 0;
  const version = Number(BigInt.asUintN(32, modifiedNs ^ (sizeBytes << 8n)));
  return to.u8(kind).u32(version).u64(inode);
}

/** Rgetattr */
export function writeAttributes(to: ByteWriter, attributes: Attributes): ByteWriter {
  writeQid(to.u64(P.ATTRIBUTES_BASIC), attributes).u32(attributes.mode);
  to.u32(attributes.owner).u32(attributes.group).u64(attributes.links).u64(attributes.device);
  to.u64(attributes.sizeBytes).u64(attributes.blockBytes).u64(attributes.blocks);
  for (const time of [attributes.accessedNs, attributes.modifiedNs, attributes.changedNs])
    to.u64(time / NS_PER_S).u64(time % NS_PER_S);
  return to.zeroes(32);
}

/** Tsetattr */
export function readChanges(reader: ByteReader): AttributeChanges {
  const valid = reader.u32();
  const [mode, owner, group, sizeBytes] = [reader.u32(), reader.u32(), reader.u32(), reader.size()];
  const readTime = () => BigInt.asIntN(64, reader.u64()) * NS_PER_S + BigInt.asUintN(32, reader.u64());
  const [accessedNs, modifiedNs] = [readTime(), readTime()];
  const has = (bit: number) => (valid & bit) !== 0;
  return {
    ...(has(P.SET.MODE) && { mode }),
    ...(has(P.SET.OWNER) && { owner }),
    ...(has(P.SET.GROUP) && { group }),
    ...(has(P.SET.SIZE) && { sizeBytes }),
    ...(has(P.SET.ACCESSED) && { accessedNs: has(P.SET.ACCESSED_GIVEN) ? accessedNs : ("now" as const) }),
    ...(has(P.SET.MODIFIED) && { modifiedNs: has(P.SET.MODIFIED_GIVEN) ? modifiedNs : ("now" as const) }),
  };
}

/** Rstatfs */
export function writeSpace(to: ByteWriter, space: FileSystemSpace): ByteWriter {
  to.u32(P.FILE_SYSTEM_TYPE).u32(space.blockBytes);
  to.u64(space.blocks).u64(space.freeBlocks).u64(space.availableBlocks);
  return to.u64(space.files).u64(space.freeFiles).u64(0).u32(NAME_BYTES);
}
