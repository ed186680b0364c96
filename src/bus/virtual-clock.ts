import type { Clock, Timer } from "./clock.ts";

interface Entry {
  readonly atNs: number;
  readonly callback: () => void;
  /** Counts up with every `schedule`; tells calls made during `runDue` from earlier ones. */
  readonly sequence: number;
}

/**
 * The clock that devices see, over any source of time. It starts no host
 * timers: whoever runs the machine asks for the next deadline and calls `runDue`.
 */
export class TimerQueue implements Clock {
  readonly #now: () => number;
  /** Sorted by time; entries for one time in the order in which they were scheduled. */
  readonly #entries: Entry[] = [];
  #nextSequence = 0;

  /** `now` gives nanoseconds since power-on and never falls. */
  constructor(now: () => number) {
    this.#now = now;
  }

  nowNs(): number {
    return this.#now();
  }

  schedule(atNs: number, callback: () => void): Timer {
    if (Number.isNaN(atNs)) throw new RangeError("a timer needs a time, got NaN");
    const entry: Entry = { atNs, callback, sequence: this.#nextSequence++ };
    let index = this.#entries.length;
    while (index > 0 && (this.#entries[index - 1]?.atNs ?? 0) > atNs) index--;
    this.#entries.splice(index, 0, entry);
    return { cancel: () => this.#remove(entry) };
  }

  /** When the next call is due, or undefined when none is scheduled. May lie in the past. */
  nextDeadlineNs(): number | undefined {
    return this.#entries[0]?.atNs;
  }

  /**
   * Makes all calls that are due, in time order. A call that one of them
   * schedules waits for the next `runDue`, even if it is due: so a timer in
   * arrears cannot keep the guest from running between two of its ticks.
   */
  runDue(): void {
    const now = this.#now();
    const end = this.#nextSequence;
    for (;;) {
      const entry = this.#entries.find((candidate) => candidate.sequence < end);
      if (entry === undefined || entry.atNs > now) return;
      this.#remove(entry);
      entry.callback();
    }
  }

  #remove(entry: Entry): void {
    const index = this.#entries.indexOf(entry);
    if (index >= 0) this.#entries.splice(index, 1);
  }
}
