import type { ByteSink } from "../bus/byte-sink.ts";

const FLUSH_BYTES = 4096;

/** The machine's end of the guest's first serial port: output is gathered, input waits until the guest takes it. */
export class SerialConsole implements ByteSink {
  readonly #host: { writeSerial(bytes: Uint8Array): void };
  #output = new Uint8Array(FLUSH_BYTES);
  #outputBytes = 0;
  #input: Uint8Array[] = [];
  #inputOffset = 0;

  constructor(host: { writeSerial(bytes: Uint8Array): void }) {
    this.#host = host;
  }

  write(byte: number): void {
    this.#output[this.#outputBytes++] = byte;
    if (this.#outputBytes === FLUSH_BYTES) this.flush();
  }

  /** Hands gathered output to the host, which may keep the array. */
  flush(): void {
    if (this.#outputBytes === 0) return;
    this.#host.writeSerial(this.#output.slice(0, this.#outputBytes));
    this.#outputBytes = 0;
  }

  enqueue(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#input.push(bytes.slice());
  }

  /** Whether `feed` would hand over at least one byte. */
  canFeed(port: { readonly room: number }): boolean {
    return this.#input.length > 0 && port.room > 0;
  }

  /** Hands waiting input to the serial port, as much as it takes. */
  feed(port: { readonly room: number; receive(byte: number): boolean }): void {
    while (this.canFeed(port)) {
      const [first] = this.#input;
      if (first === undefined || !port.receive(first[this.#inputOffset] ?? 0)) return;
      this.#inputOffset++;
      if (this.#inputOffset < first.length) continue;
      this.#input.shift();
      this.#inputOffset = 0;
    }
  }
}
