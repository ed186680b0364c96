import type { BootPlan } from "../boot/boot-plan.ts";
import type { RestoredCode } from "../cpu/saved-code.ts";
import type { AbsentPages } from "../memory/absent-pages.ts";
import type { BoardState } from "./board-state.ts";

/** Everything of a machine that a snapshot must carry besides guest memory and how the machine is configured. */
export interface MachineState {
  /** The machine's clock, in nanoseconds since power-on. */
  nowNs: number;
  /** Of the seeded random numbers; null outside of deterministic mode. */
  random: bigint | null;
  resets: number;
  /** A reset is due before the next instruction. */
  resetAsked: boolean;
  /** Instructions before the last reset. */
  earlierInstructions: number;
  /** Bytes for the serial ports that the guest has not taken yet. */
  serialInput: Uint8Array;
  secondSerialInput: Uint8Array;
  /** The processor, laid out as layout/cpu-state.ts says. */
  processor: Uint8Array;
  board: BoardState;
}

/** A machine that goes on where another was. */
export interface SavedMachine {
  /** Becomes the new machine's own: it must be a copy that nobody else uses. */
  readonly state: MachineState;
  /** The one memory, with room for the guest's RAM, which must be in it when the machine runs. */
  readonly memory: WebAssembly.Memory;
  /** Pages of it that are put there when they are needed. */
  readonly absent: AbsentPages;
  /** What a reset starts. Asked for then, since few guests reset; undefined when it is not to be had any more. */
  readonly bootPlan: () => BootPlan | undefined;
  /** What the processor had decoded. */
  readonly code: RestoredCode | undefined;
}
