/** Less than this is copied rather than sent on its own. */
const LEAST_CONTIGUOUS_BYTES = 16384;
const GROWTH_BYTES = 65536;
const TIMES_EMPTIED = 256;

/**
 * Bytes that a peer has not acknowledged yet, from the oldest on: a ring, so that a long transfer does with the same
 * memory. What `read` returns is good until its bytes have been dropped.
 */
export class SendQueue {
  #ring = new Uint8Array();
  #start = 0;
  #bytes = 0;
  /** How often it has become empty since it was looked at whether the ring is too large, and the most bytes meanwhile. */
  #timesEmptied = 0;
  #mostBytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Copies `bytes` in. */
  push(bytes: Uint8Array): void {
    this.#makeRoom(bytes.length);
    const ring = this.#ring;
    const at = (this.#start + this.#bytes) % ring.length;
    const first = bytes.subarray(0, ring.length - at);
    ring.set(first, at);
    ring.set(bytes.subarray(first.length), 0);
    this.#bytes += bytes.length;
    this.#mostBytes = Math.max(this.#mostBytes, this.#bytes);
  }

  /** How many of `length` bytes from `offset` on are there without copying; all of them where that would be few. */
  contiguous(offset: number, length: number): number {
    const toEnd = this.#ring.length - ((this.#start + offset) % this.#ring.length);
    return toEnd < LEAST_CONTIGUOUS_BYTES ? length : Math.min(length, toEnd);
  }

  /** `length` bytes from `offset` on, which must be there; a copy only where the ring ends among them. */
  read(offset: number, length: number): Uint8Array {
    const ring = this.#ring;
    const at = (this.#start + offset) % ring.length;
    const first = ring.subarray(at, at + length);
    if (first.length === length) return first;
    const copy = new Uint8Array(length);
    copy.set(first);
    copy.set(ring.subarray(0, length - first.length), first.length);
    return copy;
  }

  /** Forgets the oldest `length` bytes. */
  drop(length: number): void {
    this.#bytes -= length;
    if (this.#bytes === 0) this.#emptied();
    else this.#start = (this.#start + length) % this.#ring.length;
  }

  clear(): void {
    this.#ring = new Uint8Array();
    this.#start = 0;
    this.#bytes = 0;
  }

  /** Gives memory back that was not needed for long. */
  #emptied(): void {
    this.#start = 0;
    if (++this.#timesEmptied < TIMES_EMPTIED) return;
    if (this.#ring.length > GROWTH_BYTES && this.#mostBytes < this.#ring.length / 4)
      this.#ring = new Uint8Array();
    this.#timesEmptied = 0;
    this.#mostBytes = 0;
  }

  #makeRoom(more: number): void {
    const needed = this.#bytes + more;
    if (needed <= this.#ring.length && this.#ring.length > 0) return;
    const larger = new Uint8Array(Math.ceil(Math.max(needed, 1) / GROWTH_BYTES) * GROWTH_BYTES);
    if (this.#bytes > 0) larger.set(this.read(0, this.#bytes));
    this.#ring = larger;
    this.#start = 0;
  }
}
