import { VmError } from "../../layout/vm-error.ts";
import type { CommandOutcome, CommandRequest, GuestControl, WriteOptions } from "../guest-control.ts";
import { quoteForShell } from "../shell-quoting.ts";
import { AnswerReader, READY } from "./agent-answers.ts";

interface Running {
  readonly mostOutputBytes: number;
  resolve(outcome: CommandOutcome): void;
  reject(error: unknown): void;
}

/** What the agent's port is called, where it is one of the virtio console. */
export const SHELL_AGENT_PORT_NAME = "ringfence.agent";
/** Longer commands are sent as a file: the agent reads a line byte by byte. */
const LONGEST_LINE_BYTES = 3000;
const MOST_MESSAGE_BYTES = 4096;
const MOST_FILE_BYTES = 64 << 20;

/**
 * The host's side of the agent in the default guest (src/host/node/default-initramfs.ts has its protocol), over a
 * port of the virtio console or the second serial port.
 */
export class ShellAgent implements GuestControl {
  readonly agent = "ringfence";
  readonly #send: (bytes: Uint8Array) => void;
  readonly #answers: AnswerReader;
  readonly #running = new Map<number, Running>();
  readonly #greeted = Promise.withResolvers<void>();
  #isGreeted = false;
  /** Requests follow one another: an upload keeps the others waiting. */
  #line: Promise<void>;
  #upload: { step: "go" | "wrote"; resolve(): void; reject(error: unknown): void } | undefined;
  #nextId: number;
  #closed: VmError | undefined;

