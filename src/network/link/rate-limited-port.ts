import type { Clock } from "../../bus/clock.ts";
import { type EthernetPort, type Frame, frameLength } from "../../host/ethernet-port.ts";

/** Frames that wait their turn in each direction; more are lost, which tells a sender's TCP to go slower. */
const MAXIMUM_WAITING_BYTES = 512 * 1024;
/** What may pass at once after a pause, as time at the full rate. */
const BURST_NS = 20e6;

/** A port that lets through so many bytes a second in each direction. */
export class RateLimitedPort implements EthernetPort {
  onFrame: (frame: Frame) => void = () => {};
  readonly #port: EthernetPort;
  readonly #out: Limiter;

  constructor(port: EthernetPort, clock: Clock, bytesPerSecond: number) {
    this.#port = port;
    this.#out = new Limiter(clock, bytesPerSecond, (frame) => port.send(frame));
    const back = new Limiter(clock, bytesPerSecond, (frame) => this.onFrame(frame));
    port.onFrame = (frame) => back.send(frame);
  }

  saveState(): unknown {
    return this.#port.saveState?.();
  }

  restoreState(state: unknown): void {
    this.#port.restoreState?.(state);
  }

  send(frame: Frame): void {
    this.#out.send(frame);
  }
}

class Limiter {
  readonly #clock: Clock;
  readonly #nsPerByte: number;
  readonly #pass: (frame: Frame) => void;
  readonly #waiting: Frame[] = [];
  #waitingBytes = 0;
  /** When everything that has passed will have taken its time. */
  #busyUntilNs = 0;
  #scheduled = false;

  constructor(clock: Clock, bytesPerSecond: number, pass: (frame: Frame) => void) {
    this.#clock = clock;
    this.#nsPerByte = 1e9 / bytesPerSecond;
    this.#pass = pass;
  }

  send(frame: Frame): void {
    if (this.#waiting.length > 0 && this.#waitingBytes + frameLength(frame) > MAXIMUM_WAITING_BYTES) return;
    this.#waiting.push(frame);
    this.#waitingBytes += frameLength(frame);
    this.#drain();
  }

  #drain(): void {
    const nowNs = this.#clock.nowNs();
    this.#busyUntilNs = Math.max(this.#busyUntilNs, nowNs - BURST_NS);
    while (this.#waiting.length > 0 && this.#busyUntilNs <= nowNs) {
      const frame = this.#waiting.shift()!;
      this.#waitingBytes -= frameLength(frame);
      this.#busyUntilNs += frameLength(frame) * this.#nsPerByte;
      this.#pass(frame);
    }
    if (this.#waiting.length === 0 || this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.schedule(this.#busyUntilNs, () => {
      this.#scheduled = false;
      this.#drain();
    });
  }
}
