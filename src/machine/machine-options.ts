import type { BootRequest } from "../boot/boot-plan.ts";
import type { Processor, ProcessorSurroundings } from "../cpu/processor.ts";
import type { CreateDevices } from "../virtio/services.ts";
import type { MachineHost } from "./machine-host.ts";
import type { SavedMachine } from "./machine-state.ts";

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
  /** There is a second serial port, COM2. */
  readonly secondSerial?: boolean | undefined;
  /** What to start; or a saved machine, which goes on. */
  readonly boot: BootRequest | SavedMachine;
  /** Makes the virtio devices; absent: none. */
  readonly createDevices?: CreateDevices | undefined;
}
