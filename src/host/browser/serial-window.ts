/** What may be on its way to the receiver before the guest has to wait. */
const WINDOW_BYTES = 128 * 1024;

/**
 * Serial output to a receiver on another thread. The receiver acknowledges
 * what it has shown; a guest that prints faster than that finds the line
 * congested, so bytes under way never pile up.
 */
export class SerialWindow {
  readonly #send: (bytes: Uint8Array) => void;
  #underWayBytes = 0;

  /** @param send Takes bytes for the receiver, and may keep them. */
  constructor(send: (bytes: Uint8Array) => void) {
    this.#send = send;
  }

  write(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#underWayBytes += bytes.length;
    this.#send(bytes);
  }

  /** The receiver has shown `byteCount` more bytes. */
  acknowledge(byteCount: number): void {
    this.#underWayBytes = Math.max(0, this.#underWayBytes - byteCount);
  }

  get congested(): boolean {
    return this.#underWayBytes >= WINDOW_BYTES;
  }
}
