import type { Clock, Timer } from "../../bus/clock.ts";

/** How the timer counts; chosen by bits 17 and 18 of the LVT timer register. */
export type ApicTimerMode = "one-shot" | "periodic" | "tsc-deadline";

/** Everything a snapshot must carry of the timer. */
export interface ApicTimerState {
  mode: ApicTimerMode;
  initialCount: number;
  /** As written: bits 0, 1 and 3. */
  divideConfiguration: number;
  /** When the count reaches zero, in the clock's nanoseconds; -1 when it does not run. */
  zeroAtNs: number;
  /** In TSC-deadline mode the armed deadline in TSC ticks; 0 when disarmed. */
  tscDeadline: bigint;
}

export const resetTimerState = (): ApicTimerState => ({
  mode: "one-shot",
  initialCount: 0,
  divideConfiguration: 0,
  zeroAtNs: -1,
  tscDeadline: 0n,
});

/** The bus clock that the count divides: 1 GHz, so one undivided tick takes a nanosecond. */
export const APIC_BUS_HZ = 1_000_000_000;

/**
 * The local APIC's timer. Calls `onExpiry` each time the count reaches zero or
 * the deadline passes; whether that is an interrupt is the LVT's business.
 *
 * A periodic timer that falls behind the clock by whole periods expires once
 * for all of them and keeps its phase.
 *
 * Source: Intel SDM Vol. 3A, "APIC Timer".
 */
export class ApicTimer {
  readonly #clock: Clock;
  readonly #tscToNs: (tsc: bigint) => number;
  readonly #onExpiry: () => void;
  readonly #state: ApicTimerState;
  #scheduled: Timer | undefined;

  constructor(clock: Clock, tscToNs: (tsc: bigint) => number, onExpiry: () => void, state: ApicTimerState) {
    this.#clock = clock;
    this.#tscToNs = tscToNs;
    this.#onExpiry = onExpiry;
    this.#state = state;
    if (state.zeroAtNs >= 0) this.#startUntil(state.zeroAtNs);
  }

  get initialCount(): number {
    return this.#state.initialCount;
  }

  get divideConfiguration(): number {
    return this.#state.divideConfiguration;
  }

  get tscDeadline(): bigint {
    return this.#state.tscDeadline;
  }

  /** Ticks left; 0 when stopped and in TSC-deadline mode. */
  get currentCount(): number {
    const s = this.#state;
    if (s.zeroAtNs < 0 || s.mode === "tsc-deadline") return 0;
    const leftNs = s.zeroAtNs - this.#clock.nowNs();
    return leftNs <= 0 ? 0 : Math.min(Math.ceil(leftNs / this.#tickNs), 0xffffffff);
  }

  /** Entering and leaving TSC-deadline mode disarms the timer. */
  setMode(mode: ApicTimerMode): void {
    const s = this.#state;
    if (mode === s.mode) return;
    if (mode === "tsc-deadline" || s.mode === "tsc-deadline") this.stop();
    s.mode = mode;
  }

  /** Starts the count; 0 stops it. Ignored in TSC-deadline mode. */
  setInitialCount(count: number): void {
    const s = this.#state;
    if (s.mode === "tsc-deadline") return;
    s.initialCount = count;
    if (count === 0) this.stop();
    else this.#startUntil(this.#clock.nowNs() + count * this.#tickNs);
  }

  /** A running count goes on from where it is at the new speed. */
  setDivideConfiguration(value: number): void {
    const left = this.currentCount;
    this.#state.divideConfiguration = value & 0b1011;
    if (left > 0) this.#startUntil(this.#clock.nowNs() + left * this.#tickNs);
  }

  /** Arms the deadline; 0 disarms it. Ignored outside of TSC-deadline mode. */
  setTscDeadline(tsc: bigint): void {
    if (this.#state.mode !== "tsc-deadline") return;
    if (tsc === 0n) {
      this.stop();
      return;
    }
    this.#state.tscDeadline = tsc;
    this.#startUntil(Math.max(0, this.#tscToNs(tsc)));
  }

  /** Stops counting without expiring. */
  stop(): void {
    this.#scheduled?.cancel();
    this.#scheduled = undefined;
    this.#state.zeroAtNs = -1;
    this.#state.tscDeadline = 0n;
  }

  get #tickNs(): number {
    const c = this.#state.divideConfiguration;
    const code = ((c & 0b1000) >> 1) | (c & 0b11);
    const divisor = code === 0b111 ? 1 : 2 << code;
    return (divisor * 1_000_000_000) / APIC_BUS_HZ;
  }

  #startUntil(zeroAtNs: number): void {
    this.#scheduled?.cancel();
    this.#state.zeroAtNs = zeroAtNs;
    this.#scheduled = this.#clock.schedule(zeroAtNs, () => this.#expire());
  }

  #expire(): void {
    const s = this.#state;
    this.#scheduled = undefined;
    if (s.mode === "periodic" && s.initialCount > 0) {
      const periodNs = s.initialCount * this.#tickNs;
      const missed = Math.max(0, Math.floor((this.#clock.nowNs() - s.zeroAtNs) / periodNs));
      this.#startUntil(s.zeroAtNs + (missed + 1) * periodNs);
    } else {
      s.zeroAtNs = -1;
      s.tscDeadline = 0n;
    }
    this.#onExpiry();
  }
}
