import {
  checkHasTar,
  lookAtPath,
  parentOf,
  type RunInGuest,
  receiveFolder,
  sendFolder,
} from "../control/folder-transfer.ts";
import { CopyCount } from "../host/copy-count.ts";
import { folderSize, nameOfCopy, packFolder } from "../host/node/folder-copy/pack-folder.ts";
import { unpackTarget } from "../host/node/folder-copy/unpack-target.ts";
import { VmError } from "../layout/vm-error.ts";

/** Sent at a time. */
const PIECE_BYTES = 1 << 20;

/** A copy under way. */
export interface FolderCopy {
  /** Where it goes. */
  readonly target: string;
  readonly count: Readonly<CopyCount>;
  /** Undefined: nobody knows. */
  readonly sizeBytes: number | undefined;
}

export interface FolderCopyOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called at the beginning, and again and again. */
  readonly progress?: ((copy: FolderCopy) => void) | undefined;
}

/**
 * Copies a folder of this host into a guest: it becomes `guestPath`, or one in it where that is a folder that is there. Of
 * a path that ends with "/." it is the contents. When it fails, what has come stays.
 *
 * @throws {VmError} `file-*`, `guest-file-failed`; what `run` throws; the signal's reason.
 */
export async function copyFolderIn(
  run: RunInGuest,
  hostPath: string,
  guestPath: string,
  { signal, progress }: FolderCopyOptions = {},
): Promise<FolderCopy> {
  const name = nameOfCopy(hostPath);
  const failed = (reason: string) => new VmError({ code: "guest-file-failed", path: guestPath, reason });
  const kind = await lookAtPath(run, guestPath, signal);
  if (kind === "file") throw failed("a folder cannot take the place of a file");
  if (kind === "nowhere") throw failed(`there is no folder ${parentOf(guestPath)}`);
  await checkHasTar(run, guestPath, signal);
  const isInside = kind === "folder" && name !== undefined;
  const target = isInside ? `${guestPath.replace(/\/+$/, "")}/${name}` : guestPath;
  const copy = { target, count: new CopyCount(), sizeBytes: await folderSize(hostPath) };
  // A folder that only gets contents keeps its own attributes.
  const withFolder = isInside || kind === "absent";
  const pieces = packFolder(hostPath, { count: copy.count, withFolder, pieceBytes: PIECE_BYTES });
  await sendFolder(
    run,
    passing(pieces, () => progress?.(copy)),
    target,
    signal,
  );
  return copy;
}

/**
 * Copies a folder of a guest to this host, by the same rules. The guest is not trusted: nothing is written but in that
 * folder.
 *
 * @throws {VmError} `file-unwritable`, `guest-file-failed`; what `run` throws; the signal's reason.
 */
export async function copyFolderOut(
  run: RunInGuest,
  guestPath: string,
  hostPath: string,
  { signal, progress }: FolderCopyOptions = {},
): Promise<FolderCopy> {
  await checkHasTar(run, guestPath, signal);
  const { unpacker, target, close } = unpackTarget(guestPath, hostPath);
  const copy = { target, count: unpacker.count, sizeBytes: undefined };
  try {
    progress?.(copy);
    const take = (bytes: Uint8Array) => {
      unpacker.write(bytes);
      progress?.(copy);
    };
    for (const name of await receiveFolder(run, guestPath, take, signal)) copy.count.leaveOut(name);
    unpacker.end();
    return copy;
  } catch (error) {
    unpacker.abandon();
    throw error;
  } finally {
    close();
  }
}

/** Passes pieces on, and calls `passed` before the first and behind each. */
async function* passing(pieces: AsyncGenerator<Uint8Array>, passed: () => void): AsyncGenerator<Uint8Array> {
  passed();
  for await (const piece of pieces) {
    yield piece;
    passed();
  }
}
