import type { PolledOutcomes } from "../host/polled-outcomes.ts";

/** What a machine uses of the program it runs in: time, sleep, and where serial output goes. */
export interface MachineHost {
  /** Never falls; from any starting point. */
  monotonicNowNs(): number;
  /** Milliseconds since 1970, for the real-time clock. */
  wallClockNowMs(): number;
  /** Lets the host serve input, output and timers once. */
  yield(): Promise<void>;
  /** Sleeps for `durationNs`, which may be Infinity, or until `wake`. */
  sleep(durationNs: number): Promise<void>;
  /** Ends a sleep under way. */
  wake(): void;
  /** Outcomes that come by its event loop, and sooner to who asks; absent: there are none. */
  readonly polled?: PolledOutcomes;
  /** Takes bytes that the guest sent to its first serial port. */
  writeSerial(bytes: Uint8Array): void;
  /** Takes bytes that the guest sent to its second serial port. Absent: they are dropped. */
  writeSecondSerial?(bytes: Uint8Array): void;
  /** True while the receiver of serial output is slower than the guest. */
  serialCongested(): boolean;
}
