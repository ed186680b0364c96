import process from "node:process";
import { PassThrough } from "node:stream";
import type { BootRequest } from "../boot/boot-plan.ts";
import { codeVersion } from "../host/node/code-version.ts";
import { compileRegions } from "../host/node/compile-regions.ts";
import { CORE_WASM, ensureCore } from "../host/node/core-module.ts";
import { EventLoop } from "../host/node/event-loop.ts";
import { checkCanWrite, readWholeFile, writeWholeFile } from "../host/node/files.ts";
import { hostTime } from "../host/node/host-time.ts";
import { openInterpreterCache } from "../host/node/interpreter-cache-file.ts";
import { moduleCode } from "../host/node/module-code.ts";
import { RegionCacheFolder } from "../host/node/region-cache-file.ts";
import { FileSerialOutput, type SerialOutput, StreamSerialOutput } from "../host/node/serial-output.ts";
import { snapshotHost } from "../host/node/snapshot-files.ts";
import { invariant } from "../layout/invariant.ts";
import { EnginesDiffer } from "../lockstep/engines-differ.ts";
import type { MachineEnd } from "../machine/machine-end.ts";
import type { MachineHost } from "../machine/machine-host.ts";
import { openSnapshot, type Snapshot } from "../machine/snapshot/read-snapshot.ts";
import { restoreMachine } from "../machine/snapshot/restore-machine.ts";
import { saveSnapshot } from "../machine/snapshot/write-snapshot.ts";
import type { GuestShare } from "../virtio/sharing/share.ts";
import type { HostSockets } from "../virtio/vsock/host-sockets.ts";
import type { RunOptions } from "./command-line.ts";
import { createMachine, type MachineRequest, type RunnableMachine } from "./create-machine.ts";
import { describeError } from "./describe-error.ts";
import {
  debugExitStatus,
  EXIT_ENGINES_DIFFER,
  EXIT_OUTPUT_LOST,
  EXIT_POWERED_OFF,
  EXIT_RESET,
  EXIT_TRIPLE_FAULT,
} from "./exit-codes.ts";
import type { GuestDisk, GuestNetwork } from "./guest-devices.ts";
import { MachineSession, tellStarted } from "./machines/machine-session.ts";
import { userNetwork } from "./network-option.ts";
import { closeDisks, openDisks } from "./open-disks.ts";
import { openNetworks } from "./open-networks.ts";
import { closeShares, openShares } from "./open-shares.ts";
import { openVsock } from "./open-vsock.ts";
import { keysHint, withImage } from "./run-image.ts";
import { connectSerialInput } from "./serial-input.ts";

export { describeError };

const QUIT_NS = 500_000_000;

/** What the host gives the guest, and closes behind it. */
interface AttachedDevices {
  readonly disks: readonly GuestDisk[];
  readonly networks: readonly GuestNetwork[];
  readonly shares: readonly GuestShare[];
  readonly sockets: HostSockets | undefined;
}

/** `ringfence run`: boots a guest and returns the exit status when it has ended. */
export async function run(asked: RunOptions): Promise<number> {
  for (const file of [asked.statsPath, asked.snapshotPath]) if (file !== undefined) checkCanWrite(file);
  const options = await withImage(asked, report);
  const { restorePath } = options;
  const snapshot = restorePath === undefined ? undefined : await openSnapshot(snapshotHost, restorePath);
  const cards = snapshot?.deviceNames.filter((name) => name === "virtio-net") ?? [];
  const { networks, close: closeNetworks } = await openNetworks(
    options.networks ?? cards.map(userNetwork),
    options.forwards,
    options.capturePath,
    report,
  );
  try {
    const shares = openShares(options.shares);
    try {
      const vsock = openVsock(options.vsock, {
        isNeeded: snapshot?.deviceNames.includes("virtio-vsock") ?? false,
        report,
      });
      try {
        const disks = await openDisks(options.disks);
        try {
          const { sockets } = vsock;
          return await runMachine(options, { disks, networks, shares, sockets }, snapshot);
        } finally {
          await closeDisks(disks);
        }
      } finally {
        vsock.close();
      }
    } finally {
      closeShares(shares);
    }
  } finally {
    closeNetworks();
  }
}

