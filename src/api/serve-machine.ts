import { AGENT_PORT_NAME } from "../control/qemu-guest-agent/agent-link.ts";
import { codeVersion } from "../host/node/code-version.ts";
import { compileRegions } from "../host/node/compile-regions.ts";
import { CORE_WASM, ensureCore } from "../host/node/core-module.ts";
import { EventLoop } from "../host/node/event-loop.ts";
import { readWholeFile } from "../host/node/files.ts";
import { hostTime } from "../host/node/host-time.ts";
import { type InterpreterCacheFile, openInterpreterCache } from "../host/node/interpreter-cache-file.ts";
import { type ThreadEnd, thisThread } from "../host/node/machine-thread.ts";
import { RegionCacheFolder } from "../host/node/region-cache-file.ts";
import { snapshotHost } from "../host/node/snapshot-files.ts";
import { VmError } from "../layout/vm-error.ts";
import { createProcessor } from "../machine/create-processor.ts";
import { Machine } from "../machine/machine.ts";
import type { MachineHost } from "../machine/machine-host.ts";
import type { MachineOptions } from "../machine/machine-options.ts";
import { restoreMachine } from "../machine/snapshot/restore-machine.ts";
import { saveSnapshot } from "../machine/snapshot/write-snapshot.ts";
import { HostPort } from "../virtio/console/host-port.ts";
import { VirtioConsole } from "../virtio/console/virtio-console.ts";
import { MachineDevices } from "./machine-devices.ts";
import { readGuest } from "./read-guest.ts";
import { sendError } from "./sent-error.ts";
import type { Call, FromThread, MachineRequest, SerialPort, ToThread } from "./thread-protocol.ts";

/** The guest waits when the program is this much behind in taking its serial output. */
const MOST_UNTAKEN_BYTES = 1 << 20;

/** Makes the machine that this thread was started for, and does what is asked of it until the thread is ended. */
export async function serveMachine(): Promise<void> {
  const program = thisThread<FromThread, ToThread, MachineRequest>();
  const thread = new MachineThread(program);
  try {
    // What every machine needs is ready before it is known which machine it is to be.
    ensureCore();
    const cache = openInterpreterCache(codeVersion());
    const coreModule = cache.compile(readWholeFile(CORE_WASM));
    await thread.make(coreModule, cache, await program.data);
  } catch (error) {
    program.post({ kind: "failed", error: sendError(error) });
  }
}

class MachineThread {
  readonly #program: ThreadEnd<FromThread, ToThread>;
  readonly #loop = new EventLoop();
  readonly #regions = new RegionCacheFolder();
  #devices: MachineDevices | undefined;
  #agentPort: HostPort | undefined;
  #untakenBytes = 0;
  #saveAtEnd = () => {};
  /** Ends a pause under way. */
  #endPause: (() => void) | undefined;

  constructor(program: ThreadEnd<FromThread, ToThread>) {
    this.#program = program;
  }

  async make(
    coreModule: WebAssembly.Module,
    interpreterCache: InterpreterCacheFile,
    request: MachineRequest,
  ): Promise<void> {
    const build = (options: Omit<MachineOptions, "createProcessor" | "host" | "noReboot">): Machine =>
      new Machine({
        ...options,
        noReboot: request.noReboot,
        createDevices: (host) => [
          ...(wantsAgentPort(request) ? [this.#createAgentConsole()] : []),
          ...devices.create(host),
        ],
        host: this.#host(),
        createProcessor: (surroundings, memory) => {
          const { ramBytes, deterministic } = options;
          const { engine, learn: learns } = request;
          const code = "state" in options.boot ? options.boot.code : undefined;
          const common = {
            coreModule,
            ramBytes,
            deterministic,
            engine,
            learns,
            surroundings,
            memory,
            compileRegions,
            openRegionCache: (version: string) => this.#regions.open(version),
            interpreterCache,
          };
          return createProcessor({ ...common, codeVersion: codeVersion(), code }).processor;
        },
      });
    const devices = await MachineDevices.open(request.devices, {
      post: (message, moved) => this.#program.post(message, moved),
      wake: () => this.#loop.wake(),
    });
    this.#devices = devices;
    const machine =
      request.kind === "restore"
        ? await restore(request.path, build)
        : build({
            ramBytes: request.memoryBytes,
            deterministic: request.deterministic,
            debugExitPort: request.debugExitPort,
            secondSerial: !wantsAgentPort(request),
            boot: await readGuest(request, devices.shareTags, (line) =>
              this.#program.post({ kind: "progress", line }),
            ),
          });
    this.#saveAtEnd = () => interpreterCache.close();
    this.#program.listen((message) => this.#receive(machine, message));
    this.#program.post({
      kind: "made",
      memoryBytes: machine.memory.sizeBytes,
      agentIsOpen: this.#agentPort?.guestOpened ?? false,
      agent: this.#agentPort !== undefined ? "qemu" : hasShellAgent(machine, request) ? "shell" : "none",
    });
  }

