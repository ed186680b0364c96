/**
 * How a device waits for the program around the machine, without keeping the
 * guest from running.
 */
export interface HostOperations {
  /**
   * A device may wait for what is quick while the guest stands in the access that asked for it. Not in deterministic
   * mode, where nothing may depend on how long the host takes.
   */
  readonly mayWait: boolean;
  /** Memory may change while the guest runs on: `startInMemory`. Not where two processors' memories are compared, nor in deterministic mode. */
  readonly mayShareMemory: boolean;
  /**
   * Calls `done` or `failed` when `operation` has settled, between two runs of
   * the processor, and wakes the machine. In deterministic mode the guest's
   * time stands still until every operation under way has settled, and the
   * calls come in the order in which the operations were started.
   */
  start<T>(operation: Promise<T>, done: (result: T) => void, failed: (error: unknown) => void): void;
  /**
   * Calls `action` between two runs of the processor: when the guest has nothing else to do, or when about a millisecond
   * is over, whichever comes first; true says that it was the former. Only where a device may wait.
   */
  whenIdle(action: (isIdle: boolean) => void): void;
  /**
   * Like `start`, for an operation that reads or writes guest memory meanwhile: no reset takes that away before it has
   * settled. `begin` begins it, and returns whether it could; then it calls one of its two parameters, later.
   */
  startInMemory(
    begin: (done: () => void, failed: (error: unknown) => void) => boolean,
    done: () => void,
    failed: (error: unknown) => void,
  ): boolean;
}
