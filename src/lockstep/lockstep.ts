import type { RunOutcome } from "../cpu/processor.ts";
import { CORE_DATA, CPU_STATE } from "../layout/memory-map.ts";
import { EnginesDiffer } from "./engines-differ.ts";
import { MemoryComparison, type PageDifference } from "./memory-comparison.ts";
import type { Side } from "./side.ts";
import { type FieldDifference, StateComparison } from "./state-difference.ts";
import type { SurroundingsLog } from "./surroundings-log.ts";

/** Processor state, SCRATCH and the static data of the core, which are less than 128 KiB. */
const REMEMBERED_BYTES = CORE_DATA + 0x20000 - CPU_STATE;

/** What two processors do not agree on. */
export interface Difference {
  /** One line. */
  readonly summary: string;
  readonly fields: readonly FieldDifference[];
  readonly pages: readonly PageDifference[];
}

/** Two processors that agree, the run that both make from there, and the way back to where they agreed. */
export class Lockstep {
  readonly sides: readonly [leader: Side, follower: Side];
  readonly log: SurroundingsLog;
  readonly memory: MemoryComparison;
  readonly #state: StateComparison;
  /** Processor state and static data of the core, before the run. */
  readonly #remembered: readonly [Uint8Array, Uint8Array];

  constructor(sides: readonly [leader: Side, follower: Side], log: SurroundingsLog, ramBytes: number) {
    this.sides = sides;
    this.log = log;
    this.memory = new MemoryComparison(sides, ramBytes);
    this.#state = new StateComparison(sides);
    this.#remembered = [new Uint8Array(REMEMBERED_BYTES), new Uint8Array(REMEMBERED_BYTES)];
  }

  /** Notes the state from which the next run starts. */
  remember(): void {
    for (const [i, side] of this.sides.entries()) this.#remembered[i]!.set(ownState(side));
  }

  /** Both as they were when the last run started. What lies in the core's own variables stays as it is. */
  setBack(): void {
    this.memory.setBack();
    for (const [i, side] of this.sides.entries()) {
      ownState(side).set(this.#remembered[i]!);
      side.core.flushTlb(0);
      side.core.updateMode();
      side.engine.forgetCode();
    }
  }

  /** The follower makes the run that the leader has made, with that outcome and so many calls to the outside. */
  follow(maxInstructions: number, outcome: RunOutcome, calls: number): Difference | undefined {
    this.log.rewind();
    let followed: RunOutcome;
    try {
      followed = this.sides[1].processor.run(maxInstructions);
    } catch (error) {
      if (error instanceof EnginesDiffer) return this.#difference(error.what);
      throw error;
    }
    if (followed !== outcome) return this.#difference(`"${outcome}" against "${followed}" as the run's end`);
    if (this.log.played !== calls) return this.#difference(`${this.log.nextText} against none`);
    return this.compare();
  }

  /** Both make the recorded run again, with another budget. */
  repeat(maxInstructions: number): Difference | undefined {
    this.log.rewind();
    let outcome: RunOutcome;
    try {
      outcome = this.log.replayingLeader(() => this.sides[0].processor.run(maxInstructions));
    } catch (error) {
      if (error instanceof EnginesDiffer) return undefined; // the leader does not repeat itself
      throw error;
    }
    const calls = this.log.played;
    return this.follow(maxInstructions, outcome, calls);
  }

  compare(): Difference | undefined {
    if (!this.#state.isEqual()) return this.#difference(undefined);
    const pages = this.memory.differences();
    return pages.length === 0 ? undefined : this.#difference(undefined);
  }

  compareEverything(): Difference | undefined {
    const pages = this.memory.allDifferences();
    if (pages.length === 0) return this.compare();
    return { summary: summaryOf([], pages), fields: this.#state.differences(), pages };
  }

  #difference(what: string | undefined): Difference {
    const fields = this.#state.differences();
    const pages = this.memory.differences();
    return { summary: what ?? summaryOf(fields, pages), fields, pages };
  }
}

function summaryOf(fields: readonly FieldDifference[], pages: readonly PageDifference[]): string {
  const names = fields.map(({ name }) => name);
  const addresses = pages.map(({ page }) => `page 0x${page.toString(16)}`);
  const all = [...names, ...addresses];
  return all.length > 6 ? `${all.slice(0, 6).join(", ")} and ${all.length - 6} more` : all.join(", ");
}

function ownState({ memory }: Side): Uint8Array {
  return new Uint8Array(memory.buffer, CPU_STATE, REMEMBERED_BYTES);
}
