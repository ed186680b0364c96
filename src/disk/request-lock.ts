/** Orders requests: many that share, or one alone, in the order in which they came. */
export class RequestLock {
  #sharing = 0;
  #alone = false;
  readonly #waiting: { alone: boolean; start: () => void }[] = [];

  shared<T>(work: () => Promise<T>): Promise<T> {
    return this.#run(false, work);
  }

  exclusive<T>(work: () => Promise<T>): Promise<T> {
    return this.#run(true, work);
  }

  async #run<T>(alone: boolean, work: () => Promise<T>): Promise<T> {
    if (this.#waiting.length > 0 || !this.#admits(alone))
      await new Promise<void>((start) => this.#waiting.push({ alone, start }));
    else this.#enter(alone);
    try {
      return await work();
    } finally {
      if (alone) this.#alone = false;
      else this.#sharing--;
      this.#startNext();
    }
  }

  #admits(alone: boolean): boolean {
    return !this.#alone && !(alone && this.#sharing > 0);
  }

  #enter(alone: boolean): void {
    if (alone) this.#alone = true;
    else this.#sharing++;
  }

  #startNext(): void {
    for (
      let next = this.#waiting[0];
      next !== undefined && this.#admits(next.alone);
      next = this.#waiting[0]
    ) {
      this.#waiting.shift();
      this.#enter(next.alone);
      next.start();
    }
  }
}
