import { createHash } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { systemErrorText } from "../host/node/files.ts";
import { VmError } from "../layout/vm-error.ts";
import type { ImageFile, ImageManifest } from "./image-manifest.ts";

/** Size, time and hash of a file as it is now. */
export async function describeFile(file: string): Promise<ImageFile> {
  const { size, mtimeMs } = statSync(file);
  return { sizeBytes: size, modifiedMs: Math.floor(mtimeMs), sha256: await sha256Of(file) };
}

/**
 * Checks that the files of an image are those it was made with. A file with another modification time is read and
 * hashed: copying changes the time, and is no damage. `thoroughly` hashes every file.
 *
 * @throws {VmError} `image-damaged`.
 */
export async function checkFiles(
  folder: string,
  { files }: ImageManifest,
  thoroughly: boolean,
): Promise<void> {
  for (const [name, wanted] of Object.entries(files)) {
    const file = path.join(folder, name);
    const status = statusOf(folder, name);
    if (status.size !== wanted.sizeBytes)
      throw damaged(folder, name, `it has ${status.size} bytes, not ${wanted.sizeBytes}`);
    if (!thoroughly && Math.floor(status.mtimeMs) === wanted.modifiedMs) continue;
    if ((await sha256Of(file)) !== wanted.sha256)
      throw damaged(folder, name, "its SHA-256 is not that of the manifest");
  }
}

function statusOf(folder: string, name: string): { size: number; mtimeMs: number } {
  try {
    const status = statSync(path.join(folder, name));
    if (status.isFile()) return status;
  } catch (cause) {
    throw damaged(folder, name, systemErrorText(cause));
  }
  throw damaged(folder, name, "it is not a file");
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  return hash.digest("hex");
}

function damaged(folder: string, file: string, reason: string): VmError {
  return new VmError({ code: "image-damaged", path: path.join(folder, file), reason });
}
