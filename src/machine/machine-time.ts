/** The time-stamp counter's frequency, which the guest is told: one tick is one nanosecond of the machine's clock. */
export const TSC_HZ = 1_000_000_000;

/** Where a machine's time comes from. Nanoseconds count from power-on and go on through resets. */
export interface MachineTime {
  /** Never falls. */
  nowNs(): number;
  /** Milliseconds since 1970, for the real-time clock. */
  unixTimeMs(): number;
}

/** A busy machine looks at the time more often than this, unless the host has kept it from running. */
const LONGEST_STEP_NS = 10_000_000;

const CAUGHT_UP_AT_ONCE_NS = 1_000_000_000;

/**
 * Time of the host: the guest's clocks agree with the user's.
 *
 * While the guest is busy, time in which the host did not let the machine run
 * passes only in part: a guest that measures a timer against the TSC, as Linux
 * does at boot, would find the timer broken. The lost time comes back when the
 * guest is idle, a little at each time: Linux takes a jump of 20 seconds for a processor that hung.
 */
export class HostTime implements MachineTime {
  readonly #host: { monotonicNowNs(): number; wallClockNowMs(): number };
  #startNs: number;
  #lastNs: number;
  #lostNs = 0;
  /** The host's time when the clock was stopped. */
  #stoppedAtNs: number | undefined;

  /** The machine's clock begins at `nowNs`. */
  constructor(host: { monotonicNowNs(): number; wallClockNowMs(): number }, nowNs = 0) {
    this.#host = host;
    this.#startNs = host.monotonicNowNs() - nowNs;
    this.#lastNs = nowNs;
  }

  nowNs(): number {
    if (this.#stoppedAtNs !== undefined) return this.#lastNs;
    const elapsedNs = this.#host.monotonicNowNs() - this.#startNs;
    const excessNs = elapsedNs - this.#lostNs - this.#lastNs - LONGEST_STEP_NS;
    if (excessNs > 0) this.#lostNs += excessNs;
    this.#lastNs = elapsedNs - this.#lostNs;
    return this.#lastNs;
  }

  /** Time stands still until `resume`: the guest is not to notice a pause. */
  stop(): void {
    this.nowNs();
    this.#stoppedAtNs ??= this.#host.monotonicNowNs();
  }

  resume(): void {
    if (this.#stoppedAtNs === undefined) return;
    this.#startNs += this.#host.monotonicNowNs() - this.#stoppedAtNs;
    this.#stoppedAtNs = undefined;
  }

  /** The guest has been idle: the time has passed for it, and some of the lost time comes back. */
  catchUp(): void {
    if (this.#stoppedAtNs !== undefined) return;
    this.#lostNs = Math.max(0, this.#lostNs - CAUGHT_UP_AT_ONCE_NS);
    this.#lastNs = this.#host.monotonicNowNs() - this.#startNs - this.#lostNs;
  }

  unixTimeMs(): number {
    return this.#host.wallClockNowMs();
  }
}

/** What the real-time clock shows at power-on in deterministic mode: 2024-01-01 00:00:00 UTC. */
export const DETERMINISTIC_START_MS = Date.UTC(2024, 0, 1);

/**
 * Time as a function of the instructions executed: one takes one nanosecond.
 * While the processor is halted no instruction makes time pass, so the
 * machine skips to the next deadline.
 */
export class InstructionTime implements MachineTime {
  readonly #instructions: () => number;
  /** What to add to the instruction count: time skipped, and instructions before the last reset. */
  #offsetNs = 0;

  constructor(instructions: () => number) {
    this.#instructions = instructions;
  }

  nowNs(): number {
    return this.#offsetNs + this.#instructions();
  }

  unixTimeMs(): number {
    return DETERMINISTIC_START_MS + this.nowNs() / 1e6;
  }

  /** Goes on from `nowNs`, for a machine made from a saved one. */
  startFrom(nowNs: number): void {
    this.#offsetNs = nowNs - this.#instructions();
  }

  /** Moves on to `timeNs` if that lies ahead. */
  skipTo(timeNs: number): void {
    this.#offsetNs += Math.max(0, Math.ceil(timeNs) - this.nowNs());
  }

  /** Keeps time from falling while `reset` sets the instruction count back. */
  across(reset: () => void): void {
    const beforeNs = this.nowNs();
    reset();
    this.#offsetNs += beforeNs - this.nowNs();
  }
}
