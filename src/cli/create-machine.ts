import type { BootRequest } from "../boot/boot-plan.ts";
import type { FeatureName } from "../cpu/cpuid-tables.ts";
import { Meter } from "../cpu/meter.ts";
import type { CompileRegions, RegionCache } from "../cpu/region-translator.ts";
import type { InterpreterCache } from "../interpret/interpreter-cache.ts";
import { createLockstepProcessor } from "../lockstep/create-lockstep-processor.ts";
import type { LockstepProcessor } from "../lockstep/lockstep-processor.ts";
import {
  createProcessor,
  type EngineName as ProcessorEngine,
  type ProcessorParts,
} from "../machine/create-processor.ts";
import { Machine } from "../machine/machine.ts";
import type { MachineEnd } from "../machine/machine-end.ts";
import type { MachineHost } from "../machine/machine-host.ts";
import type { SavedMachine } from "../machine/machine-state.ts";
import { type OverheadReport, overheadLines, overheadReport } from "../machine/overhead-report.ts";
import { engineLines, statisticsLines, undefinedInstructionLines } from "../machine/statistics.ts";
import { plainFrames } from "../network/link/segmentation.ts";
import { BalloonControl } from "../virtio/balloon/balloon-control.ts";
import { VirtioBalloon } from "../virtio/balloon/virtio-balloon.ts";
import { VirtioBlk } from "../virtio/blk/virtio-blk.ts";
import type { HostPort } from "../virtio/console/host-port.ts";
import { VirtioConsole } from "../virtio/console/virtio-console.ts";
import { VirtioNet } from "../virtio/net/virtio-net.ts";
import { VirtioRng } from "../virtio/rng/virtio-rng.ts";
import { createShareDevice, type GuestShare } from "../virtio/sharing/share.ts";
import type { HostSockets } from "../virtio/vsock/host-sockets.ts";
import { VirtioVsock } from "../virtio/vsock/virtio-vsock.ts";
import type { GuestDisk, GuestNetwork } from "./guest-devices.ts";
import type { EngineName, TraceSubject } from "./options.ts";
import { traceAccesses, traceEvents } from "./trace.ts";

const MOST_DISK_MESSAGES = 10;

/** Everything a machine is built from; files are read already. */
export interface MachineRequest {
  /** The compiled src/core. */
  readonly core: Uint8Array<ArrayBuffer>;
  /** Names the version of what decodes and generates code; absent: snapshots go without decoded code. */
  readonly codeVersion?: string;
  readonly openRegionCache?: (version: string) => RegionCache;
  readonly interpreterCache?: InterpreterCache;
  /** See ProcessorRequest. */
  readonly learns?: boolean;
  readonly memoryBytes: number;
  readonly engine: EngineName;
  /** Compiles modules of translated code; the host's usual compiler when absent. */
  readonly compileRegions?: CompileRegions;
  /** What CPUID announces; the default model when absent. */
  readonly features?: ReadonlySet<FeatureName>;
  readonly deterministic: boolean;
  readonly debugExitPort: number | undefined;
  readonly noReboot: boolean;
  readonly secondSerial?: boolean;
  readonly boot: BootRequest | SavedMachine;
  readonly trace: readonly TraceSubject[];
  /** Time everything beside the guest's own code. */
  readonly measure?: boolean;
  readonly disks: readonly GuestDisk[];
  /** Ports of the guest's virtio console; absent: it has none. */
  readonly ports?: readonly HostPort[];
  /** Gives the guest a virtio-rng. */
  readonly rng: boolean;
  readonly networks: readonly GuestNetwork[];
  readonly shares?: readonly GuestShare[];
  /** Gives the guest a virtio-balloon. */
  readonly balloon?: boolean;
  /** Absent: the guest has no socket device. */
  readonly sockets?: HostSockets | undefined;
  readonly host: MachineHost;
  /** Takes one line about an event asked for with --trace, or about an instruction that is not supported. */
  readonly report: (line: string) => void;
}

