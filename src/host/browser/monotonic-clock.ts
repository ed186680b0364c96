/**
 * Nanoseconds since this thread began; never falls. Browsers make the clock coarser than a nanosecond: Chromium to 5 us where
 * the page is cross-origin isolated (W3C, High Resolution Time, "Clock resolution").
 */
export function monotonicNowNs(): number {
  return performance.now() * 1e6;
}
