import type { Clock, Timer } from "../../bus/clock.ts";

const INITIAL_NS = 1e9;
const MINIMUM_NS = 200e6;
const MAXIMUM_NS = 60e9;

/** The retransmission timeout of RFC 6298, from measured round trips, doubled after each expiry. */
export class RetransmissionTimer {
  readonly #clock: Clock;
  readonly #expired: () => void;
  #timer: Timer | undefined;
  #smoothedNs: number | undefined;
  #variationNs = 0;
  #timeoutNs = INITIAL_NS;

  constructor(clock: Clock, expired: () => void) {
    this.#clock = clock;
    this.#expired = expired;
  }

  get timeoutNs(): number {
    return this.#timeoutNs;
  }

  get running(): boolean {
    return this.#timer !== undefined;
  }

  start(): void {
    if (this.#timer === undefined) this.restart();
  }

  restart(): void {
    this.stop();
    this.#timer = this.#clock.schedule(this.#clock.nowNs() + this.#timeoutNs, () => {
      this.#timer = undefined;
      this.#timeoutNs = Math.min(MAXIMUM_NS, this.#timeoutNs * 2);
      this.#expired();
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Takes the time from sending a segment, once, to its acknowledgement. */
  measured(roundTripNs: number): void {
    if (this.#smoothedNs === undefined) {
      this.#smoothedNs = roundTripNs;
      this.#variationNs = roundTripNs / 2;
    } else {
      this.#variationNs += (Math.abs(this.#smoothedNs - roundTripNs) - this.#variationNs) / 4;
      this.#smoothedNs += (roundTripNs - this.#smoothedNs) / 8;
    }
    const timeoutNs = this.#smoothedNs + 4 * this.#variationNs;
    this.#timeoutNs = Math.min(MAXIMUM_NS, Math.max(MINIMUM_NS, timeoutNs));
  }
}
