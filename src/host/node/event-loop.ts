/**
 * How a running machine gives way to the host: input, output and timers of
 * Node.js are served only between turns of its event loop.
 */
export class EventLoop {
  #wake: (() => void) | undefined;

  /** Lets everything that waits run once, and returns as soon as possible. */
  yield(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  /**
   * Sleeps for `durationNs`, or until `wake`; the process uses no processor
   * time meanwhile. `Infinity` sleeps until `wake`. Only one sleep at a time.
   *
   * Who wakes the sleeper may be the first of several that are served in this turn; it goes on behind the last. Otherwise
   * a guest would be run, and interrupted, for each.
   */
  sleep(durationNs: number): Promise<void> {
    return new Promise((resolve) => {
      // Node.js counts in whole milliseconds and takes at most 2**31 - 1 of them; waking early is allowed.
      const milliseconds = Math.min(Math.max(durationNs / 1e6, 0), 2 ** 31 - 1);
      const timer = setTimeout(() => this.wake(), milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        setImmediate(resolve);
      };
    });
  }

  /** Ends a sleep under way; does nothing when there is none. */
  wake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
