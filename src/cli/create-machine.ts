import { createProcessor, type ProcessorParts } from "../machine/create-processor.ts";
import { Machine } from "../machine/machine.ts";
import type { MachineEnd } from "../machine/machine-end.ts";
import type { MachineHost } from "../machine/machine-host.ts";
import { processorStatisticsLines, statisticsLines } from "../machine/statistics.ts";
import { plainFrames } from "../network/link/segmentation.ts";
import { VirtioBlk } from "../virtio/blk/virtio-blk.ts";
import type { HostPort } from "../virtio/console/host-port.ts";
import { VirtioConsole } from "../virtio/console/virtio-console.ts";
import { VirtioNet } from "../virtio/net/virtio-net.ts";
import { VirtioRng } from "../virtio/rng/virtio-rng.ts";
import type { GuestDisk } from "./open-disks.ts";
import type { GuestNetwork } from "./open-networks.ts";
import type { EngineName, TraceSubject } from "./options.ts";
import { traceAccesses, traceEvents } from "./trace.ts";

const MOST_DISK_MESSAGES = 10;

/** Everything a machine is built from; files are read already. */
export interface MachineRequest {
  /** The compiled src/core. */
  readonly core: Uint8Array<ArrayBuffer>;
  readonly memoryBytes: number;
  readonly engine: EngineName;
  readonly deterministic: boolean;
  readonly debugExitPort: number | undefined;
  readonly noReboot: boolean;
  readonly kernel: Uint8Array<ArrayBuffer>;
  readonly initrd: Uint8Array<ArrayBuffer> | undefined;
  readonly commandLine: string;
  readonly trace: readonly TraceSubject[];
  readonly disks: readonly GuestDisk[];
  /** Ports of the guest's virtio console; absent: it has none. */
  readonly ports?: readonly HostPort[];
  /** Gives the guest a virtio-rng. */
  readonly rng: boolean;
  readonly networks: readonly GuestNetwork[];
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
    createDevices: ({ operations, random }) => [
      ...(request.rng ? [new VirtioRng(random)] : []),
      ...(request.ports === undefined ? [] : [new VirtioConsole(request.ports)]),
      ...request.disks.map(
        ({ disk, serial }) => new VirtioBlk({ disk, serial, operations, onError: reportDiskErrors(request) }),
      ),
      ...request.networks.map(
        ({ port, mac }) => new VirtioNet({ port, mac, plainFrames, onReceive: () => request.host.wake() }),
      ),
    ],
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

/** A disk that fails once tends to fail again and again: each message is told once. */
function reportDiskErrors({ report }: MachineRequest): (error: unknown) => void {
  const told = new Set<string>();
  return (error) => {
    const line = error instanceof Error ? error.message : String(error);
    if (told.has(line) || told.size >= MOST_DISK_MESSAGES) return;
    told.add(line);
    report(`disk: ${line}`);
  };
}
