import { applyBootPlan, type BootPlan } from "../boot/boot-plan.ts";
import { planBoot } from "../boot/detect.ts";
import { firmwareMemoryMap } from "../boot/low-memory.ts";
import type { Processor, RunOutcome } from "../cpu/processor.ts";
import type { BlockDevice } from "../host/block-device.ts";
import type { PolledOutcomes } from "../host/polled-outcomes.ts";
import { invariant } from "../layout/invariant.ts";
import { GuestMemory } from "../memory/guest-memory.ts";
import { VirtioBlk } from "../virtio/blk/virtio-blk.ts";
import { Board, type BoardConnections } from "./board.ts";
import type { BoardState } from "./board-state.ts";
import { DeviceMemory } from "./device-memory.ts";
import type { MachineEnd } from "./machine-end.ts";
import type { MachineHost } from "./machine-host.ts";
import { createMachineMemory } from "./machine-memory.ts";
import type { MachineOptions } from "./machine-options.ts";
import type { MachineState } from "./machine-state.ts";
import { HostTime, InstructionTime } from "./machine-time.ts";
import { Pauses } from "./pauses.ts";
import { PendingOperations } from "./pending-operations.ts";
import { processorSurroundings } from "./processor-surroundings.ts";
import { hostRandom, randomBytes, SeededRandom } from "./random-source.ts";
import { RunBudget } from "./run-budget.ts";
import { SerialPorts } from "./serial-ports.ts";
import type { MachineStatistics } from "./statistics.ts";

/** "running": the slice is over. "idle": halted; nothing to do before the next deadline or input. */
export type SliceOutcome = "running" | "idle" | MachineEnd;

/** The event loop of the host gets a turn at least this often while the guest is busy. */
const SLICE_MS = 8;
/** While devices wait for the host, its event loop gets a turn at least this often. */
const SHORT_SLICE_MS = 1;
/** The host sleeps in whole milliseconds: shorter waits go through the event loop instead. */
const SHORTEST_SLEEP_NS = 300_000;
/** While the receiver of serial output is slow, the guest waits in steps of this. */
const CONGESTED_SLEEP_NS = 1_000_000;
const RANDOM_SEED = 0x52696e6766656e63n;

/**
 * A whole PC: one processor, its memory and the board around it.
 *
 * `run` drives it until it ends. A host with a loop of its own calls
 * `runSlice` instead, and sleeps up to `idleNs` after "idle".
 */
export class Machine {
  readonly memory: GuestMemory;
  readonly wasmMemory: WebAssembly.Memory;
  readonly processor: Processor;
  readonly #options: MachineOptions;
  readonly #host: MachineHost;
  /** Undefined in deterministic mode, too: outcomes come when all are there. */
  readonly #polled: PolledOutcomes | undefined;
  readonly #time: HostTime | InstructionTime;
  readonly #budget: RunBudget;
  readonly #serial: SerialPorts;
  readonly #seededRandom: SeededRandom | undefined;
  readonly #random: () => bigint;
  /** Undefined when a saved machine came without one: it cannot be started again. */
  readonly #bootPlan: () => BootPlan | undefined;
  readonly #operations: PendingOperations;
  readonly #deviceMemory: DeviceMemory;
  #board: Board;
  #inProcessor = false;
  #resetAsked = false;
  #end: MachineEnd | undefined;
  /** Restored devices have not looked for requests yet: memory was not there. */
  #devicesWait = false;
  #resets = 0;
  /** Instructions before the last reset. */
  #earlierInstructions = 0;
  readonly #pauses: Pauses;

