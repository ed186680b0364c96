import type { HostOperations } from "../bus/host-operations.ts";
import { invariant } from "../layout/invariant.ts";

/** The longest that what is for an idle guest waits for one. */
const LONGEST_WAIT_NS = 1_000_000;

interface Operation {
  /** Delivers the outcome; undefined while there is none. */
  deliver: (() => void) | undefined;
}

/**
 * What devices wait for. In real time an outcome is delivered as soon as it is
 * there; in deterministic mode, in the order of the starts and when nothing is
 * under way any more, so that the guest cannot tell how long the host took.
 */
export class PendingOperations implements HostOperations {
  readonly #deterministic: boolean;
  readonly #onStart: () => void;
  readonly #onDelivered: () => void;
  readonly #memoryIsCompared: () => boolean;
  #operations: Operation[] = [];
  #unsettled = 0;
  #inMemory = 0;
  #generation = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #whenIdle: ((isIdle: boolean) => void)[] = [];
  #firstPassedAtNs = 0;

  /**
   * @param events.started An operation has begun.
   * @param events.delivered A device has got its outcome.
   * @param memoryIsCompared Guest memory must change where the processor is told of it, and nowhere else.
   */
  constructor(
    deterministic: boolean,
    events: { started(): void; delivered(): void },
    memoryIsCompared: () => boolean = () => false,
  ) {
    this.#deterministic = deterministic;
    this.#memoryIsCompared = memoryIsCompared;
    this.#onStart = events.started;
    this.#onDelivered = events.delivered;
  }

  get mayWait(): boolean {
    return !this.#deterministic;
  }

  get mayShareMemory(): boolean {
    return !this.#deterministic && !this.#memoryIsCompared();
  }

  /** Operations whose outcome no device has got yet. */
  get count(): number {
    return this.#operations.length;
  }

  /** Some operation reads or writes guest memory. */
  get useMemory(): boolean {
    return this.#inMemory > 0;
  }

  whenIdle(action: (isIdle: boolean) => void): void {
    this.#whenIdle.push(action);
  }

  /** The guest has nothing to do. Returns whether there was something that waited for this. */
  guestIsIdle(): boolean {
    return this.#actWaiting(true);
  }

  /** Some of the guest's time has passed. */
  timePassed(nowNs: number): void {
    if (this.#whenIdle.length === 0) this.#firstPassedAtNs = nowNs;
    else if (nowNs - this.#firstPassedAtNs >= LONGEST_WAIT_NS) this.#actWaiting(false);
  }

  #actWaiting(isIdle: boolean): boolean {
    if (this.#whenIdle.length === 0) return false;
    for (const action of this.#whenIdle.splice(0)) action(isIdle);
    return true;
  }

  /** Resolves when every device has got what it waits for. */
  async settled(): Promise<void> {
    this.#actWaiting(false);
    while (this.#operations.length > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  start<T>(operation: Promise<T>, done: (result: T) => void, failed: (error: unknown) => void): void {
    const entry: Operation = { deliver: undefined };
    this.#operations.push(entry);
    this.#unsettled++;
    const generation = this.#generation;
    const settle = (deliver: () => void) => {
      if (generation !== this.#generation) return;
      entry.deliver = deliver;
      this.#unsettled--;
      this.#deliver(entry);
    };
    operation.then(
      (result) => settle(() => done(result)),
      (error: unknown) => settle(() => failed(error)),
    );
    this.#onStart();
  }

  startInMemory(
    begin: (done: () => void, failed: (error: unknown) => void) => boolean,
    done: () => void,
    failed: (error: unknown) => void,
  ): boolean {
    invariant(this.mayShareMemory, "memory may change while the guest runs");
    const entry: Operation = { deliver: undefined };
    const generation = this.#generation;
    const settle = (deliver: () => void) => {
      this.#inMemory--;
      if (generation !== this.#generation) return;
      entry.deliver = deliver;
      this.#unsettled--;
      this.#deliver(entry);
    };
    const isBegun = begin(
      () => settle(done),
      (error) => settle(() => failed(error)),
    );
    if (!isBegun) return false;
    this.#inMemory++;
    this.#unsettled++;
    this.#operations.push(entry);
    this.#onStart();
    return true;
  }

  /** The devices that wait are gone: their outcomes go nowhere. */
  forget(): void {
    this.#generation++;
    this.#operations = [];
    this.#unsettled = 0;
    this.#whenIdle.length = 0;
    this.#tellSettled();
  }

  #tellSettled(): void {
    if (this.#operations.length === 0) for (const tell of this.#waiting.splice(0)) tell();
  }

  #deliver(settled: Operation): void {
    if (this.#deterministic) {
      if (this.#unsettled > 0) return;
      const all = this.#operations;
      this.#operations = [];
      for (const operation of all) operation.deliver?.();
    } else {
      this.#operations.splice(this.#operations.indexOf(settled), 1);
      settled.deliver?.();
    }
    this.#onDelivered();
    this.#tellSettled();
  }
}
