import { connect } from "node:net";
import { receiveError } from "../../api/sent-error.ts";
import type { SentError } from "../../api/thread-protocol.ts";
import { fromBase64, toBase64 } from "../../control/base64.ts";
import type { GuestControl } from "../../control/guest-control.ts";
import type { OutputStream } from "../../control/streamed-command.ts";
import { VmError } from "../../layout/vm-error.ts";
import { nearest } from "../suggestion.ts";
import { UsageError } from "../usage-error.ts";
import { type MachineEntry, MachineRegistry } from "./machine-registry.ts";
import { MessageSocket } from "./message-socket.ts";
import { type Method, type Methods, type OutputEvent, PROTOCOL_VERSION } from "./protocol.ts";

interface Call {
  resolve(result: unknown): void;
  reject(error: Error): void;
  output?(stream: OutputStream, bytes: Uint8Array): void;
  /** The next piece of input is wanted. */
  inputWanted?(): void;
}

/** A command's end of the way to a running machine. */
export class ControlClient {
  readonly entry: MachineEntry;
  /** Resolves when the machine has closed the connection: it has ended. */
  readonly closed: Promise<void>;
  readonly #socket: MessageSocket;
  readonly #calls = new Map<number, Call>();
  readonly #greeted = Promise.withResolvers<void>();
  #isGreeted = false;
  #nextId = 1;
  #isClosed = false;

  private constructor(entry: MachineEntry) {
    this.entry = entry;
    const closed = Promise.withResolvers<void>();
    this.closed = closed.promise;
    this.#greeted.promise.catch(() => {});
    this.#socket = new MessageSocket(connect(entry.address), {
      message: (message) => this.#receive(message as Record<string, unknown>),
      closed: () => {
        this.#isClosed = true;
        const error = new VmError({ code: "machine-ended" });
        this.#greeted.reject(error);
        for (const call of this.#calls.values()) call.reject(error);
        this.#calls.clear();
        closed.resolve();
      },
    });
  }

  /** @throws {UsageError} When no machine of this name runs. */
  static async connect(name: string, registry = new MachineRegistry()): Promise<ControlClient> {
    const entry = await registry.find(name);
    if (entry === undefined) throw await unknownMachine(name, registry);
    const client = new ControlClient(entry);
    await client.#greeted.promise;
    return client;
  }

  /** To a machine that is known to run. @throws {VmError} `machine-ended`. */
  static async connectTo(entry: MachineEntry): Promise<ControlClient> {
    const client = new ControlClient(entry);
    await client.#greeted.promise;
    return client;
  }

  call<M extends Method>(
    method: M,
    parameters: Methods[M]["parameters"],
    options: {
      output?: Call["output"];
      /** Gives the next piece of input when it is asked for; an empty one is the end. */
      input?: () => Promise<Uint8Array>;
      signal?: AbortSignal;
      started?: (id: number) => void;
    } = {},
  ): Promise<Methods[M]["result"]> {
    if (this.#isClosed) return Promise.reject(new VmError({ code: "machine-ended" }));
    const { output, input, signal, started } = options;
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#calls.set(id, {
        resolve: resolve as (result: unknown) => void,
        reject,
        ...(output === undefined ? {} : { output }),
        // Input that cannot be read is at its end.
        inputWanted: () =>
          void input?.().then(
            (bytes) => this.sendInput(id, bytes),
            () => this.sendInput(id, new Uint8Array()),
          ),
      });
      void this.#socket.send({ id, method, parameters });
      signal?.addEventListener("abort", () => void this.#socket.send({ id, cancel: true }));
      started?.(id);
    });
  }

  /** More for a request under way. */
  async sendInput(id: number, bytes: Uint8Array): Promise<void> {
    await this.#socket.send({ id, input: toBase64(bytes) });
  }

  /** Files of the guest. */
  get files(): Pick<GuestControl, "readFile" | "writeFile"> {
    return {
      readFile: async (path, offset, mostBytes) => {
        const { bytes } = await this.call("readFile", { path, offset, mostBytes });
        return fromBase64(bytes) ?? new Uint8Array();
      },
      writeFile: async (path, bytes, { append, mode }) => {
        await this.call("writeFile", { path, bytes: toBase64(bytes), append, mode: mode ?? null });
      },
    };
  }

  close(): void {
    this.#socket.close();
  }

  #receive(message: Record<string, unknown>): void {
    if (!this.#isGreeted) return this.#greet(message);
    const call = this.#calls.get(Number(message["id"]));
    if (call === undefined) return;
    if ("event" in message) {
      const { stream, bytes } = message["event"] as OutputEvent;
      if (stream === "stdin") call.inputWanted?.();
      else call.output?.(stream, fromBase64(bytes) ?? new Uint8Array());
      return;
    }
    this.#calls.delete(Number(message["id"]));
    if ("error" in message) call.reject(receiveError(message["error"] as SentError));
    else call.resolve(message["result"]);
  }

  #greet(message: Record<string, unknown>): void {
    this.#isGreeted = true;
    if (message["ringfence"] === PROTOCOL_VERSION) return this.#greeted.resolve();
    const version = String(message["ringfence"]);
    this.#greeted.reject(
      new UsageError(
        `machine ${this.entry.name} speaks version ${version} of the control protocol, this Ringfence version ${PROTOCOL_VERSION}; use the Ringfence that started it`,
      ),
    );
    this.#socket.close();
  }
}

async function unknownMachine(name: string, registry: MachineRegistry): Promise<UsageError> {
  const names = (await registry.list()).map((entry) => entry.name);
  const guess = nearest(name, names);
  if (guess !== undefined) return new UsageError(`no machine ${name} is running; did you mean ${guess}?`);
  const hint = names.length === 0 ? "none is; ringfence run starts one" : `running: ${names.join(", ")}`;
  return new UsageError(`no machine ${name} is running; ${hint}`);
}
