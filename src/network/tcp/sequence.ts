/** Sequence numbers are 32 bits and wrap around; of two, the one less than half the circle ahead is the later. */

/** How far `b` is ahead of `a`, from -2**31 to 2**31 - 1. */
export function distance(a: number, b: number): number {
  return (b - a) | 0;
}

export function advance(sequence: number, by: number): number {
  return (sequence + by) >>> 0;
}

/** True when `a` comes before `b`. */
export function isBefore(a: number, b: number): boolean {
  return distance(a, b) > 0;
}
