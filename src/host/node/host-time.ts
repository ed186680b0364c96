import type { EventLoop } from "./event-loop.ts";
import { fileThread } from "./file-thread/file-thread.ts";
import { monotonicNowNs } from "./monotonic-clock.ts";

/** What a machine asks of its host besides a place for serial output: this computer's time, and sleep by an event loop. */
export function hostTime(loop: EventLoop) {
  return {
    monotonicNowNs,
    wallClockNowMs: () => Date.now(),
    yield: () => loop.yield(),
    sleep: (durationNs: number) => loop.sleep(durationNs),
    wake: () => loop.wake(),
    polled: fileThread,
  };
}
