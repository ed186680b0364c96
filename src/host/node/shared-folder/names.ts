import { FolderError } from "../../linux-errors.ts";
import type { ByteString } from "../../shared-folder.ts";

const MOST_NAME_BYTES = 255;
const MOST_TARGET_BYTES = 4095;

/** A path for a call of the host: text where its bytes are ASCII, which is cheaper. */
export type HostPath = string | Buffer;

/** On Linux names are any bytes; elsewhere they are text, and bytes that are no UTF-8 have no name there. */
const NAMES_ARE_BYTES = process.platform === "linux";

/**
 * Checks one name of the guest: a single step down, and nothing else.
 * @throws {FolderError} EINVAL or ENAMETOOLONG.
 */
export function checkName(name: ByteString): void {
  if (name.length > MOST_NAME_BYTES) throw new FolderError("ENAMETOOLONG");
  if (name === "" || name === "." || name === ".." || /[/\0]/.test(name)) throw new FolderError("EINVAL");
  // Separators, drives, streams and wildcards of Windows; no harm is done by refusing them there.
  if (process.platform === "win32" && /[\\:*?"<>|]/.test(name)) throw new FolderError("EINVAL");
}

/** Checks what a symbolic link is to say. It may lead anywhere: only the guest follows it. */
export function checkTarget(target: ByteString): void {
  if (target.length > MOST_TARGET_BYTES) throw new FolderError("ENAMETOOLONG");
  if (target === "" || target.includes("\0")) throw new FolderError("EINVAL");
}

export function hostPath(path: ByteString): HostPath {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant
  if (/^[\x00-\x7f]*$/.test(path)) return path;
  const bytes = Buffer.from(path, "latin1");
  if (NAMES_ARE_BYTES) return bytes;
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

/** A name as the host gave it, in bytes. */
export function byteString(name: Uint8Array): ByteString {
  return Buffer.from(name.buffer, name.byteOffset, name.length).toString("latin1");
}
