/**
 * Takes lines out of bytes that come in pieces. A line is kept up to a limit; what is longer is dropped to its end, so
 * that a sender who never ends one cannot fill the memory.
 */
export class LineReader {
  readonly #take: (line: string) => void;
  readonly #tooLong: () => void;
  /** Longest line in bytes; may change at any time. */
  mostBytes: number;
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #dropping = false;

  constructor(mostBytes: number, events: { line(text: string): void; tooLong(): void }) {
    this.mostBytes = mostBytes;
    this.#take = (line) => events.line(line);
    this.#tooLong = () => events.tooLong();
  }

  read(bytes: Uint8Array): void {
    for (let rest = bytes; rest.length > 0; ) {
      const end = rest.indexOf(0x0a);
      this.#add(end < 0 ? rest : rest.subarray(0, end));
      if (end < 0) return;
      rest = rest.subarray(end + 1);
      this.#finish();
    }
  }

  /** Forgets the line under way. */
  reset(): void {
    this.#pieces = [];
    this.#bytes = 0;
    this.#dropping = false;
  }

  #add(piece: Uint8Array): void {
    if (this.#dropping || piece.length === 0) return;
    this.#bytes += piece.length;
    if (this.#bytes <= this.mostBytes) {
      this.#pieces.push(piece.slice());
      return;
    }
    this.reset();
    this.#dropping = true;
    this.#tooLong();
  }

  #finish(): void {
    const whole = new Uint8Array(this.#bytes);
    let at = 0;
    for (const piece of this.#pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    const dropped = this.#dropping;
    this.reset();
    if (!dropped) this.#take(new TextDecoder().decode(whole));
  }
}
