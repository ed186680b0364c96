import type { Clock, Timer } from "./clock.ts";
import { TimerQueue } from "./virtual-clock.ts";

/** A clock that stands still until it is told to move; for tests. */
export class ManualClock implements Clock {
  #timeNs = 0;
  readonly #queue = new TimerQueue(() => this.#timeNs);

  nowNs(): number {
    return this.#timeNs;
  }

  schedule(atNs: number, callback: () => void): Timer {
    return this.#queue.schedule(atNs, callback);
  }

  nextDeadlineNs(): number | undefined {
    return this.#queue.nextDeadlineNs();
  }

  /** Moves time on, stopping at every deadline on the way to make its calls. */
  advance(byNs: number): void {
    const endNs = this.#timeNs + byNs;
    for (;;) {
      const deadlineNs = this.#queue.nextDeadlineNs();
      if (deadlineNs === undefined || deadlineNs > endNs) break;
      this.#timeNs = Math.max(this.#timeNs, deadlineNs);
      this.#queue.runDue();
    }
    this.#timeNs = endNs;
  }

  /** Moves time on without making calls, as a host that was busy elsewhere does. */
  stall(byNs: number): void {
    this.#timeNs += byNs;
  }

  runDue(): void {
    this.#queue.runDue();
  }
}