  /** A reset makes the device anew, with the same port. */
  #createAgentConsole(): VirtioConsole {
    this.#agentPort ??= this.#openAgentPort();
    return new VirtioConsole([this.#agentPort]);
  }

  #openAgentPort(): HostPort {
    const port: HostPort = new HostPort(AGENT_PORT_NAME, {
      receive: (bytes) => {
        this.#sendSerial("agent", bytes);
        port.congested = this.#isBehind;
      },
      guestOpened: (open) => this.#program.post({ kind: "agentOpened", open }),
    });
    port.open();
    return port;
  }

  get #isBehind(): boolean {
    return this.#untakenBytes > MOST_UNTAKEN_BYTES;
  }

  #sendSerial(port: SerialPort, bytes: Uint8Array): void {
    this.#untakenBytes += bytes.length;
    const own = Uint8Array.from(bytes);
    this.#program.post({ kind: "serial", port, bytes: own }, [own]);
  }

  #host(): MachineHost {
    return {
      ...hostTime(this.#loop),
      writeSerial: (bytes) => this.#sendSerial("console", bytes),
      writeSecondSerial: (bytes) => this.#sendSerial("agent", bytes),
      serialCongested: () => this.#isBehind,
    };
  }

  #receive(machine: Machine, message: ToThread): void {
    switch (message.kind) {
      case "diskDone":
      case "diskFailed":
      case "frame":
      case "frameTaken":
        this.#devices?.receive(message);
        break;
      case "taken":
        this.#untakenBytes -= message.bytes;
        if (this.#agentPort !== undefined) this.#agentPort.congested = this.#isBehind;
        this.#loop.wake();
        break;
      case "serial":
        if (message.port === "console") machine.receiveSerial(message.bytes);
        else if (this.#agentPort === undefined) machine.receiveSecondSerial(message.bytes);
        else this.#agentPort.write(message.bytes);
        break;
      case "call":
        this.#answer(machine, message.id, message.call);
        break;
    }
  }

  async #answer(machine: Machine, id: number, call: Call): Promise<void> {
    try {
      this.#program.post({ kind: "reply", id, value: await this.#do(machine, call) });
    } catch (error) {
      this.#program.post({ kind: "refusal", id, error: sendError(error) });
    }
  }

  async #do(machine: Machine, call: Call): Promise<unknown> {
    switch (call.method) {
      case "start":
        this.#run(machine);
        return;
      case "pause":
        return this.#pause(machine);
      case "resume":
        this.#endPause?.();
        return;
      case "stop":
        machine.stop();
        this.#endPause?.();
        return;
      case "pressPowerButton":
        machine.pressPowerButton();
        return;
      case "snapshot":
        return saveSnapshot(machine, snapshotHost, call.path, call);
      case "forgetCode":
        return machine.whilePaused(() => machine.processor.forgetCode());
      case "readMemory":
        return machine.memory.read(call.address, call.length);
      case "writeMemory":
        machine.memory.write(call.address, call.bytes);
        machine.processor.forgetCode();
        return;
      case "connectSocket":
        return this.#devices?.connectSocket(call.port, call.path);
      case "balloon":
        return this.#devices?.balloon(call.targetBytes);
      case "statistics": {
        const { instructions, guestTimeNs, resets } = machine.statistics();
        return { instructions, guestTimeNs, resets };
      }
    }
  }

  #run(machine: Machine): void {
    const run = async () => {
      const end = await machine.run();
      await this.#devices?.close();
      this.#regions.close();
      this.#saveAtEnd();
      this.#program.post({ kind: "ended", end });
    };
    run().catch((error: unknown) => this.#program.post({ kind: "failed", error: sendError(error) }));
  }

  /** Resolves when the machine stands still; it does until `resume`. */
  #pause(machine: Machine): Promise<void> {
    return new Promise((resolve, reject) => {
      const pause = () =>
        new Promise<void>((end) => {
          this.#endPause = end;
          resolve();
        });
      machine.whilePaused(pause).catch(reject);
    });
  }
}

/** The QEMU guest agent is for kernels of one's own; the default guest has an agent on its second serial port. */
function wantsAgentPort(request: MachineRequest): boolean {
  return request.devices.guestAgent && (request.kind === "restore" || request.kernel !== undefined);
}

function hasShellAgent(machine: Machine, request: MachineRequest): boolean {
  return machine.hasSecondSerial && (request.kind === "restore" || request.kernel === undefined);
}

async function restore(
  path: string,
  build: (options: Omit<MachineOptions, "createProcessor" | "host" | "noReboot">) => Machine,
): Promise<Machine> {
  const { machine } = await restoreMachine(snapshotHost, path, (saved, configuration) => {
    const { ramBytes, deterministic, debugExitPort, secondSerial } = configuration;
    return build({
      ramBytes,
      deterministic,
      secondSerial,
      debugExitPort: debugExitPort ?? undefined,
      boot: saved,
    });
  });
  if (machine.end !== undefined) throw new VmError({ code: "machine-ended" });
  return machine;
}