async function runMachine(
  options: RunOptions,
  devices: AttachedDevices,
  snapshot: Snapshot | undefined,
): Promise<number> {
  const session = await MachineSession.open(options, snapshot?.deviceNames, report);
  try {
    return await runSession(options, devices, snapshot, session);
  } finally {
    session.close();
  }
}

async function runSession(
  options: RunOptions,
  devices: AttachedDevices,
  snapshot: Snapshot | undefined,
  session: MachineSession,
): Promise<number> {
  const tell = (line: string) => {
    session.logLine(line);
    report(line);
  };
  const loop = new EventLoop();
  let machine: RunnableMachine | undefined;
  let lost: string | undefined;
  const output = openSerialOutput(options, (reason) => {
    lost = reason;
    machine?.stop();
  });
  ensureCore();
  const regionCaches = new RegionCacheFolder();
  const interpreterCache = openInterpreterCache(codeVersion());
  if (options.learn && moduleCode() === undefined)
    tell(
      "--learn keeps no machine code here, for which npm run build needs a C++ compiler: later runs gain less",
    );
  const host: MachineHost = {
    ...hostTime(loop),
    writeSerial: (bytes) => {
      session.consoleWrote(bytes);
      output.write(bytes);
    },
    writeSecondSerial: (bytes) => session.agentWrote(bytes),
    serialCongested: () => output.congested,
  };
  const core = readWholeFile(CORE_WASM);
  const measure = options.stats || options.statsPath !== undefined;
  const { machine: started, close } = await startMachine(options, snapshot, {
    core,
    codeVersion: codeVersion(),
    compileRegions,
    openRegionCache: (version) => regionCaches.open(version),
    interpreterCache,
    learns: options.learn,
    host,
    report: tell,
    ...session.agentParts,
    ...devices,
    measure,
  });
  machine = started;
  session.started(started);
  if (session.isDetached) tellStarted(session.name);
  const save = () => void saveFromConsole(started, options.snapshotPath);
  if (options.snapshotPath !== undefined) process.on("SIGUSR2", save);
  const hasInput = options.serial.to === "stdio" && !options.detach;
  const disconnect = hasInput ? connectSerialInput(machine, save) : () => {};
  try {
    const end = await machine.run();
    // Whoever quits does not wait for a receiver that has stopped reading.
    await (end.reason === "stopped"
      ? Promise.race([output.drained(), loop.sleep(QUIT_NS)])
      : output.drained());
    disconnect();
    if (options.stats) machine.statistics().forEach(tell);
    if (options.statsPath !== undefined)
      writeWholeFile(options.statsPath, `${JSON.stringify(machine.report(), undefined, 2)}\n`);
    if (lost !== undefined) {
      tell(`serial output could not be written: ${lost}`);
      return EXIT_OUTPUT_LOST;
    }
    return statusOf(end, options, tell);
  } catch (error) {
    if (!(error instanceof EnginesDiffer)) throw error;
    disconnect();
    error.report.forEach(tell);
    return EXIT_ENGINES_DIFFER;
  } finally {
    process.off("SIGUSR2", save);
    disconnect();
    output.close();
    regionCaches.close();
    interpreterCache.close();
    await close();
  }
}

/** Boots the guest that the options name, or goes on with a snapshot. */
async function startMachine(
  options: RunOptions,
  snapshot: Snapshot | undefined,
  surroundings: Pick<
    MachineRequest,
    | "core"
    | "codeVersion"
    | "compileRegions"
    | "openRegionCache"
    | "interpreterCache"
    | "learns"
    | "host"
    | "report"
    | "disks"
    | "networks"
    | "measure"
    | "ports"
    | "secondSerial"
    | "sockets"
  > & { readonly shares: readonly GuestShare[] },
): Promise<{ machine: RunnableMachine; close(): Promise<void> }> {
  if (snapshot === undefined) {
    const boot = await readGuest(options);
    return { machine: createMachine({ ...options, ...surroundings, boot }), close: async () => {} };
  }
  let runnable: RunnableMachine | undefined;
  const rng = options.rng || snapshot.deviceNames.includes("virtio-rng");
  const balloon = snapshot.deviceNames.includes("virtio-balloon");
  await restoreMachine(snapshotHost, snapshot, (saved, configuration) => {
    const { ramBytes, deterministic, debugExitPort, secondSerial } = configuration;
    const described = {
      ...{ memoryBytes: ramBytes, deterministic, secondSerial },
      debugExitPort: debugExitPort ?? undefined,
      ...{ rng, balloon },
    };
    runnable = createMachine({ ...options, ...surroundings, ...described, boot: saved });
    return runnable.machine;
  });
  invariant(runnable !== undefined, "a restored machine has been built");
  report(`going on from the snapshot${keysHint(options)}`);
  return { machine: runnable, close: () => snapshot.close() };
}

