const INITIAL_SEGMENTS = 10;
const MAXIMUM_BYTES = 4 * 2 ** 20;

/**
 * How much may be on its way: slow start, congestion avoidance and NewReno's
 * fast recovery (RFC 5681, RFC 6582). The cable to a guest loses nothing
 * before its queue is full, and this is what keeps it from filling.
 */
export class CongestionWindow {
  readonly #segmentBytes: number;
  #windowBytes: number;
  #thresholdBytes = MAXIMUM_BYTES;

  constructor(segmentBytes: number) {
    this.#segmentBytes = segmentBytes;
    this.#windowBytes = INITIAL_SEGMENTS * segmentBytes;
  }

  get bytes(): number {
    return this.#windowBytes;
  }

  acknowledged(bytes: number): void {
    const growth =
      this.#windowBytes < this.#thresholdBytes
        ? bytes
        : (this.#segmentBytes * Math.min(bytes, this.#windowBytes)) / this.#windowBytes;
    this.#windowBytes = Math.min(MAXIMUM_BYTES, this.#windowBytes + growth);
  }

  /** A segment is missing, and later ones arrive. */
  lost(onTheWayBytes: number): void {
    this.#thresholdBytes = Math.max(onTheWayBytes / 2, 2 * this.#segmentBytes);
    this.#windowBytes = this.#thresholdBytes;
  }

  /** Nothing arrives any more. */
  timedOut(onTheWayBytes: number): void {
    this.#thresholdBytes = Math.max(onTheWayBytes / 2, 2 * this.#segmentBytes);
    this.#windowBytes = this.#segmentBytes;
  }
}
