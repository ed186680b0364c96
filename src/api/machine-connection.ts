import { prepareThread, type StartedThread, startThread } from "../host/node/machine-thread.ts";
import { VmError } from "../layout/vm-error.ts";
import type { MachineEnd } from "../machine/machine-end.ts";
import type { FromDevices, ToDevices } from "./device-request.ts";
import { receiveError } from "./sent-error.ts";
import type {
  AgentKind,
  Call,
  Calls,
  FromThread,
  MachineRequest,
  SerialPort,
  ToThread,
} from "./thread-protocol.ts";

/** What a connection tells its owner. */
export interface MachineEvents {
  serial(port: SerialPort, bytes: Uint8Array<ArrayBuffer>): void;
  /** A program in the guest has opened or closed the agent's port. */
  agentOpened(open: boolean): void;
  progress(line: string): void;
  devices(message: FromDevices): void;
  /** Called once, with why the machine has ended or with what its thread died of. */
  ended(outcome: MachineEnd | Error): void;
}

/** The machine as its thread describes it once it is made. */
export interface MadeMachine {
  readonly memoryBytes: number;
  readonly agent: AgentKind;
  readonly agentIsOpen: boolean;
}

const THREAD = "src/api/machine-thread.ts";

/** Starts a thread for the next machine, so that this is there sooner. */
export function prepareMachineThread(): void {
  prepareThread(THREAD);
}

/** The program's end of the way to the thread of one machine. */
export class MachineConnection {
  readonly #thread: StartedThread<ToThread, FromThread>;
  readonly #events: MachineEvents;
  readonly #calls = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  readonly #made = Promise.withResolvers<MadeMachine>();
  #nextId = 0;
  #isMade = false;
  #outcome: MachineEnd | Error | undefined;

  constructor(request: MachineRequest, events: MachineEvents) {
    this.#events = events;
    this.#thread = startThread(THREAD, request);
    this.#made.promise.catch(() => {});
    this.#thread.listen((message) => this.#receive(message));
    this.#thread.onExit((cause) => {
      const died = cause instanceof Error ? cause : new VmError({ code: "machine-ended" });
      this.#end(died);
    });
  }

  /** Resolves when the machine is there; rejects when it could not be made. */
  get made(): Promise<MadeMachine> {
    return this.#made.promise;
  }

  /** Rejects with `machine-ended` when the machine has ended. */
  call<Method extends keyof Calls>(
    method: Method,
    parameters: Calls[Method]["parameters"],
  ): Promise<Calls[Method]["result"]> {
    if (this.#outcome !== undefined) return Promise.reject(this.#endedError());
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#calls.set(id, { resolve: resolve as (value: unknown) => void, reject });
      // The union of all calls is what each single one belongs to.
      this.#thread.post({ kind: "call", id, call: { method, ...parameters } as unknown as Call });
    });
  }

  sendSerial(port: SerialPort, bytes: Uint8Array): void {
    if (this.#outcome === undefined) this.#thread.post({ kind: "serial", port, bytes });
  }

  sendToDevices(message: ToDevices): void {
    if (this.#outcome === undefined) this.#thread.post(message);
  }

  /** Serial output has been used. */
  taken(bytes: number): void {
    if (this.#outcome === undefined) this.#thread.post({ kind: "taken", bytes });
  }

  async terminate(): Promise<void> {
    await this.#thread.terminate();
  }

  #receive(message: FromThread): void {
    switch (message.kind) {
      case "made":
        this.#isMade = true;
        this.#made.resolve(message);
        break;
      case "failed":
        this.#made.reject(receiveError(message.error));
        this.#end(receiveError(message.error));
        break;
      case "disk":
      case "frame":
      case "deviceError":
        this.#events.devices(message);
        break;
      case "progress":
        this.#events.progress(message.line);
        break;
      case "serial":
        this.#events.serial(message.port, message.bytes);
        break;
      case "agentOpened":
        this.#events.agentOpened(message.open);
        break;
      case "reply":
        this.#take(message.id)?.resolve(message.value);
        break;
      case "refusal":
        this.#take(message.id)?.reject(receiveError(message.error));
        break;
      case "ended":
        this.#end(message.end);
        break;
    }
  }

  #take(id: number) {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    return call;
  }

  #end(outcome: MachineEnd | Error): void {
    if (this.#outcome !== undefined) return;
    this.#outcome = outcome;
    if (!this.#isMade && outcome instanceof Error) this.#made.reject(outcome);
    this.#events.ended(outcome);
    for (const { reject } of this.#calls.values()) reject(this.#endedError());
    this.#calls.clear();
    void this.#thread.terminate();
  }

  #endedError(): Error {
    return this.#outcome instanceof Error ? this.#outcome : new VmError({ code: "machine-ended" });
  }
}
