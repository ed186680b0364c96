import { createHash } from "node:crypto";
import { closeSync, createReadStream, lstatSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import path from "node:path";
import { PassThrough, type Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { VmError } from "../../layout/vm-error.ts";
import { readTar } from "../tar-reader.ts";

/** Files by names of an archive's or folder's own, which lead nowhere else. */
export interface BlobSource {
  /** The path of a regular file of this host that has the contents; undefined when there is none. */
  file(name: string): string | undefined;
}

/** JSON in images is small. */
const MOST_JSON_BYTES = 16 << 20;
const MOST_MEMBERS = 100_000;

/** A folder, such as an OCI layout. Only regular files right where they are named count: no link leads out. */
export class FolderSource implements BlobSource {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  file(name: string): string | undefined {
    const parts = name.split("/");
    if (parts.some((part) => !/^[\w-][\w.-]*$/.test(part))) return undefined;
    for (const end of parts.keys()) {
      const status = lstatSync(path.join(this.#folder, ...parts.slice(0, end + 1)), {
        throwIfNoEntry: false,
      });
      const isLast = end === parts.length - 1;
      if (status === undefined || !(isLast ? status.isFile() : status.isDirectory())) return undefined;
    }
    return path.join(this.#folder, ...parts);
  }
}

/**
 * Files of an archive, copied into a folder of ours under numbers: no name in the archive becomes one of the host's.
 * @param mostBytes All of them together.
 * @throws {VmError} `archive-invalid`.
 */
export async function unpackBlobs(archive: string, folder: string, mostBytes: number): Promise<BlobSource> {
  const files = new Map<string, string>();
  const links = new Map<string, string>();
  let total = 0;
  await readArchive(archive, mostBytes, async (entry) => {
    const name = path.posix.normalize(entry.name).replace(/^(\.?\/)+/, "");
    if (files.size + links.size >= MOST_MEMBERS) throw invalid(archive, "it has too many files");
    // Older archives of docker have a layer that occurs twice as a link to the first.
    if (entry.type === "symlink" || entry.type === "link") {
      const from = entry.type === "symlink" ? path.posix.dirname(name) : "";
      links.set(name, path.posix.join(from, entry.target));
      return;
    }
    if (entry.type !== "file") return;
    total += entry.sizeBytes;
    if (total > mostBytes) throw tooLarge(archive, mostBytes);
    const file = path.join(folder, `blob-${files.size}`);
    const descriptor = openSync(file, "wx");
    try {
      for await (const bytes of entry.contents()) writeSync(descriptor, bytes);
    } finally {
      closeSync(descriptor);
    }
    files.set(name, file);
  });
  return { file: (name) => files.get(name) ?? files.get(links.get(name) ?? "") };
}

/** Reads a tar archive, which may be compressed. @throws {VmError} `archive-invalid`, with what is wrong. */
export async function readArchive(
  file: string,
  mostBytes: number,
  take: Parameters<typeof readTar>[1],
): Promise<void> {
  try {
    await readTar(openDecompressed(file, mostBytes), take);
  } catch (cause) {
    if (cause instanceof VmError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new VmError({ code: "archive-invalid", path: file, reason }, { cause });
  }
}

/**
 * The bytes of a file, decompressed when it is compressed with gzip or zstd. More than `mostBytes` of them are an
 * error: what is small when compressed may be endless.
 */
export function openDecompressed(file: string, mostBytes: number): Readable {
  const magic = Buffer.alloc(4);
  const descriptor = openSync(file, "r");
  try {
    readSync(descriptor, magic);
  } finally {
    closeSync(descriptor);
  }
  const source = createReadStream(file, { highWaterMark: 1 << 20 });
  const isGzip = magic[0] === 0x1f && magic[1] === 0x8b;
  const isZstd = magic.readUInt32LE() === 0xfd2fb528;
  const decompress = isGzip ? createGunzip() : isZstd ? createZstdDecompress() : new PassThrough();
  let passed = 0;
  const limit = new Transform({
    transform(bytes: Buffer, _encoding, done) {
      passed += bytes.length;
      if (passed > mostBytes) done(tooLarge(file, mostBytes));
      else done(null, bytes);
    },
  });
  // A failure of one destroys the others; the reader of the last one is told.
  pipeline(source, decompress, limit).catch(() => {});
  return limit;
}

/** The text of a small file. @throws {VmError} `archive-invalid`. */
export function readText(source: BlobSource, name: string, archive: string): string {
  const file = source.file(name);
  if (file === undefined) throw invalid(archive, `it has no ${name}`);
  if (lstatSync(file).size > MOST_JSON_BYTES) throw invalid(archive, `${name} is too large`);
  return readFileSync(file, "utf8");
}

/** @throws {VmError} `archive-invalid` unless the file has this SHA-256. */
export async function checkDigest(file: string, sha256: string, archive: string): Promise<void> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  if (hash.digest("hex") !== sha256) throw invalid(archive, `sha256:${sha256} is damaged`);
}

export function invalid(archive: string, reason: string): VmError {
  return new VmError({ code: "archive-invalid", path: archive, reason });
}

function tooLarge(archive: string, mostBytes: number): VmError {
  return invalid(archive, `it holds more than ${Math.floor(mostBytes / 2 ** 20)} MiB; give more with --size`);
}
