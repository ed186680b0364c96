/**
 * Outcomes of what other threads do for a machine. They come by the host's event loop; who looks for them between two
 * runs of a processor has them sooner, and for less.
 */
export interface PolledOutcomes {
  /** Operations whose outcome has not been delivered. */
  readonly underWay: number;
  /** Delivers what outcomes there are. */
  poll(): void;
  /**
   * For who has nothing else to do: takes part in the work, or waits up to `mostNs` for outcomes that come soon, and delivers
   * what there are. False: it was in vain.
   */
  awaitSoon(mostNs: number): boolean;
}
