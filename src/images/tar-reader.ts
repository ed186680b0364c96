import type { Readable } from "node:stream";
import { createTarDecoder } from "modern-tar";

/** One member of a tar archive, with its contents still to come. */
export interface TarEntry {
  /** As the archive has it: nothing is known of it. */
  readonly name: string;
  readonly type: string;
  readonly target: string;
  readonly permissions: number;
  readonly owner: number;
  readonly group: number;
  /** Seconds since 1970. */
  readonly modified: number;
  readonly sizeBytes: number;
  /** Must be used up, or left alone as a whole. */
  readonly contents: () => AsyncIterable<Uint8Array>;
}

/**
 * Calls `take` with each member of a tar archive, one after the other.
 * Rejects when the archive is damaged or ends too early.
 */
export async function readTar(stream: Readable, take: (entry: TarEntry) => Promise<void>): Promise<void> {
  const { readable, writable } = createTarDecoder({ strict: true });
  const feeding = feed(stream, writable);
  // A failure on the way is also that of the reading below; which of the two comes first does not matter.
  feeding.catch(() => {});
  const entries = readable.getReader();
  for (;;) {
    const { done, value: entry } = await entries.read();
    if (done) break;
    const { header, body } = entry;
    let isTaken = false;
    await take({
      name: header.name,
      type: header.type ?? "file",
      target: header.linkname ?? "",
      permissions: (header.mode ?? 0o644) & 0o7777,
      owner: header.uid ?? 0,
      group: header.gid ?? 0,
      modified: Math.floor((header.mtime?.getTime() ?? 0) / 1000),
      sizeBytes: header.size,
      contents: () => {
        isTaken = true;
        return body;
      },
    });
    if (!isTaken) await body.cancel();
  }
  await feeding;
}

/** All of a member's contents, of which the caller has checked the size. */
export async function wholeContents(entry: TarEntry): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of entry.contents()) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function feed(stream: Readable, writable: WritableStream<Uint8Array>): Promise<void> {
  const writer = writable.getWriter();
  try {
    for await (const piece of stream) {
      await writer.ready;
      await writer.write(piece as Uint8Array);
    }
    await writer.close();
  } catch (error) {
    await writer.abort(error).catch(() => {});
    throw error;
  } finally {
    stream.destroy();
  }
}
