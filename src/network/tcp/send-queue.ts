/** Bytes that a peer has not acknowledged yet, from the oldest on. */
export class SendQueue {
  readonly #chunks: Uint8Array[] = [];
  /** How much of the first chunk has been acknowledged. */
  #skip = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Keeps `bytes` without copying them. */
  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#chunks.push(bytes);
    this.#bytes += bytes.length;
  }

  /** Copies out `length` bytes from `offset` on; they must be there. */
  read(offset: number, length: number): Uint8Array {
    let from = offset + this.#skip;
    let index = 0;
    while (from >= this.#chunks[index]!.length) from -= this.#chunks[index++]!.length;
    const first = this.#chunks[index]!;
    if (from + length <= first.length) return first.subarray(from, from + length);
    const copy = new Uint8Array(length);
    for (let at = 0; at < length; index++, from = 0) {
      const piece = this.#chunks[index]!.subarray(from, from + length - at);
      copy.set(piece, at);
      at += piece.length;
    }
    return copy;
  }

  /** Forgets the oldest `length` bytes. */
  drop(length: number): void {
    this.#bytes -= length;
    this.#skip += length;
    let whole = 0;
    while (whole < this.#chunks.length && this.#skip >= this.#chunks[whole]!.length) {
      this.#skip -= this.#chunks[whole++]!.length;
    }
    this.#chunks.splice(0, whole);
  }

  clear(): void {
    this.#chunks.length = 0;
    this.#skip = 0;
    this.#bytes = 0;
  }
}
