/** What the agent says. */
export interface AgentAnswers {
  /** The agent is there, and what it says can be told from what it said to others. */
  started(): void;
  /** The agent was started again: what the one before was doing will have no end. */
  restarted(): void;
  /** "go" or "wrote", about an upload. */
  uploadStep(kind: string): void;
  /** How much output of a command is wanted; more is skipped. */
  mostOutputBytes(id: number): number;
  done(id: number, status: number, stdout: Uint8Array, stderr: Uint8Array): void;
  skipped(id: number, sizeBytes: number): void;
}

/** The output of a command under way. */
interface Output {
  readonly id: number;
  readonly status: number;
  readonly stdoutBytes: number;
  readonly sizeBytes: number;
  /** Undefined: too much, and not kept. */
  readonly bytes: Uint8Array | undefined;
  received: number;
}

/** What the agent says when it begins. */
export const READY = "ready 0 0";
/** A line of the agent is shorter; what is longer is not its. */
const LONGEST_LINE_BYTES = 200;

/** Takes the agent's answers apart, as they come in pieces. Everything before the line `start` is passed over. */
export class AnswerReader {
  readonly #start: string;
  readonly #to: AgentAnswers;
  #started = false;
  #line = "";
  #output: Output | undefined;

  constructor(start: string, to: AgentAnswers) {
    this.#start = start;
    this.#to = to;
  }

  read(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      at +=
        this.#output === undefined ? this.#readLine(bytes, at) : this.#readOutput(bytes, at, this.#output);
    }
  }

  #readLine(bytes: Uint8Array, at: number): number {
    const end = bytes.indexOf(0x0a, at);
    const part = bytes.subarray(at, end < 0 ? bytes.length : end);
    this.#line = (this.#line + String.fromCharCode(...part.subarray(-LONGEST_LINE_BYTES))).slice(
      -LONGEST_LINE_BYTES,
    );
    if (end < 0) return part.length;
    const line = this.#line;
    this.#line = "";
    if (this.#started) this.#understand(line);
    else if (line.endsWith(this.#start)) {
      this.#started = true;
      this.#to.started();
    }
    return part.length + 1;
  }

  #understand(line: string): void {
    const [kind = "", ...rest] = line.split(" ");
    const [id = 0, status = 0, stdoutBytes = 0, stderrBytes = 0] = rest.map(Number);
    if (line === READY) this.#to.restarted();
    if (kind === "go" || kind === "wrote") this.#to.uploadStep(kind);
    if (kind !== "done" || !(stdoutBytes >= 0 && stderrBytes >= 0)) return;
    const sizeBytes = stdoutBytes + stderrBytes;
    const bytes = sizeBytes <= this.#to.mostOutputBytes(id) ? new Uint8Array(sizeBytes) : undefined;
    this.#output = { id, status, stdoutBytes, sizeBytes, bytes, received: 0 };
    if (sizeBytes === 0) this.#finish(this.#output);
  }

  #readOutput(bytes: Uint8Array, at: number, output: Output): number {
    const part = bytes.subarray(at, at + output.sizeBytes - output.received);
    output.bytes?.set(part, output.received);
    output.received += part.length;
    if (output.received === output.sizeBytes) this.#finish(output);
    return part.length;
  }

  #finish({ id, status, stdoutBytes, sizeBytes, bytes }: Output): void {
    this.#output = undefined;
    if (bytes === undefined) this.#to.skipped(id, sizeBytes);
    else this.#to.done(id, status, bytes.subarray(0, stdoutBytes), bytes.subarray(stdoutBytes));
  }
}
