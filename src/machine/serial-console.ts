import type { ByteSink } from "../bus/byte-sink.ts";

const FLUSH_BYTES = 4096;

/** The machine's end of a serial port of the guest: output is gathered, input waits until the guest takes it. */
export class SerialConsole implements ByteSink {
  readonly #receive: (bytes: Uint8Array) => void;
  #output = new Uint8Array(FLUSH_BYTES);
  #outputBytes = 0;
  #input: Uint8Array[] = [];
  #inputOffset = 0;

  /** @param receive Takes the guest's output, and may keep the array. */
  constructor(receive: (bytes: Uint8Array) => void) {
    this.#receive = receive;
  }

  /** Input that the guest has not taken yet. */
  get waitingInput(): Uint8Array {
    const sizeBytes = this.#input.reduce((sum, bytes) => sum + bytes.length, -this.#inputOffset);
    const waiting = new Uint8Array(sizeBytes);
    let at = -this.#inputOffset;
    for (const bytes of this.#input) {
      waiting.set(at < 0 ? bytes.subarray(-at) : bytes, Math.max(0, at));
      at += bytes.length;
    }
    return waiting;
  }

  write(byte: number): void {
    this.#output[this.#outputBytes++] = byte;
    if (this.#outputBytes === FLUSH_BYTES) this.flush();
  }

  /** Hands on the gathered output. */
  flush(): void {
    if (this.#outputBytes === 0) return;
    this.#receive(this.#output.slice(0, this.#outputBytes));
    this.#outputBytes = 0;
  }

  enqueue(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#input.push(bytes.slice());
  }

  /** Whether `feed` would hand over at least one byte. */
  canFeed(port: { readonly room: number }): boolean {
    return this.#input.length > 0 && port.room > 0;
  }

  /** Hands waiting input to the serial port, until that refuses a byte. */
  feed(port: { receive(byte: number): boolean }): void {
    for (;;) {
      const [first] = this.#input;
      if (first === undefined || !port.receive(first[this.#inputOffset] ?? 0)) return;
      this.#inputOffset++;
      if (this.#inputOffset < first.length) continue;
      this.#input.shift();
      this.#inputOffset = 0;
    }
  }
}
