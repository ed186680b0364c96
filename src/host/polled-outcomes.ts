/**
 * Outcomes of what other threads do for a machine. They come by the host's event loop; who looks for them between two
 * runs of a processor has them sooner, and for less.
 */
export interface PolledOutcomes {
  /** Operations whose outcome has not been delivered. */
  readonly underWay: number;
  /** Delivers what outcomes there are. */
  poll(): void;
  /** Waits up to `mostNs` for outcomes that come soon, and delivers them; false: there were none. */
  awaitSoon(mostNs: number): boolean;
}
