import type { Clock, Timer } from "../../bus/clock.ts";
import { TimerQueue } from "../../bus/virtual-clock.ts";
import { monotonicNowNs } from "./monotonic-clock.ts";

/** The host's time as a clock, for what lives beside a machine. Its timers do not keep the process alive. */
export class HostClock implements Clock {
  readonly #startNs = monotonicNowNs();
  readonly #queue = new TimerQueue(() => this.nowNs());
  #wakeUp: NodeJS.Timeout | undefined;
  #wakeUpNs = Infinity;

  nowNs(): number {
    return monotonicNowNs() - this.#startNs;
  }

  schedule(atNs: number, callback: () => void): Timer {
    const timer = this.#queue.schedule(atNs, callback);
    this.#arm();
    return timer;
  }

  /** Waking up too early, for a timer that was cancelled, costs less than setting the host's timer anew each time. */
  #arm(): void {
    const deadlineNs = this.#queue.nextDeadlineNs();
    if (deadlineNs === undefined || deadlineNs >= this.#wakeUpNs) return;
    clearTimeout(this.#wakeUp);
    this.#wakeUpNs = deadlineNs;
    const delayMs = Math.min(2 ** 31 - 1, Math.max(0, Math.ceil((deadlineNs - this.nowNs()) / 1e6)));
    this.#wakeUp = setTimeout(() => {
      this.#wakeUpNs = Infinity;
      this.#queue.runDue();
      this.#arm();
    }, delayMs);
    this.#wakeUp.unref();
  }
}
