import type { ByteStore } from "../host/byte-store.ts";

const CHUNK_BYTES = 65536;

/** A file that lives in memory, and takes memory only where it was written. */
export class MemoryStore implements ByteStore {
  readonly name: string;
  readonly readOnly = false;
  readonly #chunks = new Map<number, Uint8Array>();
  #size = 0;

  constructor(name = "memory", content: Uint8Array = new Uint8Array()) {
    this.name = name;
    this.#put(0, content);
  }

  async size(): Promise<number> {
    return this.#size;
  }

  async read(offset: number, into: Uint8Array): Promise<number> {
    const length = Math.max(0, Math.min(into.length, this.#size - offset));
    for (let done = 0; done < length; ) {
      const within = (offset + done) % CHUNK_BYTES;
      const piece = Math.min(length - done, CHUNK_BYTES - within);
      const chunk = this.#chunks.get(Math.floor((offset + done) / CHUNK_BYTES));
      if (chunk === undefined) into.fill(0, done, done + piece);
      else into.set(chunk.subarray(within, within + piece), done);
      done += piece;
    }
    return length;
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.#put(offset, bytes);
  }

  async sync(): Promise<void> {}

  async truncate(sizeBytes: number): Promise<void> {
    for (const [index, chunk] of this.#chunks) {
      const start = index * CHUNK_BYTES;
      if (start >= sizeBytes) this.#chunks.delete(index);
      else if (start + CHUNK_BYTES > sizeBytes) chunk.fill(0, sizeBytes - start);
    }
    this.#size = sizeBytes;
  }

  async close(): Promise<void> {}

  #put(offset: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const index = Math.floor((offset + done) / CHUNK_BYTES);
      const within = (offset + done) % CHUNK_BYTES;
      const piece = Math.min(bytes.length - done, CHUNK_BYTES - within);
      let chunk = this.#chunks.get(index);
      if (chunk === undefined) {
        chunk = new Uint8Array(CHUNK_BYTES);
        this.#chunks.set(index, chunk);
      }
      chunk.set(bytes.subarray(done, done + piece), within);
      done += piece;
    }
    this.#size = Math.max(this.#size, offset + bytes.length);
  }
}