  /** @param greets Whether the guest is being booted: its agent says when it is there. A restored one is asked. */
  constructor(send: (bytes: Uint8Array) => void, greets: boolean) {
    this.#send = send;
    // Numbers of commands that a saved machine still runs must not come again.
    this.#nextId = Math.floor(Math.random() * 2 ** 40);
    const token = this.#nextId++;
    this.#answers = new AnswerReader(greets ? READY : `sync ${token} 0`, {
      started: () => this.#greeted.resolve(),
      restarted: () =>
        this.#fail(new VmError({ code: "agent-unavailable", reason: "the guest was restarted" })),
      uploadStep: (step) => {
        if (this.#upload?.step === step) this.#upload.resolve();
      },
      mostOutputBytes: (id) => this.#running.get(id)?.mostOutputBytes ?? 0,
      done: (id, status, stdout, stderr) => this.#take(id)?.resolve({ status, stdout, stderr }),
      skipped: (id, sizeBytes) => {
        const running = this.#take(id);
        const maximumBytes = running?.mostOutputBytes ?? 0;
        running?.reject(new VmError({ code: "command-output-too-large", sizeBytes, maximumBytes }));
      },
    });
    this.#greeted.promise.then(
      () => {
        this.#isGreeted = true;
      },
      () => {},
    );
    // A restored agent reads requests as soon as its guest runs; they need not wait for its answer.
    this.#line = greets ? this.#greeted.promise.catch(() => {}) : Promise.resolve();
    if (!greets) this.#sendText(`\nsync ${token}\n`);
  }

  get isReady(): boolean {
    return this.#isGreeted && this.#closed === undefined;
  }

  receive(bytes: Uint8Array): void {
    this.#answers.read(bytes);
  }

  /** The machine has ended, or has no agent: what runs fails, and all that comes. */
  close(reason: VmError): void {
    this.#closed ??= reason;
    this.#greeted.reject(reason);
    this.#fail(reason);
  }

  /** What is under way has no end. */
  #fail(reason: VmError): void {
    this.#upload?.reject(reason);
    for (const { reject } of this.#running.values()) reject(reason);
    this.#running.clear();
  }

  /** Runs a command with the guest's shell. */
  async run(command: string, { input, signal, mostOutputBytes }: CommandRequest): Promise<CommandOutcome> {
    signal?.throwIfAborted();
    const id = this.#nextId++;
    const outcome = Promise.withResolvers<CommandOutcome>();
    outcome.promise.catch(() => {});
    const abort = () => {
      if (this.#take(id) !== undefined) this.#sendText(`kill ${id}\n`);
      outcome.reject(signal?.reason);
    };
    signal?.addEventListener("abort", abort);
    try {
      if (input !== undefined && input.length > 0) await this.#write(id, input);
      const line = await this.#lineFor(command);
      await this.#inLine(async () => {
        signal?.throwIfAborted();
        this.#running.set(id, { mostOutputBytes, ...outcome });
        this.#sendText(`run ${id} ${line}\n`);
      });
      return await outcome.promise;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  async readFile(path: string, offset: number, mostBytes: number): Promise<Uint8Array> {
    const range = `bs=65536 skip=${offset} count=${mostBytes} iflag=skip_bytes,count_bytes,fullblock`;
    const script = `dd if=${quoteForShell(path)} ${range} status=none`;
    return (await this.#runOnFile(path, script)).stdout;
  }

  async writeFile(path: string, bytes: Uint8Array, { append, mode }: WriteOptions): Promise<void> {
    const file = quoteForShell(path);
    const change = mode === undefined ? "" : ` && chmod -- ${mode.toString(8)} ${file}`;
    await this.#runOnFile(path, `cat ${append ? ">>" : ">"}${file}${change}`, bytes);
  }

  async shutDown(): Promise<void> {
    try {
      await this.run("poweroff", { mostOutputBytes: MOST_MESSAGE_BYTES });
    } catch (error) {
      // The guest may be off before it has answered.
      if (!(error instanceof VmError && error.detail.code === "machine-ended")) throw error;
    }
  }

  async readTime(): Promise<number> {
    const { stdout } = await this.run("date +%s", { mostOutputBytes: MOST_MESSAGE_BYTES });
    return Number(new TextDecoder().decode(stdout)) * 1000;
  }

  async setTime(milliseconds: number): Promise<void> {
    const seconds = Math.round(milliseconds / 1000);
    await this.run(`date -u -s @${seconds}`, { mostOutputBytes: MOST_MESSAGE_BYTES });
  }

  /** A machine that is saved in the midst of an upload would wait for its end. */
  betweenRequests<T>(action: () => Promise<T>): Promise<T> {
    return this.#isGreeted && this.#closed === undefined ? this.#inLine(action) : action();
  }

  async #runOnFile(path: string, script: string, input?: Uint8Array): Promise<CommandOutcome> {
    const outcome = await this.run(script, { input, mostOutputBytes: MOST_FILE_BYTES });
    if (outcome.status === 0) return outcome;
    const reason = new TextDecoder().decode(outcome.stderr).trim();
    throw new VmError({ code: "guest-file-failed", path, reason });
  }

  #take(id: number): Running | undefined {
    const running = this.#running.get(id);
    this.#running.delete(id);
    return running;
  }

  /** What stands behind "run ID": the command with escapes, or, where it is long, how to run it from a file. */
  async #lineFor(command: string): Promise<string> {
    const bytes = new TextEncoder().encode(command);
    if (bytes.includes(0)) {
      const expected = "a command without NUL bytes";
      throw new VmError({ code: "option-invalid", option: "command", value: "", expected });
    }
    if (bytes.length <= LONGEST_LINE_BYTES) {
      return command.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
    }
    const file = this.#nextId++;
    await this.#write(file, bytes);
    const script = `/run/agent/${file}.input`;
    return `sh ${script}; status=$?; rm ${script}; exit $status`;
  }

  /** Leaves bytes in the guest, as the input of command `id`. */
  #write(id: number, bytes: Uint8Array): Promise<void> {
    return this.#inLine(async () => {
      await this.#uploadStep("go", () => this.#sendText(`write ${id} ${bytes.length}\n`));
      await this.#uploadStep("wrote", () => this.#send(bytes));
    });
  }

  async #uploadStep(step: "go" | "wrote", begin: () => void): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#upload = { step, resolve, reject };
    begin();
    await promise;
    this.#upload = undefined;
  }

  #inLine<T>(action: () => Promise<T>): Promise<T> {
    const turn = this.#line.then(() => {
      if (this.#closed !== undefined) throw this.#closed;
      return action();
    });
    this.#line = turn.then(
      () => {},
      () => {},
    );
    return turn;
  }

  #sendText(text: string): void {
    this.#send(new TextEncoder().encode(text));
  }
}
