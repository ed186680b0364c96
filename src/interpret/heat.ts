/**
 * A jump forwards counts as hot after so many times as many, because the code that it is part of becomes hot as a whole: where it is
 * called, or where its loop begins.
 */
const FORWARD_AGAIN = 8;
/** A guest can make up any number of counters. */
const MOST_WARM = 50_000;

/** After how many jumps to a place the translator is asked whether it makes a region of it, from the lowest; after the last it has to. */
export type HeatMarks = readonly number[];

/**
 * How far counters of jumps have come. Generated code counts up to the first mark and leaves; there a counter that is to go on does so, from
 * below zero, until it has counted up to the next.
 */
export class Heat {
  readonly #marks: HeatMarks;
  /** Of counters that have passed a mark: the one that they come to next. */
  readonly #next = new Map<number, number>();

  constructor(marks: HeatMarks) {
    this.#marks = marks;
  }

  /** Where generated code leaves with EXIT_HOT; undefined where nothing is translated. */
  get mark(): number | undefined {
    return this.#marks[0];
  }

  /** Where a counter begins. */
  start(isForward: boolean): number {
    return isForward ? (1 - FORWARD_AGAIN) * (this.mark ?? 0) : 0;
  }

  /** Which mark a counter has come to; it is told from others by a number. */
  markOf(counter: number): number {
    return this.#next.get(counter) ?? 0;
  }

  /** Whether that mark is the last. */
  isHot(counter: number): boolean {
    return this.markOf(counter) >= this.#marks.length - 1;
  }

  /** A counter goes on to the next mark: from where. */
  goesOn(counter: number, isForward: boolean): number {
    const passed = this.markOf(counter);
    if (this.#next.size >= MOST_WARM) this.#next.clear();
    this.#next.set(counter, passed + 1);
    const more = (this.#marks[passed + 1] ?? 0) - (this.#marks[passed] ?? 0);
    return (this.mark ?? 0) - more * (isForward ? FORWARD_AGAIN : 1);
  }

  /** No counter has counted anything. */
  forget(): void {
    this.#next.clear();
  }
}
