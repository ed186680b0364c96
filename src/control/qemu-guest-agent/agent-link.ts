import { VmError } from "../../layout/vm-error.ts";
import { LineReader } from "../line-reader.ts";

/** What the QEMU guest agent names its port. */
export const AGENT_PORT_NAME = "org.qemu.guest_agent.0";

const MOST_ANSWER_BYTES = 1 << 20;
const ANSWER_MS = 30_000;
const SYNC_MS = 5_000;
/** Sent before a guest-sync-delimited: ends whatever the agent's parser was in the middle of. */
const SENTINEL = 0xff;

interface Request {
  readonly answer: PromiseWithResolvers<unknown>;
  readonly command: string;
}

export interface CallLimits {
  /** 1 MiB if absent. */
  readonly mostAnswerBytes?: number;
  /** 30 seconds if absent. */
  readonly answerMs?: number;
}

/**
 * The host's side of the way to a QEMU guest agent: requests and answers are JSON, a line each, one at a time. Answers of
 * an agent that was slow, or of one before, are told apart by a guest-sync-delimited.
 *
 * Source: QEMU's "Guest Agent Protocol Reference".
 */
export class AgentLink {
  readonly #send: (bytes: Uint8Array) => void;
  readonly #lines: LineReader;
  readonly #openMs: number;
  #open = Promise.withResolvers<void>();
  #isOpen = false;
  #isSynchronised = false;
  /** The answer to a guest-sync-delimited has a sentinel before it; what comes earlier answers something else. */
  #awaitsSentinel = false;
  #request: Request | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #nextToken = Math.floor(Math.random() * 2 ** 31);
  #closed: VmError | undefined;

  /** @param openMs How long a request waits for the agent to open its port. */
  constructor(send: (bytes: Uint8Array) => void, openMs: number) {
    this.#send = send;
    this.#openMs = openMs;
    this.#open.promise.catch(() => {});
    this.#lines = new LineReader(MOST_ANSWER_BYTES, {
      line: (text) => this.#receiveLine(text),
      tooLong: () => this.#fail("its answer is too long"),
    });
  }

  /** Whether a program in the guest has the port open. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** A program of the guest has opened or closed the port. */
  guestOpened(open: boolean): void {
    if (open === this.#isOpen) return;
    this.#isOpen = open;
    this.#isSynchronised = false;
    if (open) {
      this.#open.resolve();
      return;
    }
    this.#open = Promise.withResolvers();
    this.#open.promise.catch(() => {});
    this.#fail("it has gone");
  }

  receive(bytes: Uint8Array): void {
    const sentinel = bytes.lastIndexOf(SENTINEL);
    // What stands before a sentinel is of no meaning. JSON in UTF-8 has no such byte.
    if (sentinel >= 0) {
      this.#lines.reset();
      this.#awaitsSentinel = false;
    }
    this.#lines.read(bytes.subarray(sentinel + 1));
  }

  close(reason: VmError): void {
    this.#closed ??= reason;
    this.#open.reject(reason);
    this.#request?.answer.reject(reason);
  }

  /** Sends a command, and returns what stands behind "return" in its answer. */
  call(command: string, parameters?: object, limits: CallLimits = {}): Promise<unknown> {
    return this.inTurn(async () => {
      await this.#ready();
      const { mostAnswerBytes = MOST_ANSWER_BYTES, answerMs = ANSWER_MS } = limits;
      this.#lines.mostBytes = mostAnswerBytes;
      try {
        return await this.#exchange(command, parameters, answerMs);
      } finally {
        this.#lines.mostBytes = MOST_ANSWER_BYTES;
      }
    });
  }

  /** Sends a command that may have no answer, such as guest-shutdown. Rejects with an answer that says no at once. */
  async tell(command: string, parameters: object, patienceMs: number): Promise<void> {
    await this.inTurn(async () => {
      await this.#ready();
      this.#isSynchronised = false;
      await this.#exchange(command, parameters, patienceMs).catch((error: unknown) => {
        if (error instanceof VmError && error.detail.code === "agent-refused") throw error;
      });
    });
  }

  inTurn<T>(action: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() => {
      if (this.#closed !== undefined) throw this.#closed;
      return action();
    });
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #ready(): Promise<void> {
    const reason = `it has not opened the port ${AGENT_PORT_NAME}; install and start qemu-guest-agent there`;
    await withDeadline(this.#open.promise, this.#openMs, () => unavailable(reason));
    if (this.#isSynchronised) return;
    const id = this.#nextToken++;
    this.#send(Uint8Array.of(SENTINEL));
    this.#awaitsSentinel = true;
    const answered = await this.#exchange("guest-sync-delimited", { id }, SYNC_MS);
    if (answered !== id) throw unavailable("its answers do not belong to the questions");
    this.#isSynchronised = true;
  }

  async #exchange(command: string, parameters: object | undefined, answerMs: number): Promise<unknown> {
    const answer = Promise.withResolvers<unknown>();
    this.#request = { answer, command };
    const message = { execute: command, ...(parameters === undefined ? {} : { arguments: parameters }) };
    this.#send(new TextEncoder().encode(`${JSON.stringify(message)}\n`));
    try {
      return await withDeadline(answer.promise, answerMs, () => {
        this.#isSynchronised = false;
        return unavailable(`it has not answered ${command} in ${answerMs / 1000} seconds`);
      });
    } finally {
      this.#request = undefined;
    }
  }

  #receiveLine(text: string): void {
    const request = this.#request;
    if (request === undefined || this.#awaitsSentinel || text.trim() === "") return;
    const answer = parseAnswer(text);
    if (answer === undefined) this.#fail("its answer is not of its protocol");
    else if ("refusal" in answer) {
      const { command } = request;
      request.answer.reject(new VmError({ code: "agent-refused", command, reason: answer.refusal }));
    } else request.answer.resolve(answer.value);
  }

  #fail(reason: string): void {
    this.#isSynchronised = false;
    this.#request?.answer.reject(unavailable(reason));
  }
}

function parseAnswer(text: string): { value: unknown } | { refusal: string } | undefined {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof answer !== "object" || answer === null) return undefined;
  if ("return" in answer) return { value: answer.return };
  if (!("error" in answer) || typeof answer.error !== "object" || answer.error === null) return undefined;
  const reason = "desc" in answer.error ? String(answer.error.desc) : "no reason given";
  return { refusal: oneLine(reason) };
}

/** Text of a guest, fit for a terminal. */
function oneLine(text: string): string {
  return text.replace(/[^\x20-\x7e\u00a0-\uffff]+/g, " ").slice(0, 300);
}

function unavailable(reason: string): VmError {
  return new VmError({ code: "agent-unavailable", reason });
}

async function withDeadline<T>(promise: Promise<T>, milliseconds: number, late: () => VmError): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), milliseconds);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
