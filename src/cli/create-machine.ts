import type { FeatureName } from "../cpu/cpuid-tables.ts";
import { createProcessor, type ProcessorParts } from "../machine/create-processor.ts";
import { Machine } from "../machine/machine.ts";
import type { MachineEnd } from "../machine/machine-end.ts";
import type { MachineHost } from "../machine/machine-host.ts";
import { processorStatisticsLines, statisticsLines } from "../machine/statistics.ts";
import type { EngineName, TraceSubject } from "./options.ts";
import { traceAccesses, traceEvents } from "./trace.ts";

/** Everything a machine is built from; files are read already. */
export interface MachineRequest {
  /** The compiled src/core. */
  readonly core: Uint8Array<ArrayBuffer>;
  readonly memoryBytes: number;
  readonly engine: EngineName;
  /** What CPUID announces; the default model when absent. */
  readonly features?: ReadonlySet<FeatureName>;
  readonly deterministic: boolean;
  readonly debugExitPort: number | undefined;
  readonly noReboot: boolean;
  readonly kernel: Uint8Array<ArrayBuffer>;
  readonly initrd: Uint8Array<ArrayBuffer> | undefined;
  readonly commandLine: string;
  readonly trace: readonly TraceSubject[];
  readonly host: MachineHost;
  /** Takes one line about an event asked for with --trace, or about an instruction that is not supported. */
  readonly report: (line: string) => void;
}

/** A machine as this command drives it. */
export interface RunnableMachine {
  /** Resolves when the machine has ended. */
  run(): Promise<MachineEnd>;
  /** Gives bytes to the guest's first serial port. The machine queues what the guest is slow to take. */
  receiveSerial(bytes: Uint8Array): void;
  /** Makes `run` resolve soon, with "stopped". */
  stop(): void;
  /** Lines for --stats. */
  statistics(): readonly string[];
}

/** Builds a machine and loads the guest into it. */
export function createMachine(request: MachineRequest): RunnableMachine {
  const { kernel, initrd, commandLine } = request;
  let parts: ProcessorParts | undefined;
  const machine = new Machine({
    ramBytes: request.memoryBytes,
    createProcessor: (surroundings, memory) => {
      parts = createProcessor({
        coreModule: new WebAssembly.Module(request.core),
        ramBytes: request.memoryBytes,
        deterministic: request.deterministic,
        engine: request.engine,
        ...(request.features && { features: request.features }),
        surroundings: traceAccesses(surroundings, request.trace, request.report),
        memory,
      });
      traceEvents(parts, request.trace, request.report);
      return parts.processor;
    },
    host: request.host,
    deterministic: request.deterministic,
    debugExitPort: request.debugExitPort,
    noReboot: request.noReboot,
    boot: { kernel, commandLine, modules: initrd === undefined ? [] : [{ bytes: initrd, commandLine: "" }] },
  });
  return {
    run: () => machine.run(),
    receiveSerial: (bytes) => machine.receiveSerial(bytes),
    stop: () => machine.stop(),
    statistics: () => [
      ...statisticsLines(machine.statistics()),
      ...(parts ? processorStatisticsLines(parts) : []),
    ],
  };
}
