const FIRST_INSTRUCTIONS = 50_000;
const LEAST_INSTRUCTIONS = 20_000;
const MOST_INSTRUCTIONS = 100_000;
/** How long one call of the processor is to take in real time: the delay that a timer may suffer. */
const WANTED_NS = 250_000;

/**
 * How many instructions the processor executes before the machine looks at
 * timers and input again.
 *
 * In real time: as many as take about a quarter of a millisecond, from the
 * last run's speed. In deterministic mode, where an instruction takes a
 * nanosecond: up to the next deadline. A timer that is set during a run and is
 * due before its end cuts the run short.
 */
export class RunBudget {
  readonly #deterministic: boolean;
  #instructions = FIRST_INSTRUCTIONS;
  #endNs = 0;

  constructor(deterministic: boolean) {
    this.#deterministic = deterministic;
  }

  /** The budget of a run that starts at `nowNs`. */
  next(nowNs: number, deadlineNs: number | undefined): number {
    if (!this.#deterministic) {
      this.#endNs = nowNs + WANTED_NS;
      return this.#instructions;
    }
    const left = Math.ceil((deadlineNs ?? Infinity) - nowNs);
    const budget = Math.max(1, Math.min(left, MOST_INSTRUCTIONS));
    this.#endNs = nowNs + budget;
    return budget;
  }

  /** Whether a timer due at `atNs` comes before the end of the run under way. */
  isCutShortBy(atNs: number): boolean {
    return atNs < this.#endNs;
  }

  /** Learns from a run of up to `budget` instructions that took `tookNs`. */
  ran(budget: number, tookNs: number): void {
    if (this.#deterministic || budget !== this.#instructions) return;
    // A run cut short by HLT or an event says little about the speed, but only ever makes the budget grow.
    if (tookNs > WANTED_NS * 2) this.#instructions = Math.max(LEAST_INSTRUCTIONS, this.#instructions >> 1);
    else if (tookNs < WANTED_NS / 2)
      this.#instructions = Math.min(MOST_INSTRUCTIONS, this.#instructions << 1);
  }
}
