// Longer than most: all that a program can ask of a machine.

import { commandScript } from "../control/command-script.ts";
import { inPieces, PIECE_BYTES, readWhole, receiveFile, sendFile } from "../control/file-transfer.ts";
import type { RunInGuest } from "../control/folder-transfer.ts";
import { runPiped } from "../control/piped-command.ts";
import { runStreamed } from "../control/streamed-command.ts";
import { CopyCount } from "../host/copy-count.ts";
import { openPieces, writePieces } from "../host/node/file-pieces.ts";
import { isFolder } from "../host/node/files.ts";
import { withTemporaryPath } from "../host/node/temporary-file.ts";
import { VmError } from "../layout/vm-error.ts";
import type { MachineEnd } from "../machine/machine-end.ts";
import { AgentConnection } from "./agent-connection.ts";
import { allBytes, commandResult } from "./command-result.ts";
import type { SocketStreams } from "./device-options.ts";
import { copyFolderIn, copyFolderOut, type FolderCopy } from "./folder-copy.ts";
import { MachineConnection, type MadeMachine } from "./machine-connection.ts";
import type {
  BalloonState,
  CommandResult,
  CopyOptions,
  CopySummary,
  CreateOptions,
  ExecOptions,
  RestoreOptions,
  SnapshotOptions,
  SnapshotSummary,
  VirtualMachineEvents,
  VirtualMachineStatistics,
} from "./options.ts";
import { checkSocketPort } from "./plan-devices.ts";
import { ProgramDevices } from "./program-devices.ts";
import { SerialStreams } from "./serial-streams.ts";
import type { BootRequest, MachineRequest, RestoreRequest } from "./thread-protocol.ts";

/** What a machine begins with: its request but for the devices. */
type Guest = Omit<BootRequest, "devices"> | Omit<RestoreRequest, "devices">;

const DEFAULT_MEMORY_BYTES = 512 << 20;
const DEFAULT_OUTPUT_BYTES = 64 << 20;
const MOST_INPUT_BYTES = 64 << 20;

/**
 * A virtual machine in a thread of its own: the caller's thread never waits for it.
 *
 * It is made by `create` or `restore`, runs from `start` on, and ends when its guest powers off, when `stop` is called,
 * or with the scope of an `await using`. Methods that need the machine reject with a `VmError` of the code
 * `machine-ended` afterwards.
 */
