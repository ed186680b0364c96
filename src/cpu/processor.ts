import type { AccessBytes } from "../bus/port-bus.ts";
import type { SavedCode } from "./saved-code.ts";

/** What a processor needs from the machine around it. */
export interface ProcessorSurroundings {
  readPort(port: number, bytes: AccessBytes): number;
  writePort(port: number, bytes: AccessBytes, value: number): void;
  /** Reads a physical address outside of RAM, `0 .. 2**32 - 1`. Unclaimed addresses read as all ones. */
  readDevice(address: number, bytes: AccessBytes): number;
  writeDevice(address: number, bytes: AccessBytes, value: number): void;
  /** The local APIC's (or, through it, the PIC's) answer to an interrupt acknowledge cycle: a vector, or -1 for none after all. */
  acknowledgeInterrupt(): number;
  /** A performance counter has overflowed that is to interrupt then: an event of the local APIC. */
  raisePerformanceInterrupt(): void;
  /** MSRs that live in the local APIC: APIC_BASE, TSC_DEADLINE, 0x800-0x8ff. `undefined`: no such MSR, or refused; the guest gets #GP. */
  readMsr(index: number): bigint | undefined;
  /** Returns false where the guest must get #GP. */
  writeMsr(index: number, value: bigint): boolean;
  /** Task priority, CR8: 0..15. */
  readTaskPriority(): number;
  writeTaskPriority(priority: number): void;
  /** Time-stamp counter before TSC_ADJUST: a whole number below 2^53. A number, since guests ask often, and V8 makes a bigint slowly. */
  timeStampCounter(): number;
  /** 64 random bits, for RDRAND; from a seeded generator in deterministic mode. */
  random(): bigint;
}

/** Why `Processor.run` returned. */
export type RunOutcome =
  /** The budget is used up, or an interrupt or `stop` cut it short. */
  | "budget"
  /** HLT: nothing to do until an interrupt. */
  | "halt"
  /** Triple fault. */
  | "shutdown";

/** One virtual processor, as the machine drives it. */
export interface Processor {
  /**
   * Executes up to about `maxInstructions` (exactly: up to the first jump that
   * is taken, or the end of the page, once they are used up), delivering
   * interrupts that are pending and allowed.
   */
  run(maxInstructions: number): RunOutcome;
  /** Instructions executed since reset; a whole number. */
  readonly instructions: number;
  /** Exact count including the run under way; callable from inside `ProcessorSurroundings`. */
  instructionsNow(): number;
  /** Tells whether an interrupt waits (INTR). Ends a run early when it becomes true while interrupts are enabled. */
  setInterruptPending(pending: boolean): void;
  /** Makes a non-maskable interrupt pending. */
  raiseNonMaskableInterrupt(): void;
  /** The A20 gate: while it masks, bit 20 of the processor's addresses is 0. On after RESET. */
  setA20(enabled: boolean): void;
  /** Makes `run` return soon; callable from inside `ProcessorSurroundings`. */
  stop(): void;
  /** A device has written `bytes` bytes of RAM from `address` on: code decoded from there is stale. */
  memoryWritten(address: number, bytes: number): void;
  /** Back to the state after RESET. */
  reset(): void;
  /**
   * All that the processor is between two runs, as bytes of layout/cpu-state.ts. Caches are emptied, so that this
   * processor and one made from the state go on alike.
   */
  saveState(): Uint8Array<ArrayBuffer>;
  /** Goes on from a saved state, over memory that is as it was then. Whether an interrupt waits must be told anew. */
  restoreState(saved: Uint8Array): void;
  /** Decoded code, to go with a saved state and memory; undefined where it cannot be saved. */
  saveCode(): SavedCode | undefined;
  /** Forgets decoded code: memory has changed behind the processor's back. */
  forgetCode(): void;
  /** Sets what firmware programs before it starts a system: memory types (MTRRs). For boots without firmware. */
  applyFirmwareSettings(): void;
  readonly registers: ProcessorRegisters;
}

/** Registers by the manual's names, for boot loaders, debuggers and tests. */
export interface ProcessorRegisters {
  get(name: string): bigint;
  set(name: string, value: bigint): void;
  /** Loads a segment register's selector and hidden part at once. `attributes` as in SEGMENT_ATTRIBUTES. */
  setSegment(
    name: "es" | "cs" | "ss" | "ds" | "fs" | "gs" | "ldtr" | "tr",
    segment: { selector: number; base: bigint; limit: number; attributes: number },
  ): void;
}
