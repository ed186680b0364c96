import { lstatSync } from "node:fs";
import path from "node:path";
import { VmError } from "../../../layout/vm-error.ts";
import { isFolder, systemErrorText } from "../files.ts";
import { byteString } from "../shared-folder/names.ts";
import { NodeSharedFolder } from "../shared-folder/node-shared-folder.ts";
import { FolderUnpacker } from "./folder-unpacker.ts";

/**
 * Prepares that a guest's folder comes to this host: it becomes `hostPath`, or one in it where that is a folder that is
 * there. Of a path that ends with "/." it is the contents.
 *
 * @throws {VmError} `file-unwritable`.
 */
export function unpackTarget(
  guestPath: string,
  hostPath: string,
): { unpacker: FolderUnpacker; target: string; close: () => void } {
  const { base, name } = placeFor(guestPath, hostPath);
  const target = name === undefined ? base : path.join(base, name);
  let folder: NodeSharedFolder;
  try {
    folder = new NodeSharedFolder(base);
  } catch (cause) {
    throw new VmError({ code: "file-unwritable", path: base, reason: systemErrorText(cause) }, { cause });
  }
  const bytes = name === undefined ? undefined : byteString(Buffer.from(name));
  const unpacker = new FolderUnpacker(folder, { name: bytes, hostPath: target, guestPath });
  return { unpacker, target, close: () => folder.dispose() };
}

/** A folder that is there, and the name of the copy in it; undefined: the folder itself. */
function placeFor(guestPath: string, hostPath: string): { base: string; name: string | undefined } {
  if (isFolder(hostPath))
    return { base: hostPath, name: isContentsPath(guestPath) ? undefined : path.posix.basename(guestPath) };
  const unwritable = (reason: string) => new VmError({ code: "file-unwritable", path: hostPath, reason });
  // Also a link that leads nowhere.
  if (lstatSync(hostPath, { throwIfNoEntry: false }) !== undefined)
    throw unwritable("a folder cannot take the place of a file");
  const base = path.dirname(path.resolve(hostPath));
  if (!isFolder(base)) throw unwritable(`there is no folder ${base}`);
  return { base, name: path.basename(path.resolve(hostPath)) };
}

/** Whether a path means what is in a folder, since it has no name for the folder itself: "a/.", ".", "..", "/". */
function isContentsPath(guestPath: string): boolean {
  return ["", ".", ".."].includes(path.posix.basename(guestPath));
}