export class VirtualMachine implements AsyncDisposable {
  /** Guest memory in bytes. */
  readonly memoryBytes: number;
  /** The guest's first serial port, where the default guest has its console. */
  readonly console: SerialStreams;
  readonly #connection: MachineConnection;
  readonly #devices: ProgramDevices;
  readonly #events: VirtualMachineEvents;
  /** What a clone is made with again. */
  readonly #options: RestoreOptions;
  readonly #agent: AgentConnection;
  readonly #ended: Promise<MachineEnd>;
  readonly #runForCopy: RunInGuest = (script, { piped, ...command }) =>
    piped
      ? runPiped(this.#agent.control, script, command)
      : runStreamed(this.#agent.control, script, command);
  #phase: "made" | "running" | "paused" | "ended" = "made";

  /**
   * Makes a machine and loads its guest; without a `kernel`, the default guest, which is Debian's cloud kernel with
   * busybox, fetched when it is first needed.
   *
   * @throws {VmError} `memory-size-unsupported`, `kernel-*`, `initrd-too-large`, `command-line-too-long`, `file-*`,
   *   `option-invalid`.
   * @throws {GuestUnavailableError} Where the default guest cannot be fetched.
   */
  static create(options: CreateOptions = {}): Promise<VirtualMachine> {
    const request: Guest = {
      kind: "boot",
      kernel: options.kernel,
      initrd: options.initrd,
      commandLine: options.commandLine ?? "",
      memoryBytes: options.memoryBytes ?? DEFAULT_MEMORY_BYTES,
      deterministic: options.deterministic ?? false,
      debugExitPort: options.debugExitPort,
      ...runningOptions(options),
    };
    return VirtualMachine.#make(request, options);
  }

  /**
   * Makes a machine from a snapshot. Any number can be made from one file; they share nothing.
   *
   * @throws {VmError} `snapshot-*`, `file-not-found`, `file-unreadable`, `memory-size-unsupported`.
   */
  static restore(path: string, options: RestoreOptions = {}): Promise<VirtualMachine> {
    return VirtualMachine.#make({ kind: "restore", path, ...runningOptions(options) }, options);
  }

  static async #make(guest: Guest, options: RestoreOptions): Promise<VirtualMachine> {
    const { signal, events = {} } = options;
    signal?.throwIfAborted();
    if (guest.learn && guest.engine !== "auto") {
      const expected = "false with this engine, which keeps nothing for later machines";
      throw new VmError({ code: "option-invalid", option: "learn", value: "true", expected });
    }
    const devices = await ProgramDevices.prepare(options, (message) => events.deviceError?.(message));
    const request: MachineRequest = { ...guest, devices: devices.request };
    const ended = Promise.withResolvers<MachineEnd>();
    ended.promise.catch(() => {});
    let machine: VirtualMachine | undefined;
    const connection = new MachineConnection(request, {
      serial: (port, bytes) => {
        if (machine === undefined) return; // it prints nothing before it is started
        if (port === "console") machine.console.receive(bytes);
        else machine.#receiveAgent(bytes);
      },
      agentOpened: (open) => {
        if (machine !== undefined) machine.#agent.guestOpened(open);
      },
      progress: (line) => events.progress?.(line),
      devices: (message) => devices.receive(message),
      ended: (outcome) => {
        if (outcome instanceof Error) ended.reject(outcome);
        else ended.resolve(outcome);
        if (machine !== undefined) machine.#finish();
      },
    });
    const abort = () => void connection.terminate();
    signal?.addEventListener("abort", abort);
    const letGo = () => {
      signal?.removeEventListener("abort", abort);
      devices.close();
    };
    ended.promise.finally(letGo).catch(() => {});
    try {
      const made = await connection.made;
      machine = new VirtualMachine(connection, made, request, ended.promise, options, devices);
      devices.connect(options, (message) => connection.sendToDevices(message));
      return machine;
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  }

  private constructor(
    connection: MachineConnection,
    made: MadeMachine,
    request: MachineRequest,
    ended: Promise<MachineEnd>,
    options: RestoreOptions,
    devices: ProgramDevices,
  ) {
    this.#connection = connection;
    this.#devices = devices;
    this.memoryBytes = made.memoryBytes;
    this.#ended = ended;
    this.#events = options.events ?? {};
    this.#options = options;
    this.console = new SerialStreams(
      (bytes) => connection.sendSerial("console", bytes),
      (bytes) => connection.taken(bytes),
    );
    this.#agent = new AgentConnection(connection, made, request);
  }

  /** Resolves with why the machine has ended. Rejects when its thread died of a bug. */
  get ended(): Promise<MachineEnd> {
    return this.#ended;
  }

  get state(): "made" | "running" | "paused" | "ended" {
    return this.#phase;
  }

  /** Lets the machine run. Does nothing when it runs already. */
  async start(): Promise<void> {
    if (this.#phase === "paused") return this.resume();
    if (this.#phase === "running") return;
    if (this.#phase === "made") this.#phase = "running";
    await this.#connection.call("start", {});
  }

  /** Resolves when the machine stands still. Time stands still for its guest until `resume`. */
  async pause(): Promise<void> {
    if (this.#phase !== "running") {
      if (this.#phase === "ended") throw new VmError({ code: "machine-ended" });
      return;
    }
    await this.#connection.call("pause", {});
    this.#phase = "paused";
    this.#events.paused?.();
  }

  async resume(): Promise<void> {
    if (this.#phase === "made") return this.start();
    if (this.#phase !== "paused") return;
    this.#phase = "running";
    await this.#connection.call("resume", {});
    this.#events.resumed?.();
  }

  /** Pulls the plug. Resolves when the machine has ended; does nothing more when it has. */
  async stop(): Promise<MachineEnd> {
    if (this.#phase === "made") {
      await this.#connection.terminate();
      return { reason: "stopped" };
    }
    if (this.#phase !== "ended") await this.#connection.call("stop", {}).catch(() => {});
    return this.#ended;
  }

  /** Asks the guest to shut down, as the power button does. */
  async pressPowerButton(): Promise<void> {
    await this.#connection.call("pressPowerButton", {});
  }

  /**
   * Saves the machine to a file. A running machine stands still meanwhile and then goes on.
   *
   * @throws {VmError} `file-unwritable`; with a parent, `snapshot-*`.
   */
  async snapshot(path: string, options: SnapshotOptions = {}): Promise<SnapshotSummary> {
    const { parentPath, packed } = options;
    const save = () => this.#connection.call("snapshot", { path, parentPath, packed });
    return this.#agent.control.betweenRequests(save);
  }

  /** Forgets the guest's code as it was decoded: a later snapshot then brings only what has run since. */
  async forgetCode(): Promise<void> {
    await this.#connection.call("forgetCode", {});
  }

  /**
   * Makes another machine that goes on from where this one is, with the same devices unless `options` name others. It has
   * not been started.
   */
  clone(options: RestoreOptions = {}): Promise<VirtualMachine> {
    return withTemporaryPath("clone.snapshot", async (path) => {
      await this.snapshot(path, { packed: false });
      const { signal: _, events: _events, ...same } = this.#options;
      return VirtualMachine.restore(path, { ...same, ...options });
    });
  }

  /**
   * Runs a command in the guest: text for its shell, or a list of words that are taken as they are. Several may run at
   * a time. The default guest can; one of your own with `guestAgent`.
   *
   * @throws {VmError} `agent-unavailable`, `command-output-too-large`; the signal's reason when it is aborted.
   */
  async exec(command: string | readonly string[], options: ExecOptions = {}): Promise<CommandResult> {
    const { signal, env, cwd, output, mostOutputBytes = DEFAULT_OUTPUT_BYTES } = options;
    const script = commandScript(command, { folder: cwd, environment: env });
    const input = await allBytes(options.input, MOST_INPUT_BYTES);
    if (output !== undefined) {
      const status = await runStreamed(this.#agent.control, script, { input, signal, output });
      return commandResult({ status, stdout: new Uint8Array(), stderr: new Uint8Array() });
    }
    return commandResult(await this.#agent.control.run(script, { input, signal, mostOutputBytes }));
  }

  /**
   * Writes a file in the guest; its folder must be there.
   * @throws {VmError} `guest-file-failed`, and what `exec` throws.
   */
  async writeFile(
    path: string,
    content: string | Uint8Array,
    options: { mode?: number } = {},
  ): Promise<void> {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await sendFile(this.#agent.control, inPieces(bytes), path, options.mode);
  }

  /**
   * Reads a file of the guest.
   * @throws {VmError} `guest-file-failed`, also where it has more than `mostBytes` (64 MiB if absent), and what `exec`
   * throws.
   */
  async readFile(path: string, options: { mostBytes?: number } = {}): Promise<Uint8Array> {
    return readWhole(this.#agent.control, path, options.mostBytes ?? DEFAULT_OUTPUT_BYTES);
  }

  /**
   * Copies a file of this host into the guest, with its permissions, however large it is; or a folder, with all that is in
   * it. A folder becomes `guestPath`, or one in it where that is a folder that is there; of a path that ends with "/." it
   * is the contents.
   *
   * @throws {VmError} `file-not-found`, `file-unreadable`, and what `writeFile` throws.
   */
  async copyIn(hostPath: string, guestPath: string, options: CopyOptions = {}): Promise<CopySummary> {
    if (isFolder(hostPath))
      return summary(await copyFolderIn(this.#runForCopy, hostPath, guestPath, options));
    const { mode, pieces } = await openPieces(hostPath, PIECE_BYTES);
    const count = new CopyCount();
    await sendFile(this.#agent.control, counted(pieces, count, options.signal), guestPath, mode);
    return summary({ target: guestPath, count });
  }

  /**
   * Copies a file of the guest to this host, however large it is; or a folder, as `copyIn` does. Nothing is written but in
   * that folder, whatever the guest sends.
   *
   * @throws {VmError} `file-unwritable`, and what `readFile` throws.
   */
  async copyOut(guestPath: string, hostPath: string, options: CopyOptions = {}): Promise<CopySummary> {
    if ((await this.exec(["test", "-d", guestPath], options)).status === 0)
      return summary(await copyFolderOut(this.#runForCopy, guestPath, hostPath, options));
    const count = new CopyCount();
    const pieces = receiveFile(this.#agent.control, guestPath);
    await writePieces(hostPath, counted(pieces, count, options.signal));
    return summary({ target: hostPath, count });
  }

  /** The guest's time of day. A guest that was paused or restored may be behind. */
  async guestTime(): Promise<Date> {
    return new Date(await this.#agent.control.readTime());
  }

  async setGuestTime(time: Date): Promise<void> {
    await this.#agent.control.setTime(time.getTime());
  }

  /** Asks the guest's agent to power the guest off; `ended` resolves when it has. */
  async shutDown(): Promise<void> {
    await this.#agent.control.shutDown();
  }

  /**
   * Copies guest physical memory out of a machine that stands still.
   * @throws {VmError} `machine-not-paused`, `address-unmapped`.
   */
  async readMemory(address: number, length: number): Promise<Uint8Array> {
    this.#mustStand();
    return this.#connection.call("readMemory", { address, length });
  }

  /** @throws {VmError} `machine-not-paused`, `address-unmapped`. */
  async writeMemory(address: number, bytes: Uint8Array): Promise<void> {
    this.#mustStand();
    await this.#connection.call("writeMemory", { address, bytes });
  }

  /**
   * Connects to a port of the guest's AF_VSOCK sockets, of a machine that was made with `sockets`. Where the guest has no
   * driver, or nobody listens, it fails.
   *
   * @throws {VmError} `option-invalid`, `connection-failed`.
   */
  async connect(port: number): Promise<SocketStreams> {
    checkSocketPort("port", port);
    return this.#devices.connected((path) => this.#connection.call("connectSocket", { port, path }));
  }

  /**
   * Has the guest give up `bytes` of its memory as soon as it can, or take it back: 0. For a machine that was made with
   * `balloon`.
   *
   * @throws {VmError} `option-invalid`.
   */
  async setBalloon(bytes: number): Promise<BalloonState> {
    if (!(Number.isSafeInteger(bytes) && bytes >= 0 && bytes <= this.memoryBytes)) {
      const expected = `whole bytes, at most ${this.memoryBytes}`;
      throw new VmError({ code: "option-invalid", option: "bytes", value: String(bytes), expected });
    }
    return this.#connection.call("balloon", { targetBytes: bytes });
  }

  /** How far the guest has got with `setBalloon`, and what it says of its memory. @throws {VmError} `option-invalid`. */
  async balloon(): Promise<BalloonState> {
    return this.#connection.call("balloon", { targetBytes: undefined });
  }

  async statistics(): Promise<VirtualMachineStatistics> {
    return this.#connection.call("statistics", {});
  }

  /** Ends the machine, as `stop`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop().catch(() => {});
  }

  #mustStand(): void {
    if (this.#phase === "running") throw new VmError({ code: "machine-not-paused" });
  }

  #receiveAgent(bytes: Uint8Array): void {
    this.#agent.receive(bytes);
    this.#connection.taken(bytes.length);
  }

  #finish(): void {
    this.#phase = "ended";
    this.console.end();
    this.#agent.control.close(new VmError({ code: "machine-ended" }));
    this.#events.ended?.();
  }
}

/** How a machine runs, however it begins. */
function runningOptions({ engine = "auto", learn = false, noReboot = false }: RestoreOptions) {
  return { engine, learn, noReboot };
}

/** Passes a file's pieces on. */
async function* counted(
  pieces: AsyncIterable<Uint8Array>,
  count: CopyCount,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    signal?.throwIfAborted();
    count.bytes += piece.length;
    yield piece;
  }
  count.files = 1;
}

function summary({ target, count }: Pick<FolderCopy, "target" | "count">): CopySummary {
  const { files, bytes, leftOut, leftOutNames } = count;
  return { path: target, files, bytes, leftOut, leftOutNames };
}
