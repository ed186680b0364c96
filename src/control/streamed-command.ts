import type { CommandRequest, GuestControl } from "./guest-control.ts";
import { quoteForShell } from "./shell-quoting.ts";
import { closeInputPipe, feedInput, type InputSource, openInputPipe } from "./streamed-input.ts";
import { temporaryFolder } from "./temporary-folder.ts";

export type OutputStream = "stdout" | "stderr";

export interface StreamedRequest extends Pick<CommandRequest, "signal"> {
  /** Standard input, whole or as it comes; empty if absent. */
  readonly input?: Uint8Array | InputSource | undefined;
  /** Gets output as it comes. The next is fetched when the promise has resolved. */
  output(stream: OutputStream, bytes: Uint8Array): Promise<void> | void;
}

/** Fetched at a time, of each stream. */
const PIECE_BYTES = 128 << 10;
const SHORTEST_WAIT_MS = 20;
const LONGEST_WAIT_MS = 400;

/**
 * Runs a command whose output is wanted while it runs, and without a limit: it goes into files of the guest, which are
 * read as they grow. Returns the exit status. No agent has more to offer: both answer when a command has ended.
 */
export async function runStreamed(
  control: GuestControl,
  script: string,
  { input, signal, output }: StreamedRequest,
): Promise<number> {
  const folder = temporaryFolder();
  const source = typeof input === "function" ? input : undefined;
  const lines = [
    // mkdir fails where somebody in the guest was there first.
    `(umask 077; mkdir ${folder}) || exit 125`,
    `exec >${folder}/stdout 2>${folder}/stderr`,
    ...(source === undefined ? [] : [openInputPipe(folder)]),
    script,
  ];
  const files = new GrowingFiles(control, folder, output);
  const whole = typeof input === "function" ? undefined : input;
  const command = control.run(lines.join("\n"), { input: whole, signal, mostOutputBytes: PIECE_BYTES });
  const ended = new AbortController();
  // Without its input the command goes on; what ends it says why.
  if (source !== undefined) feedInput(control, folder, source, ended.signal).catch(() => {});
  const waiter = new Waiter(command);
  try {
    for (let waitMs = SHORTEST_WAIT_MS; !(await waiter.wait(waitMs)); ) {
      waitMs = (await files.readOn()) ? SHORTEST_WAIT_MS : Math.min(LONGEST_WAIT_MS, waitMs * 2);
    }
    const { status, stderr } = await command;
    // What the shell itself says before its output is redirected.
    if (stderr.length > 0) await output("stderr", stderr);
    while (await files.readOn()) signal?.throwIfAborted();
    return status;
  } finally {
    ended.abort();
    const cleaning = `${closeInputPipe(folder)}; rm -rf ${folder}`;
    control.run(cleaning, { mostOutputBytes: PIECE_BYTES }).catch(() => {});
  }
}

/** Waits for a time, or until a promise has settled. */
class Waiter {
  #settled = false;
  #wake: () => void = () => {};

  constructor(promise: Promise<unknown>) {
    const settle = () => {
      this.#settled = true;
      this.#wake();
    };
    promise.then(settle, settle);
  }

  /** Returns whether the promise has settled. */
  async wait(milliseconds: number): Promise<boolean> {
    if (this.#settled) return true;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    return this.#settled;
  }
}

/** The two files into which a command prints. */
class GrowingFiles {
  readonly #control: GuestControl;
  readonly #folder: string;
  readonly #output: StreamedRequest["output"];
  #stdoutBytes = 0;
  #stderrBytes = 0;

  constructor(control: GuestControl, folder: string, output: StreamedRequest["output"]) {
    this.#control = control;
    this.#folder = folder;
    this.#output = output;
  }

  /** Hands on what is new, and returns whether there was anything. */
  async readOn(): Promise<boolean> {
    const script = `${this.#part("stdout", this.#stdoutBytes)}; ${this.#part("stderr", this.#stderrBytes)} | cat >&2`;
    const { stdout, stderr } = await this.#control.run(script, { mostOutputBytes: 2 * PIECE_BYTES });
    this.#stdoutBytes += stdout.length;
    this.#stderrBytes += stderr.length;
    if (stdout.length > 0) await this.#output("stdout", stdout);
    if (stderr.length > 0) await this.#output("stderr", stderr);
    return stdout.length + stderr.length > 0;
  }

  #part(stream: OutputStream, offset: number): string {
    const file = quoteForShell(`${this.#folder}/${stream}`);
    const range = `bs=${PIECE_BYTES} skip=${offset} count=${PIECE_BYTES} iflag=skip_bytes,count_bytes`;
    return `dd if=${file} ${range} 2>/dev/null`;
  }
}
