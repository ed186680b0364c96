import process from "node:process";
import { prepareDefaultGuest } from "../host/node/default-guest.ts";
import { EventLoop } from "../host/node/event-loop.ts";
import { readWholeFile, writeWholeFile } from "../host/node/files.ts";
import { monotonicNowNs } from "../host/node/monotonic-clock.ts";
import { FileSerialOutput, type SerialOutput, StreamSerialOutput } from "../host/node/serial-output.ts";
import { EnginesDiffer } from "../lockstep/engines-differ.ts";
import type { MachineEnd } from "../machine/machine-end.ts";
import type { MachineHost } from "../machine/machine-host.ts";
import type { RunOptions } from "./command-line.ts";
import { createMachine, type RunnableMachine } from "./create-machine.ts";
import { CORE_WASM, ensureCore } from "./ensure-core.ts";
import {
  debugExitStatus,
  EXIT_ENGINES_DIFFER,
  EXIT_OUTPUT_LOST,
  EXIT_POWERED_OFF,
  EXIT_RESET,
  EXIT_TRIPLE_FAULT,
} from "./exit-codes.ts";
import type { GuestDisk, GuestNetwork } from "./guest-devices.ts";
import { closeDisks, openDisks } from "./open-disks.ts";
import { openNetworks } from "./open-networks.ts";
import { connectSerialInput } from "./serial-input.ts";

const QUIT_NS = 500_000_000;

/** `ringfence run`: boots a guest and returns the exit status when it has ended. */
export async function run(options: RunOptions): Promise<number> {
  const guest = await readGuest(options);
  const { networks, close } = await openNetworks(
    options.networks,
    options.forwards,
    options.capturePath,
    report,
  );
  try {
    const disks = await openDisks(options.disks);
    try {
      return await runMachine(options, guest, disks, networks);
    } finally {
      await closeDisks(disks);
    }
  } finally {
    close();
  }
}

async function runMachine(
  options: RunOptions,
  guest: Guest,
  disks: readonly GuestDisk[],
  networks: readonly GuestNetwork[],
): Promise<number> {
  const loop = new EventLoop();
  let machine: RunnableMachine | undefined;
  let lost: string | undefined;
  const output = openSerialOutput(options, (reason) => {
    lost = reason;
    machine?.stop();
  });
  ensureCore();
  const host: MachineHost = {
    monotonicNowNs,
    wallClockNowMs: () => Date.now(),
    yield: () => loop.yield(),
    sleep: (durationNs) => loop.sleep(durationNs),
    wake: () => loop.wake(),
    writeSerial: (bytes) => output.write(bytes),
    serialCongested: () => output.congested,
  };
  const measure = options.stats || options.statsPath !== undefined;
  machine = createMachine({
    ...options,
    ...guest,
    disks,
    networks,
    measure,
    core: readWholeFile(CORE_WASM),
    host,
    report,
  });
  const disconnect = options.serial.to === "stdio" ? connectSerialInput(machine) : () => {};
  try {
    const end = await machine.run();
    // Whoever quits does not wait for a receiver that has stopped reading.
    await (end.reason === "stopped"
      ? Promise.race([output.drained(), loop.sleep(QUIT_NS)])
      : output.drained());
    disconnect();
    if (options.stats) machine.statistics().forEach(report);
    if (options.statsPath !== undefined)
      writeWholeFile(options.statsPath, `${JSON.stringify(machine.report(), undefined, 2)}\n`);
    if (lost !== undefined) {
      report(`serial output could not be written: ${lost}`);
      return EXIT_OUTPUT_LOST;
    }
    return statusOf(end);
  } catch (error) {
    if (!(error instanceof EnginesDiffer)) throw error;
    disconnect();
    error.report.forEach(report);
    return EXIT_ENGINES_DIFFER;
  } finally {
    disconnect();
    output.close();
  }
}

interface Guest {
  readonly kernel: Uint8Array<ArrayBuffer>;
  readonly initrd: Uint8Array<ArrayBuffer> | undefined;
  readonly commandLine: string;
}

async function readGuest({ kernelPath, initrdPath, append }: RunOptions): Promise<Guest> {
  if (kernelPath !== undefined) {
    return {
      kernel: readWholeFile(kernelPath),
      initrd: initrdPath === undefined ? undefined : readWholeFile(initrdPath),
      commandLine: append ?? "",
    };
  }
  const guest = await prepareDefaultGuest(report);
  report("booting Debian's cloud kernel; Ctrl-A H lists keys for Ringfence itself");
  const words = [guest.commandLine, ...terminalWords(), ...(append === undefined ? [] : [append])];
  return {
    kernel: readWholeFile(guest.kernelPath),
    initrd: readWholeFile(guest.initrdPath),
    commandLine: words.join(" "),
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

function openSerialOutput({ serial }: RunOptions, onLost: (reason: string) => void): SerialOutput {
  if (serial.to === "file") return new FileSerialOutput(serial.path);
  return new StreamSerialOutput(process.stdout, onLost);
}

function statusOf(end: MachineEnd): number {
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
      return debugExitStatus(end.value);
  }
}

/** Tells the user one line. The carriage return is for a terminal in raw mode. */
function report(line: string): void {
  const raw = process.stdin.isTTY && process.stdin.isRaw;
  process.stderr.write(`ringfence: ${line}${raw ? "\r" : ""}\n`);
}
