import path from "node:path";
import process from "node:process";
import type { GuestControl } from "../../control/guest-control.ts";
import { snapshotHost } from "../../host/node/snapshot-files.ts";
import { VmError } from "../../layout/vm-error.ts";
import { saveSnapshot } from "../../machine/snapshot/write-snapshot.ts";
import type { RunOptions } from "../command-line.ts";
import type { RunnableMachine } from "../create-machine.ts";
import { ConsoleLog } from "./console-log.ts";
import { type ControlledMachine, serveConnection } from "./control-server.ts";
import { isMachineName } from "./machine-names.ts";
import { MachineRegistry, type Registration } from "./machine-registry.ts";
import { logFolder } from "./private-folders.ts";
import type { BalloonInfo, MachineInfo } from "./protocol.ts";
import { type AgentParts, SessionAgents } from "./session-agents.ts";

const SHUT_DOWN_MS = 10_000;

/** A guest whose driver is there answers in this time. */
const STATISTICS_MS = 2000;

/** A run's life as a machine with a name, which other commands find and drive. */
export class MachineSession implements ControlledMachine {
  readonly agentParts: AgentParts;
  readonly #options: RunOptions;
  readonly #report: (line: string) => void;
  readonly #listeners = new Set<(bytes: Uint8Array) => void>();
  readonly #agents: SessionAgents;
  #registration: Registration | undefined;
  #log: ConsoleLog | undefined;
  #machine: RunnableMachine | undefined;
  #endPause: (() => void) | undefined;
  #state: MachineInfo["state"] = "starting";

  /**
   * Registers the machine. Where there can be no registry, a machine without a name runs on without.
   * @throws {UsageError} When a machine of this name runs.
   *
   * @param restored The names of the devices of the snapshot that the machine goes on with.
   * @throws {VmError} `file-unwritable`, for a machine that was given a name.
   */
  static async open(
    options: RunOptions,
    restored: readonly string[] | undefined,
    report: (line: string) => void,
  ): Promise<MachineSession> {
    const session = new MachineSession(options, restored, report);
    try {
      await session.#register();
    } catch (error) {
      if (options.name !== undefined || options.detach || !(error instanceof VmError)) throw error;
      report(`other commands will not find this machine: ${error.message}`);
    }
    return session;
  }