  /** @throws {VmError} `memory-size-unsupported`, `kernel-*`, `initrd-too-large`, `command-line-too-long`. */
  constructor(options: MachineOptions) {
    const { host, ramBytes, deterministic } = options;
    this.#options = options;
    this.#host = host;
    this.#polled = deterministic ? undefined : host.polled;
    this.#pauses = new Pauses(() => host.wake());
    const saved = "state" in options.boot ? options.boot : undefined;
    this.wasmMemory = saved?.memory ?? createMachineMemory(ramBytes, options.sharedMemory ?? true);
    this.memory = new GuestMemory(this.wasmMemory.buffer, ramBytes, saved?.absent);
    this.#time = deterministic
      ? new InstructionTime(() => this.processor.instructionsNow())
      : new HostTime(host, saved?.state.nowNs);
    this.#seededRandom = deterministic ? new SeededRandom(saved?.state.random ?? RANDOM_SEED) : undefined;
    const seeded = this.#seededRandom;
    this.#random = seeded === undefined ? hostRandom() : () => seeded.next();
    this.#budget = new RunBudget(deterministic);
    this.#operations = new PendingOperations(
      deterministic,
      {
        started: () => {
          if (deterministic && this.#inProcessor) this.processor.stop();
        },
        delivered: () => host.wake(),
      },
      () => this.processor.comparesMemory === true,
    );
    this.#deviceMemory = new DeviceMemory(this.memory, (address, bytes) =>
      this.processor.memoryWritten(address, bytes),
    );
    this.#serial = new SerialPorts(host);
    const surroundings = processorSurroundings({
      board: () => this.#board,
      memory: this.memory,
      nowNs: () => this.#time.nowNs(),
      random: this.#random,
    });
    this.processor = options.createProcessor(surroundings, this.wasmMemory);
    if (saved !== undefined) this.#resume(saved.state);
    this.#board = this.#createBoard(saved?.state.board);
    if ("state" in options.boot) {
      this.#devicesWait = true;
      this.#bootPlan = options.boot.bootPlan;
      return;
    }
    const plan = planBoot(options.boot, {
      ramBytes,
      memoryMap: firmwareMemoryMap(ramBytes),
      acpiRsdpAddress: this.#board.acpiTables.rsdpAddress,
    });
    this.#bootPlan = () => plan;
    this.#boot(plan);
  }

  /** Why the machine has ended; undefined while it has not. */
  get end(): MachineEnd | undefined {
    return this.#end;
  }

  /** How long the machine can sleep after "idle"; Infinity when only input can wake it. */
  get idleNs(): number {
    if (this.#waitsForHost) return Infinity;
    const deadlineNs = this.#board.timers.nextDeadlineNs();
    return deadlineNs === undefined ? Infinity : Math.max(0, deadlineNs - this.#time.nowNs());
  }

  /**
   * The machine as plain data, apart from its memory. Not while the processor executes: between two slices, or
   * inside `whilePaused`.
   */
  get state(): MachineState {
    invariant(!this.#inProcessor, "a machine is saved between two runs of its processor");
    // First, since it brings the processor into the state that is saved.
    const processor = this.processor.saveState();
    return {
      nowNs: this.#time.nowNs(),
      random: this.#seededRandom?.state ?? null,
      resets: this.#resets,
      resetAsked: this.#resetAsked,
      earlierInstructions: this.#earlierInstructions,
      serialInput: this.#serial.first.waitingInput,
      secondSerialInput: this.#serial.second.waitingInput,
      processor,
      board: this.#board.state,
    };
  }

  /** What a reset starts; undefined when that is not known. */
  get bootPlan(): BootPlan | undefined {
    return this.#bootPlan();
  }

  get hasSecondSerial(): boolean {
    return this.#board.secondUart !== undefined;
  }

  /** The first device whose state no snapshot can hold, by name. */
  get unsavableDevice(): string | undefined {
    return this.#board.virtio.find(({ device }) => device.saveState === undefined)?.device.name;
  }

  /** Disks in the order of their slots, under the serial numbers that the guest sees. */
  get disks(): readonly { readonly serial: string; readonly disk: BlockDevice }[] {
    return this.#board.virtio.flatMap(({ device }) => (device instanceof VirtioBlk ? [device] : []));
  }

  /**
   * Does something while devices leave memory alone, too: what they wait for has come, and what comes for the guest
   * waits. For inside of `whilePaused`.
   */
  async whileDevicesStand<T>(action: () => Promise<T>): Promise<T> {
    await this.#operations.settled();
    const { virtio } = this.#board;
    for (const transport of virtio) transport.freeze();
    try {
      return await action();
    } finally {
      for (const transport of virtio) transport.thaw();
    }
  }

  get deterministic(): boolean {
    return this.#options.deterministic;
  }

  get debugExitPort(): number | undefined {
    return this.#options.debugExitPort;
  }

  /**
   * Does something while the guest and its clock stand still: between two slices of `run`, or at once where they do
   * already. Rejects with what `action` does.
   */
  whilePaused<T>(action: () => T | Promise<T>): Promise<T> {
    return this.#pauses.during(action);
  }

  /** Runs until the machine ends, giving the host's event loop a turn every few milliseconds. */
  async run(): Promise<MachineEnd> {
    await this.#pause();
    for (;;) {
      if (this.#pauses.areAsked) await this.#pause();
      const outcome = this.runSlice(SLICE_MS);
      if (typeof outcome === "object") {
        await this.#pause();
        this.#pauses.end();
        return outcome;
      }
      const idleNs = outcome === "idle" && !this.#pauses.areAsked ? this.idleNs : 0;
      if (idleNs >= SHORTEST_SLEEP_NS) await this.#host.sleep(idleNs);
      else await this.#host.yield();
      if (outcome === "idle" && this.#time instanceof HostTime) this.#time.catchUp();
      while (this.#host.serialCongested() && this.#end === undefined)
        await this.#host.sleep(CONGESTED_SLEEP_NS);
    }
  }

  /** Runs for about `maxMs` of the host's time. */
  runSlice(maxMs: number): SliceOutcome {
    if (this.#devicesWait) for (const transport of this.#board.virtio) transport.thaw();
    this.#devicesWait = false;
    const untilNs = this.#host.monotonicNowNs() + maxMs * 1e6;
    let outcome: SliceOutcome = "running";
    const soonNs = untilNs - (maxMs - Math.min(maxMs, SHORT_SLICE_MS)) * 1e6;
    do outcome = this.#step();
    while (
      outcome === "running" &&
      this.#host.monotonicNowNs() < (this.#waitsForEventLoop ? soonNs : untilNs)
    );
    this.#serial.flush();
    return outcome;
  }

  /** Gives bytes to the guest's first serial port. They wait here while the guest is slow to take them. */
  receiveSerial(bytes: Uint8Array): void {
    this.#serial.first.enqueue(bytes);
    this.#host.wake();
  }

  /** Gives bytes to the guest's second serial port, which takes them while the guest asserts RTS. */
  receiveSecondSerial(bytes: Uint8Array): void {
    this.#serial.second.enqueue(bytes);
    this.#host.wake();
  }

  pressPowerButton(): void {
    this.#board.pressPowerButton();
    this.#host.wake();
  }

  /** Ends the run soon, as if the plug were pulled. */
  stop(): void {
    this.#finish({ reason: "stopped" });
    this.#host.wake();
  }

  statistics(): MachineStatistics {
    return {
      instructions: this.#earlierInstructions + this.processor.instructions,
      guestTimeNs: this.#time.nowNs(),
      resets: this.#resets,
      ...this.#board.accessStatistics(),
    };
  }

  /** Runs due timers, hands over input, and lets the processor execute once. */
  #step(): SliceOutcome {
    if (this.#end !== undefined) return this.#end;
    if (this.#resetAsked) {
      // What is under way would change the memory of the machine that starts anew.
      if (this.#operations.useMemory) return "idle";
      this.#reset();
    }
    if (this.#end !== undefined) return this.#end;
    if (this.#waitsForHost) return "idle";
    this.#polled?.poll();
    const { timers } = this.#board;
    this.#operations.timePassed(this.#host.monotonicNowNs());
    timers.runDue();
    this.#serial.feed();
    const outcome = this.#execute();
    if (outcome === "shutdown") this.#askForReset("triple-fault");
    if (this.#end !== undefined) return this.#end;
    return outcome === "halt" && !this.#resetAsked ? this.#halted() : "running";
  }

  #execute(): RunOutcome {
    const startNs = this.#time.nowNs();
    const budget = this.#budget.next(startNs, this.#board.timers.nextDeadlineNs());
    this.#inProcessor = true;
    try {
      return this.processor.run(budget);
    } finally {
      this.#inProcessor = false;
      this.#budget.ran(budget, this.#time.nowNs() - startNs);
    }
  }

  /** Decides whether a halted processor has something to wait for that comes without sleeping. */
  #halted(): SliceOutcome {
    if (this.#waitsForHost) return "idle";
    if (this.#operations.guestIsIdle()) return "running";
    if (this.#serial.canFeed) return "running";
    const deadlineNs = this.#board.timers.nextDeadlineNs();
    const untilDeadlineNs = (deadlineNs ?? Infinity) - this.#time.nowNs();
    if (this.#polled?.awaitSoon(untilDeadlineNs) === true) return "running";
    if (deadlineNs === undefined) return "idle";
    if (this.#time instanceof InstructionTime) this.#time.skipTo(deadlineNs);
    return this.#time.nowNs() >= deadlineNs ? "running" : "idle";
  }

  /** In deterministic mode the guest's time stands still while its devices wait for the host. */
  get #waitsForHost(): boolean {
    return this.#options.deterministic && this.#operations.count > 0;
  }

  /** Some device waits for what only comes by the host's event loop. */
  get #waitsForEventLoop(): boolean {
    return this.#operations.count > (this.#polled?.underWay ?? 0);
  }

  #finish(end: MachineEnd): void {
    this.#end ??= end;
    if (this.#inProcessor) this.processor.stop();
  }

  #askForReset(cause: "reset" | "triple-fault"): void {
    if (this.#options.noReboot) {
      this.#finish({ reason: cause });
      return;
    }
    this.#resetAsked = true;
    if (this.#inProcessor) this.processor.stop();
  }

  /** Time stands still while the waiting actions are done, one after the other. */
  async #pause(): Promise<void> {
    this.#serial.flush();
    if (this.#time instanceof HostTime) this.#time.stop();
    await this.#pauses.take();
    if (this.#time instanceof HostTime) this.#time.resume();
  }

  /** Takes over what a saved machine was, but for the board. */
  #resume(state: MachineState): void {
    this.processor.restoreState(state.processor);
    if (this.#time instanceof InstructionTime) this.#time.startFrom(state.nowNs);
    this.#resets = state.resets;
    this.#resetAsked = state.resetAsked;
    this.#earlierInstructions = state.earlierInstructions;
    this.#serial.first.enqueue(state.serialInput);
    this.#serial.second.enqueue(state.secondSerialInput);
  }

  /** RESET of everything but memory; then the guest is started anew, as firmware would. */
  #reset(): void {
    this.#resetAsked = false;
    const plan = this.#bootPlan();
    if (plan === undefined) {
      this.#finish({ reason: "reset" });
      return;
    }
    this.#resets++;
    this.#earlierInstructions += this.processor.instructions;
    if (this.#time instanceof InstructionTime) this.#time.across(() => this.processor.reset());
    else this.processor.reset();
    this.processor.setInterruptPending(false);
    this.#operations.forget();
    this.#board = this.#createBoard();
    this.#boot(plan);
  }

  #boot(plan: BootPlan): void {
    for (const { address, bytes } of this.#board.acpiTables.tables) this.memory.write(address, bytes);
    this.processor.applyFirmwareSettings();
    applyBootPlan(plan, this.memory, this.processor.registers);
  }

  #createBoard(state?: BoardState): Board {
    const { createDevices: create } = this.#options;
    const connections: BoardConnections = {
      nowNs: () => this.#time.nowNs(),
      unixTimeMs: () => this.#time.unixTimeMs(),
      serialOutput: this.#serial.first,
      secondSerialOutput: this.#options.secondSerial === true ? this.#serial.second : undefined,
      debugExitPort: this.#options.debugExitPort,
      onTimerScheduled: (atNs) => {
        if (this.#inProcessor && this.#budget.isCutShortBy(atNs)) this.processor.stop();
      },
      onInterruptPending: (pending) => this.processor.setInterruptPending(pending),
      onNonMaskableInterrupt: () => this.processor.raiseNonMaskableInterrupt(),
      onA20: (enabled) => this.processor.setA20(enabled),
      onReset: () => this.#askForReset("reset"),
      onPowerOff: () => this.#finish({ reason: "power-off" }),
      onDebugExit: (value) => this.#finish({ reason: "debug-exit", value }),
      virtio: create && {
        memory: this.#deviceMemory,
        operations: this.#operations,
        random: (bytes) => randomBytes(this.#random, bytes),
        create,
      },
    };
    const board = new Board(connections, state);
    this.#serial.connect(board);
    return board;
  }
}
