import type { ProcessorSurroundings } from "../cpu/processor.ts";
import { EnginesDiffer } from "./engines-differ.ts";
import type { Side } from "./side.ts";

type CallName = keyof ProcessorSurroundings;
type Value = number | bigint | boolean | undefined;

/** What the machine did to the processor during a call: raised an interrupt, stopped it, wrote to memory. */
export type Effect = (side: Side) => void;

/** Calls whose answers do not depend on the time: for them the engines need not know how many instructions went before. */
const TIMELESS: ReadonlySet<CallName> = new Set(["random", "readTaskPriority"]);

/** One call of the leading processor to its surroundings. */
interface Call {
  readonly name: CallName;
  readonly parameters: readonly Value[];
  /** Instructions executed before it. */
  readonly at: number;
  answer: Value;
  readonly effects: Effect[];
}

/**
 * Everything that enters the leading processor from outside during a run, so
 * that it can be played to another, in the same order and at the same
 * instruction. A call that differs is a difference between the engines.
 */
export class SurroundingsLog {
  #calls: Call[] = [];
  #open: Call | undefined;
  #played = 0;
  /** The recorded run is made again by the leader: it must not reach the machine. */
  #leaderPlays = false;

  /** Before a run that is recorded. */
  clear(): void {
    this.#calls = [];
    this.#played = 0;
  }

  /** Before the recorded run is played again. */
  rewind(): void {
    this.#played = 0;
  }

  /** Calls played since the last rewinding. */
  get played(): number {
    return this.#played;
  }

  get recorded(): number {
    return this.#calls.length;
  }

  /** The first call that was not played, as text. */
  get nextText(): string {
    return callText(this.#calls[this.#played]);
  }

  /** The leader makes the recorded run again. */
  replayingLeader<T>(run: () => T): T {
    this.#leaderPlays = true;
    try {
      return run();
    } finally {
      this.#leaderPlays = false;
    }
  }

  /** Notes what has just been done to the leading processor. It must be inside of a call. */
  note(effect: Effect): void {
    this.#open?.effects.push(effect);
  }

  /** The leader's surroundings: they pass every call on and record it. */
  recorder(to: ProcessorSurroundings, leader: () => Side): ProcessorSurroundings {
    return forward((name, parameters) => {
      if (this.#leaderPlays) return this.#play(leader(), name, parameters);
      const at = leader().processor.instructionsNow();
      const call: Call = { name, parameters, at, answer: undefined, effects: [] };
      this.#calls.push(call);
      this.#open = call;
      try {
        const ask = to[name] as (...parameters: Value[]) => Value;
        call.answer = ask.call(to, ...parameters);
      } finally {
        this.#open = undefined;
      }
      return call.answer;
    });
  }

  /**
   * The follower's surroundings: they answer as was recorded.
   *
   * They throw an `EnginesDiffer` for a call that the leader did not make, or not there.
   */
  player(follower: () => Side): ProcessorSurroundings {
    return forward((name, parameters) => this.#play(follower(), name, parameters));
  }

  #play(side: Side, name: CallName, parameters: readonly Value[]): Value {
    const call = this.#calls[this.#played];
    const at = side.processor.instructionsNow();
    const same = call !== undefined && call.name === name && (call.at === at || TIMELESS.has(name));
    if (!same || call.parameters.some((value, i) => value !== parameters[i])) {
      throw new EnginesDiffer(`${callText(call)} against ${callText({ name, parameters, at })}`);
    }
    this.#played++;
    for (const effect of call.effects) effect(side);
    return call.answer;
  }
}

function callText(call: Pick<Call, "name" | "parameters" | "at"> | undefined): string {
  if (call === undefined) return "no call";
  const parameters = call.parameters.map((value) =>
    typeof value === "number" || typeof value === "bigint" ? `0x${value.toString(16)}` : String(value),
  );
  return `${call.name}(${parameters.join(", ")}) at instruction ${call.at}`;
}

/** Surroundings of which every call goes through one function. */
function forward(call: (name: CallName, parameters: readonly Value[]) => Value): ProcessorSurroundings {
  return {
    readPort: (...parameters) => call("readPort", parameters) as number,
    writePort: (...parameters) => void call("writePort", parameters),
    readDevice: (...parameters) => call("readDevice", parameters) as number,
    writeDevice: (...parameters) => void call("writeDevice", parameters),
    acknowledgeInterrupt: () => call("acknowledgeInterrupt", []) as number,
    raisePerformanceInterrupt: () => void call("raisePerformanceInterrupt", []),
    readMsr: (...parameters) => call("readMsr", parameters) as bigint | undefined,
    writeMsr: (...parameters) => call("writeMsr", parameters) as boolean,
    readTaskPriority: () => call("readTaskPriority", []) as number,
    writeTaskPriority: (...parameters) => void call("writeTaskPriority", parameters),
    timeStampCounter: () => call("timeStampCounter", []) as number,
    random: () => call("random", []) as bigint,
  };
}
