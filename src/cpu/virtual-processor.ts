import * as cpu from "../layout/cpu-state.ts";
import { invariant } from "../layout/invariant.ts";
import { CPU_STATE_BYTES } from "../layout/memory-map.ts";
import type { CoreExports } from "./core-exports.ts";
import type { Engine, EngineExit } from "./engine.ts";
import type { Processor, ProcessorRegisters, ProcessorSurroundings, RunOutcome } from "./processor.ts";
import { RegisterFile } from "./register-file.ts";
import type { SavedCode } from "./saved-code.ts";
import type { StateView } from "./state-view.ts";

const RFLAGS_TF = 1 << 8;
const RFLAGS_IF = 1 << 9;
const RFLAGS_RF = 1 << 16;
const DR6_BS = 1 << 14;
const VECTOR_DB = 1;
const A20 = 1n << 20n;
/** Fields that belong to the run under way, to caches or to the machine around: offset and size. */
const NOT_SAVED: readonly (readonly [field: number, bytes: number])[] = [
  [cpu.EFFECTIVE_ADDRESS, 8],
  [cpu.RIP_BASE, 8],
  [cpu.TLB_BASE, 4],
  [cpu.MODE_KEY, 8],
  [cpu.BUDGET, 4],
  [cpu.EXIT_REASON, 4],
  [cpu.EXIT_RECORD, 4],
  [cpu.INTERRUPT_PENDING, 4],
  [cpu.BUDGET_START, 4],
  [cpu.CURRENT_RECORD, 4],
  [cpu.STALE_CALLERS, 4],
  [cpu.EXPECTED_RETURN, 8],
  [cpu.RAM_BYTES, 4],
  [cpu.DETERMINISTIC, 4],
];
/** i32 fields that a processor keeps when it takes over a saved state: they are its machine's. */
const KEPT = [cpu.RAM_BYTES, cpu.DETERMINISTIC] as const;
/** INTERRUPT_SHADOW after a load of SS. */
const SHADOW_OF_STACK_SEGMENT = 2;

/** One processor: delivers faults and interrupts between the runs of its engine. */
export class VirtualProcessor implements Processor {
  readonly registers: ProcessorRegisters;
  readonly #state: StateView;
  readonly #core: CoreExports;
  readonly #engine: Engine;
  readonly #surroundings: ProcessorSurroundings;
  #stopAsked = false;
  #running = false;
  /** Called before each fault is delivered, for --trace. */
  onFault: ((vector: number, errorCode: number) => void) | undefined;
  onInterrupt: ((vector: number) => void) | undefined;

  constructor(parts: {
    state: StateView;
    core: CoreExports;
    engine: Engine;
    surroundings: ProcessorSurroundings;
  }) {
    this.#state = parts.state;
    this.#core = parts.core;
    this.#engine = parts.engine;
    this.#surroundings = parts.surroundings;
    this.registers = new RegisterFile(parts.state, parts.core);
  }

