import { type BigIntStats, constants, type Dirent } from "node:fs";
import { lstat, open, readdir, readlink, stat } from "node:fs/promises";
import { VmError } from "../../../layout/vm-error.ts";
import type { CopyCount } from "../../copy-count.ts";
import { BLOCK_BYTES, paddingBytes, type TarHeader, tarHeader } from "../../tar/tar-header.ts";
import { folderName, systemErrorCode, systemErrorText } from "../files.ts";

/** Set-user-ID and set-group-ID would now mean root. */
const KEPT_PERMISSIONS = 0o1777;
/** Neither a link nor a pipe that has taken a file's place may keep us, or lead us elsewhere. Absent on Windows. */
const OPEN_FILE = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
const BIG = { bigint: true } as const;
const SLASH = Buffer.from("/");

export interface PackOptions {
  /** Gets what has been packed. */
  readonly count: CopyCount;
  /** The folder itself is a member, too, which gives it its attributes. */
  readonly withFolder: boolean;
  readonly pieceBytes: number;
}

interface OpenFolder {
  /** Here, and in the archive: the one ends without a slash, the other with one. */
  readonly path: Buffer;
  readonly member: Buffer;
  readonly status: BigIntStats;
  readonly entries: Dirent<Buffer>[];
}

/**
 * A folder of this host with all that is in it as a tar archive, piece by piece: all files belong to root, links are links,
 * hard links are files of their own. Other files than these are left out.
 *
 * @throws {VmError} `file-not-found`, `file-unreadable`, also for a file that changes while it is read.
 */
export function packFolder(folder: string, options: PackOptions): AsyncGenerator<Uint8Array> {
  return inPiecesOf(options.pieceBytes, folderBlocks(folder, options));
}

/** What a copy of the folder is called; undefined where what is in it is meant: "a/.", ".", "/". */
export function nameOfCopy(folder: string): string | undefined {
  return /(^|\/)\.\/*$/.test(folder) ? undefined : folderName(folder) || undefined;
}

/** How many bytes the files in a folder have. @throws {VmError} As `packFolder`. */
export async function folderSize(folder: string): Promise<number> {
  let sizeBytes = 0;
  const waiting: Buffer[] = [Buffer.from(folder)];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    for (const entry of await entriesOf(path)) {
      const inside = Buffer.concat([path, SLASH, entry.name]);
      if (entry.isDirectory()) waiting.push(inside);
      else if (entry.isFile()) sizeBytes += Number((await reading(inside, () => lstat(inside, BIG))).size);
    }
  }
  return sizeBytes;
}

async function* folderBlocks(
  folder: string,
  { count, withFolder, pieceBytes }: PackOptions,
): AsyncGenerator<Uint8Array> {
  const path = Buffer.from(folder);
  const top = await openFolder(path, Buffer.from("./"), await reading(path, () => stat(path, BIG)));
  if (withFolder) yield folderHeader(top);
  const folders = [top];
  for (let current = folders.at(-1); current !== undefined; current = folders.at(-1)) {
    const entry = current.entries.pop();
    if (entry === undefined) {
      // Once more: busybox' tar gives a folder its time at once, and what comes into it changes that.
      if (current !== top || withFolder) yield folderHeader(current);
      folders.pop();
      continue;
    }
    const inside = Buffer.concat([current.path, SLASH, entry.name]);
    const member = Buffer.concat([current.member, entry.name]);
    const status = await reading(inside, () => lstat(inside, BIG));
    if (status.isDirectory()) {
      const next = await openFolder(inside, Buffer.concat([member, SLASH]), status);
      yield folderHeader(next);
      folders.push(next);
    } else if (status.isSymbolicLink()) {
      const target = await reading(inside, () => readlink(inside, { encoding: "buffer" }));
      yield header({ kind: "symlink", path: member, target }, status);
      count.files++;
    } else if (status.isFile()) {
      yield* fileBlocks(inside, member, count, pieceBytes);
      count.files++;
    } else count.leaveOut(member.toString("utf8", 2));
  }
  yield new Uint8Array(2 * BLOCK_BYTES);
}

async function openFolder(path: Buffer, member: Buffer, status: BigIntStats): Promise<OpenFolder> {
  const entries = await entriesOf(path);
  // They are taken from the end.
  entries.sort((a, b) => Buffer.compare(b.name, a.name));
  return { path, member, status, entries };
}

async function* fileBlocks(
  path: Buffer,
  member: Buffer,
  count: CopyCount,
  pieceBytes: number,
): AsyncGenerator<Uint8Array> {
  const file = await reading(path, () => open(path, OPEN_FILE));
  try {
    const status = await reading(path, () => file.stat(BIG));
    if (!status.isFile()) throw changed(path);
    const sizeBytes = Number(status.size);
    yield header({ kind: "file", path: member, sizeBytes }, status);
    for (let done = 0; done < sizeBytes; ) {
      const wanted = Math.min(pieceBytes, sizeBytes - done);
      const { bytesRead, buffer } = await reading(path, () =>
        file.read(new Uint8Array(wanted), 0, wanted, done),
      );
      if (bytesRead === 0) throw changed(path);
      yield buffer.subarray(0, bytesRead);
      done += bytesRead;
      count.bytes += bytesRead;
    }
    const after = await reading(path, () => file.stat(BIG));
    if (after.size !== status.size || after.mtimeNs !== status.mtimeNs) throw changed(path);
    yield new Uint8Array(paddingBytes(sizeBytes));
  } finally {
    await file.close();
  }
}

function folderHeader({ member, status }: OpenFolder): Uint8Array {
  return header({ kind: "directory", path: member }, status);
}

function header(
  what: Pick<TarHeader, "kind" | "path" | "target" | "sizeBytes">,
  { mode, mtimeMs }: BigIntStats,
): Uint8Array {
  const permissions = Number(mode) & KEPT_PERMISSIONS;
  return tarHeader({ ...what, permissions, modified: Number(mtimeMs) / 1000 });
}

function entriesOf(folder: Buffer): Promise<Dirent<Buffer>[]> {
  return reading(folder, () => readdir(folder, { withFileTypes: true, encoding: "buffer" }));
}

async function reading<T>(path: Buffer, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    const text = path.toString();
    if (systemErrorCode(cause) === "ENOENT")
      throw new VmError({ code: "file-not-found", path: text }, { cause });
    throw new VmError({ code: "file-unreadable", path: text, reason: systemErrorText(cause) }, { cause });
  }
}

function changed(path: Buffer): VmError {
  return new VmError({
    ...{ code: "file-unreadable", path: path.toString() },
    reason: "it changed while it was read",
  });
}

/** Joins small pieces to ones of a size, and cuts none. */
async function* inPiecesOf(
  pieceBytes: number,
  blocks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  for await (const block of blocks) {
    waiting.push(block);
    waitingBytes += block.length;
    if (waitingBytes < pieceBytes) continue;
    yield Buffer.concat(waiting);
    [waiting, waitingBytes] = [[], 0];
  }
  if (waitingBytes > 0) yield Buffer.concat(waiting);
}
