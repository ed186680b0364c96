import { lstatSync, statSync } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import process from "node:process";
import { VmError } from "../../layout/vm-error.ts";
import { systemErrorCode, systemErrorText } from "./files.ts";

/**
 * A file that the user named, piece by piece, and its permissions.
 * @throws {VmError} `file-not-found`, `file-unreadable`.
 */
export async function openPieces(
  path: string,
  pieceBytes: number,
): Promise<{ mode: number; sizeBytes: number; pieces: AsyncGenerator<Uint8Array> }> {
  try {
    const file = await open(path, "r");
    const status = await file.stat();
    if (status.isDirectory()) {
      await file.close();
      throw new VmError({ code: "file-unreadable", path, reason: "it is a folder" });
    }
    return { mode: status.mode & 0o777, sizeBytes: status.size, pieces: readPieces(file, path, pieceBytes) };
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/**
 * Makes a file of pieces, or takes the place of one. The old one is there until all pieces have come.
 *
 * @param guard Called with the file that is being made; what it returns, when that is complete or gone.
 * @throws {VmError} `file-unwritable`; what `pieces` throws.
 */
export async function writePieces(
  path: string,
  pieces: AsyncIterable<Uint8Array>,
  guard: (part: string) => () => void = () => () => {},
): Promise<void> {
  const unwritable = (cause: unknown) =>
    new VmError({ code: "file-unwritable", path, reason: systemErrorText(cause) }, { cause });
  // Pipes and devices are written to as they are, and so is what a symbolic link leads to.
  const isReplaced = lstatSync(path, { throwIfNoEntry: false })?.isFile() ?? true;
  const part = isReplaced ? `${path}.${process.pid}.part` : path;
  const release = isReplaced ? guard(part) : () => {};
  let file: FileHandle | undefined;
  try {
    // The first piece comes before the file: what cannot be read leaves none behind.
    for await (const piece of startedWithEmpty(pieces)) {
      try {
        file ??= await open(part, "w", permissionsOf(path));
        await file.writeFile(piece);
      } catch (cause) {
        throw unwritable(cause);
      }
    }
    await file?.close();
    if (isReplaced) {
      await rename(part, path).catch((cause: unknown) => {
        throw unwritable(cause);
      });
    }
  } catch (error) {
    await file?.close();
    if (isReplaced) await rm(part, { force: true });
    throw error;
  } finally {
    release();
  }
}

/** Those of the file whose place is taken. */
function permissionsOf(path: string): number | undefined {
  const mode = statSync(path, { throwIfNoEntry: false })?.mode;
  return mode === undefined ? undefined : mode & 0o777;
}

/** The pieces; an empty one where there are none. */
async function* startedWithEmpty(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let any = false;
  for await (const piece of pieces) {
    any = true;
    yield piece;
  }
  if (!any) yield new Uint8Array();
}

async function* readPieces(file: FileHandle, path: string, pieceBytes: number): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      const { bytesRead, buffer } = await file.read(new Uint8Array(pieceBytes), 0, pieceBytes, null);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } catch (cause) {
    throw unreadable(path, cause);
  } finally {
    await file.close();
  }
}

function unreadable(path: string, cause: unknown): VmError {
  if (cause instanceof VmError) return cause;
  if (systemErrorCode(cause) === "ENOENT") return new VmError({ code: "file-not-found", path }, { cause });
  return new VmError({ code: "file-unreadable", path, reason: systemErrorText(cause) }, { cause });
}
