import type { Socket } from "node:net";
import path from "node:path";
import { sendError } from "../../api/sent-error.ts";
import { fromBase64, toBase64 } from "../../control/base64.ts";
import type { GuestControl } from "../../control/guest-control.ts";
import { runPiped } from "../../control/piped-command.ts";
import { type OutputStream, runStreamed } from "../../control/streamed-command.ts";
import { VmError } from "../../layout/vm-error.ts";
import { MessageSocket } from "./message-socket.ts";
import { type BalloonInfo, type MachineInfo, type OutputEvent, PROTOCOL_VERSION } from "./protocol.ts";

const MOST_REQUESTS = 64;
/** An attached terminal that takes nothing is let go. */
const MOST_UNTAKEN_BYTES = 4 << 20;

/** A machine as its control server drives it. Every method may reject with a `VmError`. */
export interface ControlledMachine {
  info(): MachineInfo;
  pause(): Promise<void>;
  resume(): Promise<void>;
  shutDown(): Promise<"agent" | "power button">;
  kill(): Promise<void>;
  snapshot(path: string): Promise<{ fileBytes: number }>;
  /** @throws {VmError} `option-invalid` for a machine without a balloon. */
  balloon(targetBytes: number | undefined): Promise<BalloonInfo>;
  /** @throws {VmError} `agent-unavailable`, `machine-paused`. */
  guest(): GuestControl;
  /** Calls `take` with what the guest prints, until the returned function is called. */
  listenToConsole(take: (bytes: Uint8Array) => void): () => void;
  writeConsole(bytes: Uint8Array): void;
}

interface Request {
  readonly cancel: AbortController;
  input?(bytes: Uint8Array): void;
}

/** Answers the commands that connect to a machine's socket. */
export function serveConnection(machine: ControlledMachine, name: string, socket: Socket): void {
  new ControlConnection(machine, name, socket);
}

class ControlConnection {
  readonly #machine: ControlledMachine;
  readonly #socket: MessageSocket;
  readonly #requests = new Map<number, Request>();

  constructor(machine: ControlledMachine, name: string, socket: Socket) {
    this.#machine = machine;
    this.#socket = new MessageSocket(socket, {
      message: (message) => this.#receive(message as Record<string, unknown>),
      closed: () => {
        for (const { cancel } of this.#requests.values()) cancel.abort();
      },
    });
    void this.#socket.send({ ringfence: PROTOCOL_VERSION, name });
  }

  #receive(message: Record<string, unknown>): void {
    const { id, method, parameters, input, cancel } = message;
    if (typeof id !== "number") return this.#socket.close();
    const request = this.#requests.get(id);
    if (typeof method === "string") {
      if (request !== undefined || this.#requests.size >= MOST_REQUESTS) return this.#socket.close();
      void this.#answer(id, method, new Parameters(parameters));
    } else if (cancel === true) request?.cancel.abort();
    else if (typeof input === "string") request?.input?.(fromBase64(input) ?? new Uint8Array());
  }

  async #answer(id: number, method: string, parameters: Parameters): Promise<void> {
    const request: Request = { cancel: new AbortController() };
    this.#requests.set(id, request);
    try {
      const result = (await this.#do(id, method, parameters, request)) ?? null;
      await this.#socket.send({ id, result });
    } catch (error) {
      await this.#socket.send({ id, error: sendError(error) });
    } finally {
      this.#requests.delete(id);
    }
  }

  async #do(id: number, method: string, parameters: Parameters, request: Request): Promise<unknown> {
    const machine = this.#machine;
    switch (method) {
      case "info":
        return machine.info();
      case "pause":
        return machine.pause();
      case "resume":
        return machine.resume();
      case "shutDown":
        return { by: await machine.shutDown() };
      case "kill":
        return machine.kill();
      case "snapshot":
        return machine.snapshot(path.resolve(parameters.text("path")));
      case "balloon":
        return machine.balloon(parameters.optionalNumber("targetBytes"));
      case "exec":
        return { status: await this.#exec(id, parameters, request) };
      case "readFile": {
        const [offset, mostBytes] = [parameters.number("offset"), parameters.number("mostBytes")];
        return {
          bytes: toBase64(await machine.guest().readFile(parameters.text("path"), offset, mostBytes)),
        };
      }
      case "writeFile": {
        const options = { append: parameters.flag("append"), mode: parameters.optionalNumber("mode") };
        return machine.guest().writeFile(parameters.text("path"), parameters.bytes("bytes"), options);
      }
      case "attach":
        return this.#attach(id, request);
      default:
        throw new VmError({
          code: "option-invalid",
          option: "request",
          value: method,
          expected: "one that this version of Ringfence knows; the machine may run an older one",
        });
    }
  }

  async #exec(id: number, parameters: Parameters, request: Request): Promise<number> {
    const [guest, script] = [this.#machine.guest(), parameters.text("script")];
    const streams = {
      signal: request.cancel.signal,
      output: (stream: OutputStream, bytes: Uint8Array) => this.#tell(id, { stream, bytes: toBase64(bytes) }),
    };
    if (parameters.flag("piped")) return runPiped(guest, script, streams);
    const input = parameters.flag("input") ? () => this.#nextInput(id, request) : undefined;
    return runStreamed(guest, script, { ...streams, input });
  }

  /** Asks for a piece of input; undefined at its end. */
  #nextInput(id: number, request: Request): Promise<Uint8Array | undefined> {
    return new Promise((resolve) => {
      request.input = (bytes) => resolve(bytes.length === 0 ? undefined : bytes);
      void this.#tell(id, { stream: "stdin", bytes: "" });
    });
  }

  /** Resolves when the terminal has gone; the socket is closed when the machine ends. */
  async #attach(id: number, request: Request): Promise<void> {
    const stop = this.#machine.listenToConsole((bytes) => {
      if (this.#socket.waitingBytes > MOST_UNTAKEN_BYTES) return this.#socket.close();
      void this.#tell(id, { stream: "stdout", bytes: toBase64(bytes) });
    });
    request.input = (bytes) => this.#machine.writeConsole(bytes);
    await new Promise((resolve) => request.cancel.signal.addEventListener("abort", resolve));
    stop();
  }

  #tell(id: number, event: OutputEvent): Promise<void> {
    return this.#socket.send({ id, event });
  }
}

/** The parameters of a request, checked as they are used. */
class Parameters {
  readonly #members: Record<string, unknown>;

  constructor(value: unknown) {
    this.#members = typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  }

  text(name: string): string {
    const value = this.#members[name];
    return typeof value === "string" ? value : this.#refuse(name, "text");
  }

  optionalText(name: string): string | undefined {
    return (this.#members[name] ?? undefined) === undefined ? undefined : this.text(name);
  }

  number(name: string): number {
    const value = this.#members[name];
    const sound = typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
    return sound ? value : this.#refuse(name, "a whole number");
  }

  optionalNumber(name: string): number | undefined {
    return (this.#members[name] ?? undefined) === undefined ? undefined : this.number(name);
  }

  flag(name: string): boolean {
    return this.#members[name] === true;
  }

  bytes(name: string): Uint8Array {
    return fromBase64(this.text(name)) ?? this.#refuse(name, "base64");
  }

  #refuse(name: string, expected: string): never {
    throw new VmError({ code: "option-invalid", option: name, value: String(this.#members[name]), expected });
  }
}
