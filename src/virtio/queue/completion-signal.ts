import type { HostOperations } from "../../bus/host-operations.ts";
import type { SplitQueue } from "./split-queue.ts";

/** One in so many completions shows whether the driver has more to ask for before it hears of the first. */
const TRIAL_EVERY = 64;
/** Fewer than this in the time that a signal may wait, and somebody was kept waiting for no gain. */
const LEAST_IN_TIME = 8;

/**
 * When the driver is told of requests that came back at once.
 *
 * A driver that keeps several requests under way is told of many together: an interrupt costs a guest about as much as a
 * small request. One that waits for each is told immediately. Which it is shows when a signal waits: the
 * former asks for more meanwhile.
 */
export class CompletionSignal {
  readonly #queue: SplitQueue;
  readonly #operations: HostOperations;
  #isPatient = false;
  #untilTrial = TRIAL_EVERY;
  /** Times that requests came back since the signal waits; 0: it does not. */
  #waiting = 0;
  #stopped = false;

  constructor(queue: SplitQueue, operations: HostOperations) {
    this.#queue = queue;
    this.#operations = operations;
  }

  /** Requests came back while the driver was notifying of them. */
  completed(): void {
    if (this.#waiting > 0) {
      this.#waiting++;
      return;
    }
    const isTrial = --this.#untilTrial <= 0;
    if (isTrial) this.#untilTrial = TRIAL_EVERY;
    if (!this.#operations.mayWait || !(this.#isPatient || isTrial)) {
      this.#queue.signal();
      return;
    }
    this.#waiting = 1;
    this.#operations.whenIdle((isIdle) => this.#signal(isIdle));
  }

  /** The driver is gone. */
  stop(): void {
    this.#stopped = true;
  }

  #signal(isIdle: boolean): void {
    this.#isPatient = this.#waiting >= (isIdle ? 2 : LEAST_IN_TIME);
    this.#waiting = 0;
    if (!this.#stopped) this.#queue.signal();
  }
}