  get instructions(): number {
    return Number(this.#state.get64(cpu.INSTRUCTIONS));
  }

  /** Linear address of the page fault that is about to be delivered. */
  get faultAddress(): bigint {
    return this.#state.get64(cpu.FAULT_ADDRESS);
  }

  instructionsNow(): number {
    return this.instructions + this.#executedInRun();
  }

  run(maxInstructions: number): RunOutcome {
    const state = this.#state;
    const budget = Math.min(maxInstructions, this.#core.instructionsToPerformanceInterrupt());
    state.set32(cpu.BUDGET, budget);
    state.set32(cpu.BUDGET_START, budget);
    this.#stopAsked = false;
    this.#running = true;
    try {
      return this.#runToOutcome();
    } finally {
      this.#running = false;
      state.set64(cpu.INSTRUCTIONS, state.get64(cpu.INSTRUCTIONS) + BigInt(this.#executedInRun()));
      state.set32(cpu.BUDGET, 0);
      state.set32(cpu.BUDGET_START, 0);
      if (this.#core.takePerformanceInterrupt() !== 0) this.#surroundings.raisePerformanceInterrupt();
    }
  }

  #runToOutcome(): RunOutcome {
    const state = this.#state;
    let first = true;
    for (;;) {
      this.#endShadow();
      if (!this.#deliverEvents()) return "shutdown";
      if (state.get32(cpu.HALTED) !== 0) return "halt";
      if (!first && (state.get32(cpu.BUDGET) <= 0 || this.#stopAsked)) return "budget";
      first = false;
      const exit = this.#execute();
      if (exit === cpu.EXIT_SHUTDOWN) return "shutdown";
      if (exit === cpu.EXIT_FAULT && !this.#deliverFault()) return "shutdown";
    }
  }

  /** The shadow covers one instruction: anywhere but before that it is over. */
  #endShadow(): void {
    const state = this.#state;
    if (state.get32(cpu.INTERRUPT_SHADOW) === 0) return;
    if (state.get64(cpu.RIP) !== state.get64(cpu.SHADOW_RIP)) state.set32(cpu.INTERRUPT_SHADOW, 0);
  }

  /** Runs freely where that is allowed, else executes one instruction. */
  #execute(): EngineExit {
    const state = this.#state;
    const flags = state.get32(cpu.RFLAGS_SYSTEM);
    const alone = (flags & (RFLAGS_TF | RFLAGS_RF)) !== 0 || state.get32(cpu.INTERRUPT_SHADOW) !== 0;
    if (alone) return this.#step();
    const exit = this.#engine.execute();
    if (this.#takeDueTrap() && exit !== cpu.EXIT_FAULT) return this.#trap(DR6_BS);
    const watched = exit === cpu.EXIT_FAULT && state.get32(cpu.FAULT_VECTOR) === cpu.FAULT_WATCHED;
    if (watched) state.set32(cpu.FAULT_VECTOR, -1);
    return watched || exit === cpu.EXIT_STEP ? this.#step() : exit;
  }

  /**
   * One instruction, and the trap behind it: of TF when it was set before, and of breakpoints. Those that match a
   * load of SS wait for the end of the next instruction.
   */
  #step(): EngineExit {
    const state = this.#state;
    const tracing = (state.get32(cpu.RFLAGS_SYSTEM) & RFLAGS_TF) !== 0;
    const afterStackLoad = state.get32(cpu.INTERRUPT_SHADOW) === SHADOW_OF_STACK_SEGMENT;
    this.#core.takeStepTrapInhibition();
    if (this.#core.beginStep(afterStackLoad ? 1 : 0) !== cpu.STATUS_OK) {
      this.#core.endStep(0);
      return cpu.EXIT_FAULT;
    }
    state.set32(cpu.INTERRUPT_SHADOW, 0);
    const exit = this.#engine.step();
    const completed = exit === cpu.EXIT_BUDGET || exit === cpu.EXIT_HALT;
    const earned = this.#core.endStep(completed ? 1 : 0);
    if (earned < 0) return cpu.EXIT_FAULT;
    let conditions = earned | state.get32(cpu.HELD_CONDITIONS);
    state.set32(cpu.HELD_CONDITIONS, 0);
    if (!completed) return exit;
    const inhibited = this.#core.takeStepTrapInhibition() !== 0;
    const due = this.#takeDueTrap();
    if (state.get32(cpu.INTERRUPT_SHADOW) === SHADOW_OF_STACK_SEGMENT) {
      state.set32(cpu.HELD_CONDITIONS, conditions);
      return exit;
    }
    if ((tracing && !inhibited) || due) conditions |= DR6_BS;
    return conditions === 0 ? exit : this.#trap(conditions);
  }

  /** Raises #DB behind an instruction. */
  #trap(conditions: number): EngineExit {
    const state = this.#state;
    // A trap ends HLT.
    state.set32(cpu.HALTED, 0);
    state.set64(cpu.DR6, state.get64(cpu.DR6) | BigInt(conditions));
    state.set32(cpu.FAULT_VECTOR, VECTOR_DB);
    state.set32(cpu.FAULT_ERROR_CODE, -1);
    return cpu.EXIT_FAULT;
  }

  /** Whether the last instruction, a SYSRET, has set TF. */
  #takeDueTrap(): boolean {
    const due = this.#state.get32(cpu.STEP_TRAP_DUE) !== 0;
    if (due) this.#state.set32(cpu.STEP_TRAP_DUE, 0);
    return due;
  }

  /** Delivers the waiting fault. False after a triple fault. */
  #deliverFault(): boolean {
    const state = this.#state;
    this.onFault?.(state.get32(cpu.FAULT_VECTOR), state.get32(cpu.FAULT_ERROR_CODE));
    // A delivery counts as an instruction, so that a guest that only faults uses its budget up.
    state.set32(cpu.BUDGET, state.get32(cpu.BUDGET) - 1);
    return this.#core.deliverFault() !== cpu.STATUS_EXIT;
  }

  /** Delivers an NMI or an external interrupt that waits and is allowed. False after a triple fault. */
  #deliverEvents(): boolean {
    const state = this.#state;
    if (state.get32(cpu.NMI_PENDING) !== 0 && this.#core.nmiBlocked() === 0) {
      state.set32(cpu.NMI_PENDING, 0);
      state.set32(cpu.HALTED, 0);
      return this.#core.deliverNmi() !== cpu.STATUS_EXIT;
    }
    if (state.get32(cpu.INTERRUPT_PENDING) === 0) return true;
    if ((state.get32(cpu.RFLAGS_SYSTEM) & RFLAGS_IF) === 0) return true;
    // HLT right behind STI has ended the shadow.
    if (state.get32(cpu.HALTED) !== 0) state.set32(cpu.INTERRUPT_SHADOW, 0);
    if (state.get32(cpu.INTERRUPT_SHADOW) !== 0) return true;
    const vector = this.#surroundings.acknowledgeInterrupt();
    if (vector < 0) return true;
    state.set32(cpu.HALTED, 0);
    this.onInterrupt?.(vector);
    return this.#core.deliverInterrupt(vector) !== cpu.STATUS_EXIT;
  }

  setInterruptPending(pending: boolean): void {
    this.#state.set32(cpu.INTERRUPT_PENDING, pending ? 1 : 0);
    if (pending && (this.#state.get32(cpu.RFLAGS_SYSTEM) & RFLAGS_IF) !== 0) this.#endRunSoon();
  }

  raiseNonMaskableInterrupt(): void {
    this.#state.set32(cpu.NMI_PENDING, 1);
    this.#endRunSoon();
  }

  setA20(enabled: boolean): void {
    this.#state.set64(cpu.MASKED_ADDRESS_LINES, enabled ? 0n : A20);
    this.#core.flushTlb(0);
    this.#endRunSoon();
  }

  stop(): void {
    this.#stopAsked = true;
    this.#endRunSoon();
  }

  memoryWritten(address: number, bytes: number): void {
    this.#core.noteDeviceWrite(address, bytes);
  }

  reset(): void {
    this.#state.set32(cpu.NMI_PENDING, 0);
    this.#state.set32(cpu.HELD_CONDITIONS, 0);
    this.#state.set64(cpu.INSTRUCTIONS, 0n);
    this.#state.set64(cpu.MASKED_ADDRESS_LINES, 0n);
    this.#core.reset();
    this.#core.resetMsrs();
    this.#engine.forgetCode();
  }

  saveState(): Uint8Array<ArrayBuffer> {
    this.#core.flushTlb(0);
    // Where a run ends depends on how code was cut into blocks, so deterministic runs decode anew on both sides.
    if (this.#state.get32(cpu.DETERMINISTIC) !== 0) this.#engine.forgetCode();
    const saved = Uint8Array.from(this.#state.bytes);
    for (const [field, bytes] of NOT_SAVED) saved.fill(0, field, field + bytes);
    return saved;
  }

  restoreState(saved: Uint8Array): void {
    const state = this.#state;
    invariant(saved.length === CPU_STATE_BYTES, "a saved processor state has the size of the state page");
    const kept = KEPT.map((field) => [field, state.get32(field)] as const);
    state.bytes.set(saved);
    for (const [field, value] of kept) state.set32(field, value);
    state.set64(cpu.ZERO, 0n);
    this.#core.updateMode();
    this.#core.initialiseTlb();
    this.#engine.restoreCode();
  }

  saveCode(): SavedCode | undefined {
    return this.#state.get32(cpu.DETERMINISTIC) !== 0 ? undefined : this.#engine.saveCode();
  }

  forgetCode(): void {
    this.#engine.forgetCode();
  }

  applyFirmwareSettings(): void {
    this.#core.setFirmwareMemoryTypes();
  }

  #executedInRun(): number {
    const record = this.#state.get32(cpu.CURRENT_RECORD);
    const inBlock = record === 0 ? 0 : this.#state.recordIndex(record);
    return this.#state.get32(cpu.BUDGET_START) - this.#state.get32(cpu.BUDGET) + inBlock;
  }

  /** Uses the budget up without counting it as executed. */
  #endRunSoon(): void {
    if (!this.#running) return;
    const left = this.#state.get32(cpu.BUDGET);
    this.#state.set32(cpu.BUDGET_START, this.#state.get32(cpu.BUDGET_START) - left);
    this.#state.set32(cpu.BUDGET, 0);
  }
}
