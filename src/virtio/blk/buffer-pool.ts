/** Smaller buffers are not worth keeping. */
const LEAST_BYTES = 4096;
/** What all buffers that are kept may take. */
const MOST_KEPT_BYTES = 16 << 20;

/**
 * Buffers for data under way, used again and again: memory taken anew for each request has to be collected, which
 * costs more than moving the data.
 */
export class BufferPool {
  /** Free ones by their length, a power of two. */
  readonly #free = new Map<number, Uint8Array<ArrayBuffer>[]>();
  #keptBytes = 0;

  /** `length` bytes that may hold anything. */
  take(length: number): Uint8Array<ArrayBuffer> {
    const size = sizeFor(length);
    const free = this.#free.get(size)?.pop();
    if (free !== undefined) this.#keptBytes -= size;
    return (free ?? new Uint8Array(size)).subarray(0, length);
  }

  /** Gives back what `take` gave, which nobody uses any more. */
  give(bytes: Uint8Array<ArrayBuffer>): void {
    const size = bytes.buffer.byteLength;
    if (this.#keptBytes + size > MOST_KEPT_BYTES) return;
    const free = this.#free.get(size) ?? [];
    free.push(new Uint8Array(bytes.buffer));
    this.#free.set(size, free);
    this.#keptBytes += size;
  }
}

function sizeFor(length: number): number {
  let size = LEAST_BYTES;
  while (size < length) size *= 2;
  return size;
}
