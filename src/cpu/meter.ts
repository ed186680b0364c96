/** One kind of work beside executing the guest's instructions: how often, and the time of its own. */
export interface MeteredKind {
  count: number;
  /** Without the time of other kinds inside. */
  ns: number;
}

const CALIBRATION_ROUNDS = 2000;

/**
 * Time by kind of work. Kinds nest; each nanosecond belongs to the innermost.
 * Reading the clock costs time as well: what one reading takes is measured
 * and taken off.
 */
export class Meter {
  readonly #nowNs: () => number;
  readonly kinds = new Map<string, MeteredKind>();
  readonly #stack: MeteredKind[] = [];
  #since = 0;
  /** What the clock adds to each piece of work that is timed. */
  readonly clockNs: number;

  /** @param nowNs A clock that never falls, in nanoseconds. */
  constructor(nowNs: () => number) {
    this.#nowNs = nowNs;
    this.clockNs = this.#calibrate();
  }

  /** Work of this kind begins; what was under way is interrupted. */
  enter(kind: MeteredKind): void {
    const now = this.#nowNs();
    const outer = this.#stack.at(-1);
    if (outer !== undefined) outer.ns += now - this.#since;
    this.#stack.push(kind);
    kind.count++;
    this.#since = now;
  }

  /** The work begun last ends. */
  leave(): void {
    const now = this.#nowNs();
    const kind = this.#stack.pop();
    if (kind !== undefined) kind.ns += now - this.#since;
    this.#since = now;
  }

  /** The counter of a kind, made when it is asked for first. */
  kind(name: string): MeteredKind {
    let kind = this.kinds.get(name);
    if (kind === undefined) {
      kind = { count: 0, ns: 0 };
      this.kinds.set(name, kind);
    }
    return kind;
  }

  /** `work`, timed. */
  timed<P extends unknown[], R>(name: string, work: (...parameters: P) => R): (...parameters: P) => R {
    const kind = this.kind(name);
    return (...parameters) => {
      this.enter(kind);
      try {
        return work(...parameters);
      } finally {
        this.leave();
      }
    };
  }

  #calibrate(): number {
    const kind: MeteredKind = { count: 0, ns: 0 };
    for (let i = 0; i < 2 * CALIBRATION_ROUNDS; i++) {
      // The first half warms up.
      if (i === CALIBRATION_ROUNDS) kind.ns = 0;
      this.enter(kind);
      this.leave();
    }
    return kind.ns / CALIBRATION_ROUNDS;
  }
}
