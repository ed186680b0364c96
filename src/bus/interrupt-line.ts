/** One input of an interrupt controller, level-triggered as seen from the device. */
export interface InterruptLine {
  /** Drives the line. Setting the level it already has changes nothing. */
  set(asserted: boolean): void;
}

/** A line that several sources pull: it is asserted while any of them asserts it. */
export class SharedInterruptLine {
  readonly #output: InterruptLine;
  #asserting = 0;

  constructor(output: InterruptLine) {
    this.#output = output;
  }

  /** A new source's end of the line, not asserted. */
  source(): InterruptLine {
    let level = false;
    return {
      set: (asserted) => {
        if (asserted === level) return;
        level = asserted;
        this.#asserting += asserted ? 1 : -1;
        this.#output.set(this.#asserting > 0);
      },
    };
  }
}
