/**
 * A jump forwards counts as hot after so many times as many, because the code that it is part of becomes hot as a whole: where it is
 * called, or where its loop begins.
 */
const FORWARD_AGAIN = 8;
/** A guest can make up any number of counters. */
const MOST_WARM = 50_000;

/**
 * Which counters have reached which mark. Generated code counts up to one mark and leaves; there, what the translator knows already is
 * taken, and a counter of anything else goes on, from below zero, until it has counted `hotCount`.
 */
export class Heat {
  /** Where generated code leaves with EXIT_HOT; undefined where nothing is translated. */
  readonly mark: number | undefined;
  readonly #beyond: number;
  readonly #warm = new Set<number>();

  constructor(hotCount: number | undefined, warmCount: number | undefined) {
    this.mark = hotCount === undefined ? undefined : Math.min(hotCount, warmCount ?? hotCount);
    this.#beyond = hotCount === undefined ? 0 : hotCount - this.mark!;
  }

  /** Where a counter begins. */
  start(isForward: boolean): number {
    return isForward ? (1 - FORWARD_AGAIN) * (this.mark ?? 0) : 0;
  }

  /** Where a counter goes on that has reached the mark. */
  restart(isForward: boolean): number {
    return (this.mark ?? 0) - this.#beyond * (isForward ? FORWARD_AGAIN : 1);
  }

  /** Whether a counter that has reached the mark has counted up to `hotCount`. It is told from others by a number. */
  isHot(counter: number): boolean {
    return this.#beyond === 0 || this.#warm.has(counter);
  }

  /** From now on a counter is hot when it reaches the mark again. */
  goesOn(counter: number): void {
    if (this.#warm.size >= MOST_WARM) this.#warm.clear();
    this.#warm.add(counter);
  }

  /** No counter has counted anything. */
  forget(): void {
    this.#warm.clear();
  }
}