/** A machine as this command drives it. */
export interface RunnableMachine {
  readonly machine: Machine;
  /** Undefined: the guest has none. */
  readonly balloon: BalloonControl | undefined;
  /** Resolves when the machine has ended. */
  run(): Promise<MachineEnd>;
  /** Gives bytes to the guest's first serial port. The machine queues what the guest is slow to take. */
  receiveSerial(bytes: Uint8Array): void;
  /** Makes `run` resolve soon, with "stopped". */
  stop(): void;
  /** Lines for --stats. */
  statistics(): readonly string[];
  /** What --stats-file writes; undefined unless the request asked to measure. */
  report(): OverheadReport | undefined;
}

/** What `--engine` compares the interpreter with. */
const AGAINST: Partial<Record<EngineName, ProcessorEngine>> = {
  lockstep: "translator",
  "lockstep-auto": "auto",
};

/** Builds a machine and loads the guest into it. */
export function createMachine(request: MachineRequest): RunnableMachine {
  let parts: ProcessorParts | undefined;
  const balloon = request.balloon === true ? new BalloonControl() : undefined;
  // The clock of measurements is finer than the guest's.
  const meter = request.measure ? new Meter(() => performance.now() * 1e6) : undefined;
  let lockstep: LockstepProcessor | undefined;
  const machine = new Machine({
    ramBytes: request.memoryBytes,
    createProcessor: (surroundings, memory) => {
      const common = {
        coreModule: request.interpreterCache?.compile(request.core) ?? new WebAssembly.Module(request.core),
        ramBytes: request.memoryBytes,
        deterministic: request.deterministic,
        ...(request.features && { features: request.features }),
        compileRegions: request.compileRegions,
        surroundings: traceAccesses(surroundings, request.trace, request.report),
        memory,
        meter,
        codeVersion: request.codeVersion,
        openRegionCache: request.openRegionCache,
        interpreterCache: request.interpreterCache,
        learns: request.learns,
        code: "state" in request.boot ? request.boot.code : undefined,
      };
      const against = AGAINST[request.engine];
      if (against === undefined)
        parts = createProcessor({ ...common, engine: request.engine as ProcessorEngine });
      else
        ({ processor: lockstep, leader: parts } = createLockstepProcessor({
          ...common,
          meter: undefined,
          against,
        }));
      traceEvents(parts, request.trace, request.report);
      return lockstep ?? parts.processor;
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
      ...(request.shares ?? []).map((share) => createShareDevice(share, operations)),
      ...(request.sockets === undefined
        ? []
        : [new VirtioVsock({ sockets: request.sockets, wake: () => request.host.wake() })]),
      ...(balloon === undefined ? [] : [new VirtioBalloon(balloon, () => request.host.wake())]),
    ],
    secondSerial: request.secondSerial,
    boot: request.boot,
  });
  const report = (): OverheadReport | undefined =>
    parts && meter && overheadReport(request.engine, machine.statistics(), parts, meter);
  return {
    machine,
    balloon,
    report,
    run: async () => {
      // The second engine's memory is copied from the first's as it is.
      if (lockstep !== undefined) machine.memory.bringInAll();
      const end = await machine.run();
      lockstep?.finish();
      return end;
    },
    receiveSerial: (bytes) => machine.receiveSerial(bytes),
    stop: () => machine.stop(),
    statistics: () => [
      ...statisticsLines(machine.statistics()),
      ...(meter === undefined && parts ? engineLines(parts) : overheadLinesOf(report())),
      ...(parts ? undefinedInstructionLines(parts) : []),
      ...(lockstep ? [`runs compared in lockstep, without a difference: ${lockstep.comparedRuns}`] : []),
    ],
  };
}

function overheadLinesOf(report: OverheadReport | undefined): string[] {
  return report === undefined ? [] : overheadLines(report);
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
