// Conversions between the clock's nanoseconds and the ticks of an oscillator
// that has run since power-on. Seconds are split off first, which keeps every
// product below 2**53 for frequencies up to 9 MHz, so results are exact.

const NS_PER_SECOND = 1_000_000_000;

/** Whole ticks of a `frequencyHz` oscillator up to `timeNs`. */
export function ticksAt(timeNs: number, frequencyHz: number): number {
  const seconds = Math.floor(timeNs / NS_PER_SECOND);
  const restNs = timeNs - seconds * NS_PER_SECOND;
  return seconds * frequencyHz + Math.floor((restNs * frequencyHz) / NS_PER_SECOND);
}

/** The first nanosecond at which `ticksAt` gives `tick`. */
export function timeOfTickNs(tick: number, frequencyHz: number): number {
  const seconds = Math.floor(tick / frequencyHz);
  const restTicks = tick - seconds * frequencyHz;
  return seconds * NS_PER_SECOND + Math.ceil((restTicks * NS_PER_SECOND) / frequencyHz);
}
