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
  /**
   * Calls `done` or `failed` when `operation` has settled, between two runs of
   * the processor, and wakes the machine. In deterministic mode the guest's
   * time stands still until every operation under way has settled, and the
   * calls come in the order in which the operations were started.
   */
  start<T>(operation: Promise<T>, done: (result: T) => void, failed: (error: unknown) => void): void;
}
