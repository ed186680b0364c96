import {
  accessSync,
  constants,
  existsSync,
  type PathLike,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { VmError } from "../../layout/vm-error.ts";

/**
 * Reads a whole file that the user named.
 * @throws {VmError} `file-not-found`, `file-unreadable`.
 */
export function readWholeFile(path: string): Uint8Array<ArrayBuffer> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    // Some devices, /dev/zero for one, have no end. A pipe has.
    const status = statSync(path as PathLike);
    if (status.isCharacterDevice() || status.isBlockDevice()) {
      throw new VmError({ code: "file-unreadable", path, reason: "it is a device" });
    }
    bytes = new Uint8Array(readFileSync(path as PathLike));
  } catch (cause) {
    if (cause instanceof VmError) throw cause;
    const code = systemErrorCode(cause);
    if (code === "ENOENT") throw new VmError({ code: "file-not-found", path }, { cause });
    throw new VmError({ code: "file-unreadable", path, reason: systemErrorText(cause) }, { cause });
  }
  if (bytes.length === 0) throw new VmError({ code: "file-unreadable", path, reason: "it is empty" });
  return bytes;
}

/**
 * Writes a whole file that the user named.
 * @throws {VmError} `file-unwritable`.
 */
export function writeWholeFile(path: string, text: string): void {
  try {
    writeFileSync(path as PathLike, text);
  } catch (cause) {
    throw new VmError({ code: "file-unwritable", path, reason: systemErrorText(cause) }, { cause });
  }
}

/**
 * Refuses a file that the user named and that could not be written at the end of a long run.
 * @throws {VmError} `file-unwritable`.
 */
export function checkCanWrite(file: string): void {
  try {
    if (statSync(file, { throwIfNoEntry: false })?.isDirectory())
      throw Object.assign(new Error(), { code: "EISDIR" });
    accessSync(existsSync(file) ? file : path.dirname(path.resolve(file)), constants.W_OK);
  } catch (cause) {
    throw new VmError({ code: "file-unwritable", path: file, reason: systemErrorText(cause) }, { cause });
  }
}

/** Also of a link to one. */
export function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** A folder's own name, also where the path is "." or ends with one. */
export function folderName(folder: string): string {
  return path.basename(path.resolve(folder));
}

/** The system's name for an error, such as ENOENT. */
export function systemErrorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

/** A few words for the commonest errors of the system. */
export function systemErrorText(error: unknown): string {
  switch (systemErrorCode(error)) {
    case "EISDIR":
      return "it is a folder";
    case "EACCES":
    case "EPERM":
      return "permission denied";
    case "ENOENT":
      return "no such file or folder";
    case "ENOSPC":
      return "no space left on the disk";
    case "ENOTDIR":
      return "a part of its path is not a folder";
    case "ERR_FS_FILE_TOO_LARGE":
      return "it is larger than 2 GiB";
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
