/** Output that nobody reads is kept up to here; older bytes are forgotten then. */
const MOST_UNREAD_BYTES = 256 * 1024;

/**
 * A serial port of the guest as a pair of Web Streams.
 *
 * What the guest prints waits until it is read. While somebody reads, the guest waits for a slow reader; while nobody
 * holds the stream, only its last part is kept, so that a guest cannot fill the host's memory.
 */
export class SerialStreams {
  /** What the guest prints. Ends with the machine. */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** What the guest is to read. */
  readonly writable: WritableStream<Uint8Array>;
  readonly #taken: (bytes: number) => void;
  readonly #waiting: Uint8Array<ArrayBuffer>[] = [];
  #waitingBytes = 0;
  #ended = false;
  /** Set while a reader waits for output. */
  #give: (() => void) | undefined;

  /**
   * @param send Hands input to the guest.
   * @param taken Told how many bytes of output have been read or forgotten.
   */
  constructor(send: (bytes: Uint8Array) => void, taken: (bytes: number) => void) {
    this.#taken = taken;
    this.readable = new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        pull: async (controller) => {
          if (this.#waiting.length === 0 && !this.#ended) {
            await new Promise<void>((resolve) => {
              this.#give = resolve;
            });
          }
          const first = this.#takeFirst();
          if (first !== undefined) controller.enqueue(first);
          else if (this.#ended) controller.close();
        },
        cancel: () => this.#forget(0),
      },
      { highWaterMark: 0 },
    );
    this.writable = new WritableStream<Uint8Array>({ write: (bytes) => send(bytes) });
  }

  /** The guest has printed. */
  receive(bytes: Uint8Array<ArrayBuffer>): void {
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (!this.readable.locked) this.#forget(MOST_UNREAD_BYTES);
    this.#wakeReader();
  }

  /** Nothing more comes. */
  end(): void {
    this.#ended = true;
    this.#wakeReader();
  }

  #wakeReader(): void {
    const give = this.#give;
    this.#give = undefined;
    give?.();
  }

  #takeFirst(): Uint8Array<ArrayBuffer> | undefined {
    const first = this.#waiting.shift();
    if (first === undefined) return undefined;
    this.#waitingBytes -= first.length;
    this.#taken(first.length);
    return first;
  }

  #forget(downToBytes: number): void {
    while (this.#waitingBytes > downToBytes) this.#takeFirst();
  }
}
