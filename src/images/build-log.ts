import { VmError } from "../layout/vm-error.ts";

/** In front of what a builder's script says to the host; lines of the programs that it runs come without. */
export const STEP = "@step ";
export const FAILED = "@failed ";

/** Told how far the work has come: `done` of `total` within a step; a step without numbers has no parts. */
export type BuildProgress = (step: string, done?: number, total?: number) => void;

/** Steps of a builder by the names in its script. */
export type BuildSteps = Readonly<
  Record<string, { readonly told: string /** Parts, each with a line of dpkg's. */; readonly parts?: number }>
>;

/** Lines kept for a complaint. */
const KEPT_LINES = 5;

/** What a builder prints: steps, lines that count parts, and complaints. */
export class BuildLog {
  readonly #steps: BuildSteps;
  readonly #progress: BuildProgress;
  readonly #last: string[] = [];
  #step = "";
  #done = 0;
  #failure: string | undefined;

  constructor(steps: BuildSteps, progress: BuildProgress) {
    this.#steps = steps;
    this.#progress = progress;
  }

  take(line: string): void {
    if (line.startsWith(STEP)) {
      this.#step = line.slice(STEP.length);
      this.#done = 0;
      const step = this.#current();
      if (step !== undefined) this.#progress(step.told);
      return;
    }
    if (line.startsWith(FAILED)) this.#failure ??= line.slice(FAILED.length);
    if (this.#failure === undefined) this.#last.push(line);
    if (this.#last.length > KEPT_LINES) this.#last.shift();
    const { told, parts } = this.#current() ?? {};
    if (told !== undefined && parts !== undefined && line.startsWith("Setting up "))
      this.#progress(told, Math.min(++this.#done, parts), parts);
  }

  /** @throws {VmError} `image-not-made` unless the builder came to its end. */
  finish(): void {
    if (this.#failure === undefined && this.#step === "done") return;
    const reason = this.#failure ?? `the machine that builds it stopped in the middle (${this.#step})`;
    throw new VmError({ code: "image-not-made", reason: `${reason}: ${this.#last.join(" | ")}` });
  }

  #current(): BuildSteps[string] | undefined {
    return Object.hasOwn(this.#steps, this.#step) ? this.#steps[this.#step] : undefined;
  }
}
