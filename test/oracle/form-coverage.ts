import type { Generator } from "./generate.ts";
import type { JudgeReport } from "./judge.ts";

/** Which forms some cases had, over the generators of several seeds. */
export class FormCoverage {
  readonly #encoded = new Set<number>();
  readonly #completed = new Set<number>();
  #forms: readonly string[] = [];
  #excluded = 0;

  add(generator: Generator, report: JudgeReport): void {
    this.#forms = generator.shapes.map(({ text }) => text);
    this.#excluded = generator.excluded.length;
    for (const form of report.encoded) this.#encoded.add(form);
    for (const form of report.completed) this.#completed.add(form);
  }

  /** How many forms some case ran to its end with. */
  get completed(): number {
    return this.#completed.size;
  }

  /** Reached, and by name what was not reached or only faulted. */
  lines(): string[] {
    const named = (wanted: (form: number) => boolean) =>
      this.#forms.filter((_, form) => wanted(form)).join("; ") || "none";
    return [
      `forms: ${this.#encoded.size} of ${this.#forms.length} reached, ${this.#completed.size} ran to their end, ${this.#excluded} are excluded`,
      `not reached: ${named((form) => !this.#encoded.has(form))}`,
      `reached, and always faulted: ${named((form) => this.#encoded.has(form) && !this.#completed.has(form))}`,
    ];
  }
}
