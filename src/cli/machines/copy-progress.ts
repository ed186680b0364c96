import type { WriteStream } from "node:tty";

const REDRAW_MS = 100;
const BAR_CELLS = 30;

/** How far something slow is, in the last line of a terminal; nothing where standard error is none. */
export class CopyProgress {
  readonly #stream: WriteStream;
  readonly #isShown: boolean;
  readonly #startMs = performance.now();
  #drawnMs = 0;
  #doneBytes = 0;
  #isDrawn = false;

  constructor(stream: WriteStream, { quiet = false }: { quiet?: boolean } = {}) {
    this.#stream = stream;
    this.#isShown = stream.isTTY && !quiet;
  }

  /** How many have passed. */
  get doneBytes(): number {
    return this.#doneBytes;
  }

  /** Passes pieces on, and shows how many bytes have passed. */
  async *count(
    pieces: AsyncIterable<Uint8Array>,
    what: string,
    sizeBytes: number | undefined,
  ): AsyncGenerator<Uint8Array> {
    this.#doneBytes = 0;
    this.show(what, 0, sizeBytes);
    for await (const piece of pieces) {
      yield piece;
      this.#doneBytes += piece.length;
      this.show(what, this.#doneBytes, sizeBytes);
    }
  }

  show(what: string, doneBytes: number, sizeBytes: number | undefined): void {
    const nowMs = performance.now();
    if (!this.#isShown || (this.#isDrawn && nowMs - this.#drawnMs < REDRAW_MS && doneBytes !== sizeBytes))
      return;
    this.#drawnMs = nowMs;
    this.#isDrawn = true;
    const line = progressText(what, doneBytes, sizeBytes, nowMs - this.#startMs);
    this.#stream.write(`\r\u001b[K${line.slice(0, Math.max(20, this.#stream.columns - 1))}`);
  }

  /** Takes the line away. */
  end(): void {
    if (this.#isDrawn) this.#stream.write("\r\u001b[K");
    this.#isDrawn = false;
  }
}

/** Such as "[#####     ]  50 %  5.0 of 10.0 MB, 0.4 MB/s  file". */
export function progressText(
  what: string,
  doneBytes: number,
  sizeBytes: number | undefined,
  elapsedMs: number,
): string {
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);
  const rate = elapsedMs > 0 ? doneBytes / 1e3 / elapsedMs : 0;
  const speed = `${rate.toFixed(1)} MB/s`;
  if (sizeBytes === undefined) return `${megabytes(doneBytes)} MB, ${speed}  ${what}`;
  const part = sizeBytes === 0 ? 1 : Math.min(1, doneBytes / sizeBytes);
  const bar = "#".repeat(Math.round(part * BAR_CELLS)).padEnd(BAR_CELLS);
  const percent = String(Math.floor(part * 100)).padStart(3);
  return `[${bar}] ${percent} %  ${megabytes(doneBytes)} of ${megabytes(sizeBytes)} MB, ${speed}  ${what}`;
}
