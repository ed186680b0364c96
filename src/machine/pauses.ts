/** What is to be done while a guest stands still: between two slices of a run, or at once where none is under way. */
export class Pauses {
  readonly #wake: () => void;
  /** A run is under way and not in a pause. */
  #isRunning = false;
  /** What is to be done when the guest stands still next. */
  readonly #waiting: (() => Promise<void>)[] = [];
  /** What is being done while it stands still. */
  readonly #underWay = new Set<Promise<unknown>>();

  /** @param wake Makes a run that sleeps look here. */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  /** Whether something waits for the guest to stand still. */
  get areAsked(): boolean {
    return this.#waiting.length > 0;
  }

  /** Does something while the guest stands still. Rejects with what `action` does. */
  async during<T>(action: () => T | Promise<T>): Promise<T> {
    if (!this.#isRunning) {
      const done = Promise.resolve().then(action);
      this.#underWay.add(done);
      return done.finally(() => this.#underWay.delete(done));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push(async () => {
        try {
          resolve(await action());
        } catch (error) {
          reject(error);
        }
      });
      this.#wake();
    });
  }

  /** The guest stands still: resolves when all that waited is done, one after the other, and it may run. */
  async take(): Promise<void> {
    this.#isRunning = false;
    for (let action = this.#waiting.shift(); action !== undefined; action = this.#waiting.shift())
      await action();
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
    this.#isRunning = true;
  }

  /** The run is over. */
  end(): void {
    this.#isRunning = false;
  }
}
