/**
 * How a machine in a worker gives way: messages and timers of the thread are
 * served only between turns of its event loop.
 */
export class EventLoop {
  readonly #channel = new MessageChannel();
  /** Those who wait for a turn, the first come first. */
  readonly #waiting: (() => void)[] = [];
  #wake: (() => void) | undefined;

  constructor() {
    this.#channel.port1.onmessage = () => this.#waiting.shift()?.();
  }

  /** Lets what came before run, and returns as soon as possible: a message to oneself comes at once, a timer may take 4 ms. */
  yield(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#channel.port2.postMessage(undefined);
    });
  }

  /**
   * Sleeps for `durationNs`, or until `wake`. `Infinity` sleeps until `wake`. Only one sleep at a time.
   *
   * Source: HTML Standard, "Timers": a timer that was set while another one's callback ran, five deep, takes at least
   * 4 ms. The sleeper is therefore woken by a message, from which the count begins anew.
   */
  sleep(durationNs: number): Promise<void> {
    return new Promise((resolve) => {
      // Timers count in whole milliseconds and take at most 2**31 - 1 of them; waking early is allowed.
      const milliseconds = Math.min(Math.max(Math.trunc(durationNs / 1e6), 1), 2 ** 31 - 1);
      const timer = setTimeout(() => this.wake(), milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        this.yield().then(resolve);
      };
    });
  }

  /** Ends a sleep under way; does nothing when there is none. */
  wake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** Lets go of the channel; nobody may be waiting. */
  close(): void {
    this.#channel.port1.close();
  }
}