let saving = false;

/** Saves a snapshot between two slices of the guest. What goes wrong is told, and the machine runs on. */
async function saveFromConsole({ machine }: RunnableMachine, path: string | undefined): Promise<void> {
  if (saving) return;
  saving = true;
  const target = path ?? `ringfence-${new Date().toISOString().replace(/[-:]|\..*/g, "")}.snapshot`;
  try {
    const { fileBytes } = await saveSnapshot(machine, snapshotHost, target);
    report(`saved ${target}, ${Math.ceil(fileBytes / 1e6)} MB; ringfence run --restore ${target} goes on`);
  } catch (error) {
    report(`no snapshot was saved: ${describeError(error, undefined).line}`);
  } finally {
    saving = false;
  }
}

async function readGuest({
  kernelPath,
  initrdPath,
  givenArchive,
  append,
  shares,
  detach,
}: RunOptions): Promise<BootRequest> {
  if (kernelPath !== undefined) {
    const initrd = initrdPath === undefined ? [] : [readWholeFile(initrdPath)];
    const archives = givenArchive === undefined ? initrd : [...initrd, givenArchive];
    return {
      kernel: readWholeFile(kernelPath),
      commandLine: append ?? "",
      modules: archives.map((bytes) => ({ bytes, commandLine: "" })),
    };
  }
  const { prepareDefaultGuest, shareWords } = await import("../host/node/default-guest.ts");
  const guest = await prepareDefaultGuest(report);
  report(`booting Debian's cloud kernel${keysHint({ detach })}`);
  const words = [
    guest.commandLine,
    ...terminalWords(),
    ...shareWords(shares.map(({ tag }) => tag)),
    ...(append === undefined ? [] : [append]),
  ];
  return {
    kernel: readWholeFile(guest.kernelPath),
    commandLine: words.join(" "),
    modules: [{ bytes: readWholeFile(guest.initrdPath), commandLine: "" }],
  };
}

/** What the default guest's shell should know of this terminal: the kernel makes such words init's environment. */
function terminalWords(): string[] {
  const { columns, rows, isTTY } = process.stdout;
  if (!isTTY || !process.stdin.isTTY) return [];
  const type = process.env["TERM"] ?? "";
  const known = /^[\w.+-]{1,40}$/.test(type) ? [`TERM=${type}`] : [];
  return columns > 0 && rows > 0 ? [...known, `COLUMNS=${columns}`, `LINES=${rows}`] : known;
}

function openSerialOutput({ serial, detach }: RunOptions, onLost: (reason: string) => void): SerialOutput {
  if (serial.to === "file") return new FileSerialOutput(serial.path);
  // Of a detached machine the session keeps what it prints.
  return new StreamSerialOutput(detach ? new PassThrough().resume() : process.stdout, onLost);
}

function statusOf(end: MachineEnd, { guestGivesStatus }: RunOptions, report: (line: string) => void): number {
  switch (end.reason) {
    case "power-off":
    case "stopped":
      return EXIT_POWERED_OFF;
    case "reset":
      report("the guest reset the machine");
      return EXIT_RESET;
    case "triple-fault":
      report("the guest's processor shut down after a triple fault");
      return EXIT_TRIPLE_FAULT;
    case "debug-exit":
      return guestGivesStatus ? end.value & 0xff : debugExitStatus(end.value);
  }
}

/** Tells the user one line. The carriage return is for a terminal in raw mode. */
function report(line: string): void {
  const raw = process.stdin.isTTY && process.stdin.isRaw;
  process.stderr.write(`ringfence: ${line}${raw ? "\r" : ""}\n`);
}
