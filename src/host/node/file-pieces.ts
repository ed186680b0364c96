import { type FileHandle, open } from "node:fs/promises";
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
 * Makes a file of pieces, or replaces what is in it.
 * @throws {VmError} `file-unwritable`; what `pieces` throws.
 */
export async function writePieces(
  path: string,
  pieces: AsyncIterable<Uint8Array>,
  mode?: number,
): Promise<void> {
  const unwritable = (cause: unknown) =>
    new VmError({ code: "file-unwritable", path, reason: systemErrorText(cause) }, { cause });
  let file: FileHandle | undefined;
  try {
    // The first piece comes before the file: what cannot be read leaves none behind.
    for await (const piece of startedWithEmpty(pieces)) {
      try {
        file ??= await open(path, "w", mode);
        await file.writeFile(piece);
      } catch (cause) {
        throw unwritable(cause);
      }
    }
  } finally {
    await file?.close();
  }
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
