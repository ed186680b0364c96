import { monotonicNowNs } from "./monotonic-clock.ts";

/**
 * A call that took longer than this had to wait for a disk, and a slow one: about as long as a busy guest keeps the
 * event loop waiting anyway. On a host with much to do, less is often only another process that had its turn.
 */
const SLOW_NS = 10_000_000;
/** How many calls go another way after a slow one. */
const CALLS_TO_SKIP = 8;

/**
 * Calls of the host that are made at once as long as they are quick, because handing one to a thread costs ten times
 * what it takes when the file lies in the host's memory.
 */
export class QuickCalls {
  #skip = 0;

  /** What `call` returns; undefined, without calling, while calls are slow. */
  make<T>(call: () => T): T | undefined {
    if (this.#skip > 0) {
      this.#skip--;
      return undefined;
    }
    const startNs = monotonicNowNs();
    try {
      return call();
    } finally {
      if (monotonicNowNs() - startNs > SLOW_NS) this.#skip = CALLS_TO_SKIP;
    }
  }
}
