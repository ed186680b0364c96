import process from "node:process";

/** Nanoseconds since some moment before this process began; never falls. Exact up to 104 days of uptime. */
export function monotonicNowNs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e9 + nanoseconds;
}
