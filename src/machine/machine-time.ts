/** The time-stamp counter's frequency, which the guest is told: one tick is one nanosecond of the machine's clock. */
export const TSC_HZ = 1_000_000_000;

/** Where a machine's time comes from. Nanoseconds count from power-on and go on through resets. */
export interface MachineTime {
  /** Never falls. */
  nowNs(): number;
  /** Milliseconds since 1970, for the real-time clock. */
  unixTimeMs(): number;
}

/** Time of the host: the guest's clocks agree with the user's. */
export class HostTime implements MachineTime {
  readonly #host: { monotonicNowNs(): number; wallClockNowMs(): number };
  readonly #startNs: number;

  constructor(host: { monotonicNowNs(): number; wallClockNowMs(): number }) {
    this.#host = host;
    this.#startNs = host.monotonicNowNs();
  }

  nowNs(): number {
    return this.#host.monotonicNowNs() - this.#startNs;
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
