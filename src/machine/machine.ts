import { applyBootPlan, type BootPlan, type BootRequest } from "../boot/boot-plan.ts";
import { planBoot } from "../boot/detect.ts";
import { firmwareMemoryMap } from "../boot/low-memory.ts";
import type { Processor, ProcessorSurroundings, RunOutcome } from "../cpu/processor.ts";
import { readApicMsr, writeApicMsr } from "../devices/local-apic/apic-msrs.ts";
import { GuestMemory } from "../memory/guest-memory.ts";
import type { CreateDevices } from "../virtio/services.ts";
import { Board } from "./board.ts";
import { DeviceMemory } from "./device-memory.ts";
import type { MachineEnd } from "./machine-end.ts";
import type { MachineHost } from "./machine-host.ts";
import { createMachineMemory } from "./machine-memory.ts";
import { HostTime, InstructionTime } from "./machine-time.ts";
import { PendingOperations } from "./pending-operations.ts";
import { hostRandom, type RandomSource, randomBytes, seededRandom } from "./random-source.ts";
import { RunBudget } from "./run-budget.ts";
import { SerialConsole } from "./serial-console.ts";
import type { MachineStatistics } from "./statistics.ts";

/** What a machine is built from. */
export interface MachineOptions {
  /** A whole number of pages. */
  readonly ramBytes: number;
  /** Builds the processor over the machine's memory; called once, and must not use the surroundings yet. */
  createProcessor(surroundings: ProcessorSurroundings, memory: WebAssembly.Memory): Processor;
  /** Whether the memory can be shared between threads; true if absent. */
  readonly sharedMemory?: boolean;
  readonly host: MachineHost;
  /** Time is a function of the instructions executed, and random numbers come from a fixed seed. */
  readonly deterministic: boolean;
  /** A port through which the guest ends the run with a value; absent: none. */
  readonly debugExitPort?: number | undefined;
  /** A reset ends the run instead of starting the guest again. */
  readonly noReboot: boolean;
  readonly boot: BootRequest;
  /** Makes the virtio devices; absent: none. */
  readonly createDevices?: CreateDevices | undefined;
}

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
  readonly #time: HostTime | InstructionTime;
  readonly #budget: RunBudget;
  readonly #console: SerialConsole;
  readonly #random: RandomSource;
  readonly #bootPlan: BootPlan;
  readonly #surroundings: ProcessorSurroundings;
  readonly #operations: PendingOperations;
  readonly #deviceMemory: DeviceMemory;
  #board: Board;
  #inProcessor = false;
  #resetAsked = false;
  #end: MachineEnd | undefined;
  #resets = 0;
  /** Instructions before the last reset. */
  #earlierInstructions = 0;

  /** @throws {VmError} `memory-size-unsupported`, `kernel-*`, `initrd-too-large`, `command-line-too-long`. */
  constructor(options: MachineOptions) {
    const { host, ramBytes, deterministic } = options;
    this.#options = options;
    this.#host = host;
    this.wasmMemory = createMachineMemory(ramBytes, options.sharedMemory ?? true);
    this.memory = new GuestMemory(this.wasmMemory.buffer, ramBytes);
    this.#time = deterministic
      ? new InstructionTime(() => this.processor.instructionsNow())
      : new HostTime(host);
    this.#random = deterministic ? seededRandom(RANDOM_SEED) : hostRandom();
    this.#budget = new RunBudget(deterministic);
    this.#console = new SerialConsole(host);
    this.#operations = new PendingOperations(deterministic, {
      started: () => {
        if (deterministic && this.#inProcessor) this.processor.stop();
      },
      delivered: () => host.wake(),
    });
    this.#deviceMemory = new DeviceMemory(this.memory, (address, bytes) =>
      this.processor.memoryWritten(address, bytes),
    );
    this.#surroundings = this.#createSurroundings();
    this.processor = options.createProcessor(this.#surroundings, this.wasmMemory);
    this.#board = this.#createBoard();
    this.#bootPlan = planBoot(options.boot, {
      ramBytes,
      memoryMap: firmwareMemoryMap(ramBytes),
      acpiRsdpAddress: this.#board.acpiTables.rsdpAddress,
    });
    this.#boot();
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

  /** Runs until the machine ends, giving the host's event loop a turn every few milliseconds. */
  async run(): Promise<MachineEnd> {
    for (;;) {
      const outcome = this.runSlice(SLICE_MS);
      if (typeof outcome === "object") return outcome;
      const idleNs = outcome === "idle" ? this.idleNs : 0;
      if (idleNs >= SHORTEST_SLEEP_NS) await this.#host.sleep(idleNs);
      else await this.#host.yield();
      if (outcome === "idle" && this.#time instanceof HostTime) this.#time.catchUp();
      while (this.#host.serialCongested() && this.#end === undefined)
        await this.#host.sleep(CONGESTED_SLEEP_NS);
    }
  }

  /** Runs for about `maxMs` of the host's time. */
  runSlice(maxMs: number): SliceOutcome {
    const untilNs = this.#host.monotonicNowNs() + maxMs * 1e6;
    let outcome: SliceOutcome = "running";
    const soonNs = untilNs - (maxMs - Math.min(maxMs, SHORT_SLICE_MS)) * 1e6;
    do outcome = this.#step();
    while (
      outcome === "running" &&
      this.#host.monotonicNowNs() < (this.#operations.count > 0 ? soonNs : untilNs)
    );
    this.#console.flush();
    return outcome;
  }

  /** Gives bytes to the guest's first serial port. They wait here while the guest is slow to take them. */
  receiveSerial(bytes: Uint8Array): void {
    this.#console.enqueue(bytes);
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
    if (this.#resetAsked) this.#reset();
    if (this.#waitsForHost) return "idle";
    const { timers, uart } = this.#board;
    timers.runDue();
    this.#console.feed(uart);
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
    if (this.#console.canFeed(this.#board.uart)) return "running";
    const deadlineNs = this.#board.timers.nextDeadlineNs();
    if (deadlineNs === undefined) return "idle";
    if (this.#time instanceof InstructionTime) this.#time.skipTo(deadlineNs);
    return this.#time.nowNs() >= deadlineNs ? "running" : "idle";
  }

  /** In deterministic mode the guest's time stands still while its devices wait for the host. */
  get #waitsForHost(): boolean {
    return this.#options.deterministic && this.#operations.count > 0;
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

  /** RESET of everything but memory; then the guest is started anew, as firmware would. */
  #reset(): void {
    this.#resetAsked = false;
    this.#resets++;
    this.#earlierInstructions += this.processor.instructions;
    if (this.#time instanceof InstructionTime) this.#time.across(() => this.processor.reset());
    else this.processor.reset();
    this.processor.setInterruptPending(false);
    this.#operations.forget();
    this.#board = this.#createBoard();
    this.#boot();
  }

  #boot(): void {
    for (const { address, bytes } of this.#board.acpiTables.tables) this.memory.write(address, bytes);
    this.processor.applyFirmwareSettings();
    applyBootPlan(this.#bootPlan, this.memory, this.processor.registers);
  }

  #createBoard(): Board {
    const { createDevices: create } = this.#options;
    return new Board({
      nowNs: () => this.#time.nowNs(),
      unixTimeMs: () => this.#time.unixTimeMs(),
      serialOutput: this.#console,
      debugExitPort: this.#options.debugExitPort,
      onTimerScheduled: (atNs) => {
        if (this.#inProcessor && this.#budget.isCutShortBy(atNs)) this.processor.stop();
      },
      onInterruptPending: (pending) => this.processor.setInterruptPending(pending),
      onNonMaskableInterrupt: () => this.processor.raiseNonMaskableInterrupt(),
      onReset: () => this.#askForReset("reset"),
      onPowerOff: () => this.#finish({ reason: "power-off" }),
      onDebugExit: (value) => this.#finish({ reason: "debug-exit", value }),
      virtio: create && {
        memory: this.#deviceMemory,
        operations: this.#operations,
        random: (bytes) => randomBytes(this.#random, bytes),
        create,
      },
    });
  }

  #createSurroundings(): ProcessorSurroundings {
    return {
      readPort: (port, bytes) => this.#board.ports.read(port, bytes),
      writePort: (port, bytes, value) => this.#board.ports.write(port, bytes, value),
      readDevice: (address, bytes) => this.#board.readDevice(address, bytes),
      writeDevice: (address, bytes, value) => this.#board.writeDevice(address, bytes, value),
      acknowledgeInterrupt: () => this.#board.localApic.acknowledge(),
      readMsr: (index) => readApicMsr(this.#board.localApic, index),
      writeMsr: (index, value) => writeApicMsr(this.#board.localApic, index, value),
      readTaskPriority: () => this.#board.localApic.taskPriorityClass,
      writeTaskPriority: (priority) => {
        this.#board.localApic.taskPriorityClass = priority;
      },
      timeStampCounter: () => BigInt(Math.floor(this.#time.nowNs())),
      random: () => this.#random(),
    };
  }
}
