import type { Processor, ProcessorRegisters, RunOutcome } from "../cpu/processor.ts";
import { differenceReport } from "./difference-report.ts";
import { EnginesDiffer } from "./engines-differ.ts";
import { Lockstep } from "./lockstep.ts";
import { narrow } from "./narrow.ts";
import type { Side } from "./side.ts";
import type { Effect, SurroundingsLog } from "./surroundings-log.ts";

/** All of RAM is compared after so many runs; between, the pages that were written. */
const RUNS_BETWEEN_FULL_COMPARISONS = 4096;

/**
 * Two processors as one. The first leads: it sees the machine. The second
 * follows, each run of the first with the same answers from outside. After
 * every run they must agree on state, RAM and instructions executed.
 *
 * What `run` and `finish` throw is an `EnginesDiffer`.
 */
export class LockstepProcessor implements Processor {
  readonly registers: ProcessorRegisters;
  readonly comparesMemory = true;
  readonly #leader: Side;
  readonly #follower: Side;
  readonly #log: SurroundingsLog;
  readonly #lockstep: Lockstep;
  #leaderRuns = false;
  /** The machine has written to RAM itself: at the start, and after a reset. */
  #memoryIsNew = true;
  #runs = 0;

  /** @param log What the leader's surroundings record and the follower's play. */
  constructor(sides: readonly [leader: Side, follower: Side], log: SurroundingsLog, ramBytes: number) {
    [this.#leader, this.#follower] = sides;
    this.#log = log;
    this.#lockstep = new Lockstep(sides, log, ramBytes);
    this.registers = {
      get: (name) => this.#leader.processor.registers.get(name),
      set: (name, value) => this.#both(({ processor }) => processor.registers.set(name, value)),
      setSegment: (name, segment) =>
        this.#both(({ processor }) => processor.registers.setSegment(name, segment)),
    };
  }

  /** Runs compared so far. */
  get comparedRuns(): number {
    return this.#runs;
  }

  get instructions(): number {
    return this.#leader.processor.instructions;
  }

  instructionsNow(): number {
    return this.#leader.processor.instructionsNow();
  }

  run(maxInstructions: number): RunOutcome {
    if (this.#memoryIsNew) this.#lockstep.memory.copyAll();
    this.#memoryIsNew = false;
    this.#log.clear();
    this.#lockstep.remember();
    const outcome = this.#lead(maxInstructions);
    const difference = this.#lockstep.follow(maxInstructions, outcome, this.#log.recorded);
    if (difference !== undefined) {
      const narrowed = narrow(this.#lockstep, maxInstructions);
      throw new EnginesDiffer(difference.summary, differenceReport(this.#lockstep, difference, narrowed));
    }
    if (++this.#runs % RUNS_BETWEEN_FULL_COMPARISONS === 0) this.finish();
    this.#lockstep.memory.agree();
    return outcome;
  }

  /** Compares all of RAM. To be called at the end of a machine's life, too. */
  finish(): void {
    const difference = this.#lockstep.compareEverything();
    if (difference !== undefined)
      throw new EnginesDiffer(difference.summary, differenceReport(this.#lockstep, difference, undefined));
  }

  setInterruptPending(pending: boolean): void {
    this.#apply(({ processor }) => processor.setInterruptPending(pending));
  }

  raiseNonMaskableInterrupt(): void {
    this.#apply(({ processor }) => processor.raiseNonMaskableInterrupt());
  }

  setA20(enabled: boolean): void {
    this.#apply(({ processor }) => processor.setA20(enabled));
  }

  stop(): void {
    this.#apply(({ processor }) => processor.stop());
  }

  /** A device has written `bytes` bytes of the leader's RAM from `address` on. */
  memoryWritten(address: number, bytes: number): void {
    const written = this.#lockstep.memory.copyOf(address, bytes);
    this.#apply((side) => this.#lockstep.memory.write(side, address, written));
  }

  reset(): void {
    this.#both(({ processor }) => processor.reset());
    this.#memoryIsNew = true;
  }

  saveState(): Uint8Array<ArrayBuffer> {
    const saved = this.#leader.processor.saveState();
    this.#follower.processor.saveState();
    return saved;
  }

  restoreState(saved: Uint8Array): void {
    this.#both(({ processor }) => processor.restoreState(saved));
    this.#memoryIsNew = true;
  }

  /** Each side decodes for itself. */
  saveCode(): undefined {}

  forgetCode(): void {
    this.#both(({ processor }) => processor.forgetCode());
    this.#memoryIsNew = true;
  }

  applyFirmwareSettings(): void {
    this.#both(({ processor }) => processor.applyFirmwareSettings());
  }

  #lead(maxInstructions: number): RunOutcome {
    this.#leaderRuns = true;
    try {
      return this.#leader.processor.run(maxInstructions);
    } finally {
      this.#leaderRuns = false;
    }
  }

  /** What happens during the leader's run happens to the follower at the same place of its own. */
  #apply(effect: Effect): void {
    effect(this.#leader);
    if (this.#leaderRuns) this.#log.note(effect);
    else effect(this.#follower);
  }

  #both(action: (side: Side) => void): void {
    action(this.#leader);
    action(this.#follower);
  }
}
