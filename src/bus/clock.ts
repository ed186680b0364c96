/** A pending call of `Clock.schedule`. */
export interface Timer {
  /** Takes the call back. Does nothing when it has been made or taken back. */
  cancel(): void;
}

/**
 * Time as devices see it. Never the host's clock directly: in deterministic
 * mode it is a function of the instructions executed.
 */
export interface Clock {
  /** Nanoseconds since the machine was powered on; never falls. */
  nowNs(): number;
  /** Calls `callback` once when `nowNs()` has reached `atNs`; never from inside this call. */
  schedule(atNs: number, callback: () => void): Timer;
}
