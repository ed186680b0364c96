import type { WriteStream } from "node:tty";

const BAR_CELLS = 24;

/** Where lines go: a terminal, or a pipe. */
type Output = Pick<WriteStream, "write"> & { readonly isTTY?: boolean };

/** Shows how far a long work has come: one line with a bar on a terminal, a line now and then elsewhere. */
export class ProgressLine {
  readonly #output: Output;
  #step = "";
  #shown = "";

  constructor(output: Output) {
    this.#output = output;
  }

  /** `done` of `total` parts; without them the step has no parts. */
  show(step: string, done?: number, total?: number): void {
    const parts = done === undefined || total === undefined ? undefined : { done, total };
    if (!this.#output.isTTY) {
      // Every tenth of what has parts: in a log nobody needs more.
      const tenth = parts && Math.floor((parts.done * 10) / Math.max(parts.total, 1));
      const text = tenth ? `${step}: ${tenth}0 %` : step;
      if (text !== this.#shown) this.#output.write(`ringfence: ${text}\n`);
      this.#shown = text;
      return;
    }
    if (step !== this.#step && this.#step !== "") this.#output.write("\n");
    this.#step = step;
    const text = parts === undefined ? step : `${step} ${bar(parts.done, parts.total)} ${done}/${total}`;
    if (text === this.#shown) return;
    this.#shown = text;
    this.#output.write(`\r\x1b[Kringfence: ${text}`);
  }

  end(): void {
    if (this.#output.isTTY && this.#step !== "") this.#output.write("\n");
    this.#step = "";
  }
}

function bar(done: number, total: number): string {
  const cells = total === 0 ? BAR_CELLS : Math.round((done * BAR_CELLS) / total);
  return `[${"#".repeat(cells)}${"-".repeat(BAR_CELLS - cells)}]`;
}