  private constructor(
    options: RunOptions,
    restored: readonly string[] | undefined,
    report: (line: string) => void,
  ) {
    this.#options = options;
    this.#report = report;
    this.#agents = new SessionAgents(options, restored, (bytes) =>
      this.#machine?.machine.receiveSecondSerial(bytes),
    );
    this.agentParts = this.#agents.parts;
  }

  get name(): string {
    return this.#registration?.entry.name ?? "";
  }

  /** Whether there is a terminal or pipe for the console; a detached machine has none. */
  get isDetached(): boolean {
    return this.#options.detach;
  }

  /** The machine has been built. */
  started(machine: RunnableMachine): void {
    this.#machine = machine;
    this.#state = "running";
    this.#agents.started(machine.machine.hasSecondSerial);
  }

  consoleWrote(bytes: Uint8Array): void {
    this.#log?.write(bytes);
    for (const take of this.#listeners) take(bytes);
  }

  /** The guest has written to its second serial port. */
  agentWrote(bytes: Uint8Array): void {
    this.#agents.receiveSerial(bytes);
  }

  /** A message of ours, for the log of a machine that nobody looks at. */
  logLine(line: string): void {
    if (this.isDetached) this.#log?.write(new TextEncoder().encode(`ringfence: ${line}\n`));
  }

  /** The machine has ended. */
  close(): void {
    this.#agents.close(new VmError({ code: "machine-ended" }));
    this.#registration?.close();
    this.#log?.close();
  }

  info(): MachineInfo {
    const { name, pid, startedAt, guest, memoryBytes, engine, log } = this.#entry;
    const memory = this.#machine?.machine.memory.sizeBytes ?? memoryBytes;
    const control = this.#control;
    return {
      ...{ name, pid, state: this.#state, startedAt, guest, memoryBytes: memory, engine },
      ...{ agent: control?.agent ?? "none", agentReady: control?.isReady ?? false, log },
    };
  }

  async pause(): Promise<void> {
    const { machine } = this.#running;
    if (this.#state === "paused") return;
    await new Promise<void>((resolve, reject) => {
      const pause = () =>
        new Promise<void>((end) => {
          this.#endPause = end;
          this.#state = "paused";
          resolve();
        });
      machine.whilePaused(pause).catch(reject);
    });
  }

  async resume(): Promise<void> {
    if (this.#state !== "paused") return;
    this.#state = "running";
    this.#endPause?.();
    this.#endPause = undefined;
  }

  async shutDown(): Promise<"agent" | "power button"> {
    const { machine } = this.#running;
    await this.resume();
    this.#state = "stopping";
    if (await this.#shutDownByAgent()) return "agent";
    machine.pressPowerButton();
    return "power button";
  }

  async kill(): Promise<void> {
    const machine = this.#running;
    this.#state = "stopping";
    machine.stop();
    this.#endPause?.();
  }

  snapshot(path: string): Promise<{ fileBytes: number }> {
    const { machine } = this.#running;
    const save = async () => {
      const { fileBytes } = await saveSnapshot(machine, snapshotHost, path);
      return { fileBytes };
    };
    return this.#state === "paused" || this.#control === undefined
      ? save()
      : this.#control.betweenRequests(save);
  }

  async balloon(targetBytes: number | undefined): Promise<BalloonInfo> {
    const balloon = this.#machine?.balloon;
    if (balloon === undefined)
      throw new VmError({
        ...{ code: "option-invalid", option: "balloon", value: this.name },
        expected: "a machine that was run with --balloon",
      });
    if (targetBytes !== undefined) balloon.setTarget(targetBytes);
    const patience = new Promise<null>((resolve) => setTimeout(() => resolve(null), STATISTICS_MS).unref());
    const statistics = await Promise.race([balloon.statistics(), patience]);
    const { inflatedBytes, reportedBytes } = balloon;
    return { targetBytes: balloon.targetBytes, inflatedBytes, reportedBytes, statistics };
  }

  guest(): GuestControl {
    if (this.#state === "paused") throw new VmError({ code: "machine-paused" });
    if (this.#control !== undefined) return this.#control;
    const reason = this.#options.deterministic
      ? "--deterministic leaves out all that comes from outside"
      : "a snapshot was asked for, and it holds no port for one";
    throw new VmError({ code: "agent-unavailable", reason });
  }

  listenToConsole(take: (bytes: Uint8Array) => void): () => void {
    this.#listeners.add(take);
    return () => void this.#listeners.delete(take);
  }

  writeConsole(bytes: Uint8Array): void {
    this.#machine?.receiveSerial(bytes);
  }

  get #control(): GuestControl | undefined {
    return this.#agents.control;
  }

  get #running(): RunnableMachine {
    if (this.#machine === undefined)
      throw new VmError({ code: "agent-unavailable", reason: "the machine is just being started" });
    return this.#machine;
  }

  get #entry() {
    return this.#registration!.entry;
  }

  async #shutDownByAgent(): Promise<boolean> {
    const control = this.#control;
    if (control === undefined || !control.isReady) return false;
    const late = new Promise<false>((resolve) => setTimeout(() => resolve(false), SHUT_DOWN_MS).unref());
    const asked = control.shutDown().then(
      () => true,
      () => false,
    );
    return Promise.race([asked, late]);
  }

  async #register(): Promise<void> {
    const { name, image, kernelPath, restorePath, memoryBytes, engine } = this.#options;
    const guest = restorePath ?? image?.name ?? kernelPath ?? "default guest";
    const ownName = path.basename(image?.name ?? "");
    const preferredName = isMachineName(ownName) ? ownName : undefined;
    this.#registration = await new MachineRegistry().register(
      name,
      { guest, preferredName, memoryBytes, engine, log: (own) => this.#openLog(own) },
      (socket) => serveConnection(this, this.name, socket),
    );
  }

  #openLog(name: string): string | null {
    try {
      this.#log = new ConsoleLog(logFolder(), name, { report: this.#report });
      return this.#log.path;
    } catch (error) {
      this.#report(`the machine runs without a log: ${(error as Error).message}`);
      return null;
    }
  }
}

/** In a detached process: the one who started it may go. */
export function tellStarted(name: string): void {
  process.send?.({ started: name });
  process.disconnect?.();
}
