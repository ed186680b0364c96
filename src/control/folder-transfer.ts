import { VmError } from "../layout/vm-error.ts";
import { quoteForShell } from "./shell-quoting.ts";
import type { OutputStream } from "./streamed-command.ts";
import type { InputSource } from "./streamed-input.ts";

/** Folders come and go as tar archives, which the guest's own tar makes and takes apart. */
export interface FolderCommand {
  readonly input?: InputSource;
  output(stream: OutputStream, bytes: Uint8Array): void;
  /** Standard output is large, and is not to be kept in the guest. */
  readonly piped: boolean;
  readonly signal: AbortSignal;
}

/** Runs text by the guest's shell, and returns its exit status. */
export type RunInGuest = (script: string, command: FolderCommand) => Promise<number>;

/** What is at a path of the guest; "nowhere": neither it nor the folder that it would be in. */
export type PathKind = "folder" | "file" | "absent" | "nowhere";

const MOST_COMPLAINTS = 64 << 10;
/** Of an archiver, in a message. */
const MOST_LINES = 3;
/** What GNU's tar and busybox' say of a socket, which no archive can hold. */
const SOCKET_IGNORED = /^tar: (?:\.\/)?(.*): socket ignored$/;

/** @throws What `run` throws. */
export async function lookAtPath(run: RunInGuest, path: string, signal?: AbortSignal): Promise<PathKind> {
  const [file, parent] = [path, parentOf(path)].map(quoteForShell);
  const script = [
    `if [ -d ${file} ]; then echo folder`,
    `elif [ -e ${file} ] || [ -L ${file} ]; then echo file`,
    `elif [ -d ${parent} ]; then echo absent`,
    "else echo nowhere; fi",
  ];
  const answer = (await runCollected(run, script.join("\n"), signal)).trim();
  if (answer === "folder" || answer === "file" || answer === "absent") return answer;
  return "nowhere";
}

/** @throws {VmError} `guest-file-failed` where the guest has no tar. */
export async function checkHasTar(run: RunInGuest, path: string, signal?: AbortSignal): Promise<void> {
  if ((await runCollected(run, "command -v tar", signal)) !== "") return;
  const reason =
    "a folder is copied by the guest's tar, and it has none; install it there, or share the folder";
  throw new VmError({ code: "guest-file-failed", path, reason });
}

/**
 * Takes an archive apart in a folder of the guest, which is made where it is not there.
 * @throws {VmError} `guest-file-failed`; what `pieces` throws; the signal's reason.
 */
export async function sendFolder(
  run: RunInGuest,
  pieces: AsyncGenerator<Uint8Array>,
  folder: string,
  signal?: AbortSignal,
): Promise<void> {
  const file = quoteForShell(folder);
  // More comes behind tar, lest the shell becomes it: busybox' would take the shell's other child for its own, and that one's
  // end for a failure.
  const script = `[ -d ${file} ] || mkdir -- ${file} || exit\ncd -- ${file} && tar -x -p -f -\nexit $?`;
  try {
    await new FolderTransfer(run, folder, signal).run(script, { piped: false, pieces });
  } finally {
    await pieces.return(undefined);
  }
}

/**
 * Makes an archive of a folder of the guest, whose members' names begin with "./". Returns the names of what it has to leave
 * out, in the guest's words.
 *
 * @throws {VmError} `guest-file-failed`; what `take` throws; the signal's reason.
 */
export async function receiveFolder(
  run: RunInGuest,
  folder: string,
  take: (bytes: Uint8Array) => void,
  signal?: AbortSignal,
): Promise<string[]> {
  const script = `cd -- ${quoteForShell(folder)} && tar -c -f - .`;
  const complaints = await new FolderTransfer(run, folder, signal).run(script, { piped: true, take });
  return complaints.flatMap((line) => SOCKET_IGNORED.exec(line)?.[1] ?? []).map(plain);
}

/** One run of tar. What fails on this side ends it, and is what is thrown. */
class FolderTransfer {
  readonly #run: RunInGuest;
  readonly #folder: string;
  readonly #outerSignal: AbortSignal | undefined;
  readonly #cancel = new AbortController();
  readonly #decoder = new TextDecoder();
  #failure: { readonly error: unknown } | undefined;
  #complaints = "";

  constructor(run: RunInGuest, folder: string, signal: AbortSignal | undefined) {
    this.#run = run;
    this.#folder = folder;
    this.#outerSignal = signal;
  }

  /** Returns what the command said on standard error, line by line. */
  async run(
    script: string,
    options: {
      readonly piped: boolean;
      readonly pieces?: AsyncGenerator<Uint8Array>;
      readonly take?: (bytes: Uint8Array) => void;
    },
  ): Promise<string[]> {
    const { piped, pieces, take } = options;
    this.#outerSignal?.throwIfAborted();
    const abort = () => this.#fail(this.#outerSignal?.reason);
    this.#outerSignal?.addEventListener("abort", abort);
    try {
      const status = await this.#run(script, {
        ...(pieces === undefined ? {} : { input: () => this.#next(pieces) }),
        output: (stream, bytes) => this.#output(stream, bytes, take),
        ...{ piped, signal: this.#cancel.signal },
      });
      this.#throwFailure();
      const lines = this.#complaints.split("\n").filter((line) => line !== "");
      if (status !== 0) throw this.#failed(status, lines);
      return lines;
    } catch (error) {
      this.#throwFailure();
      throw error;
    } finally {
      this.#outerSignal?.removeEventListener("abort", abort);
    }
  }

  async #next(pieces: AsyncGenerator<Uint8Array>): Promise<Uint8Array | undefined> {
    try {
      const { done, value } = await pieces.next();
      return done === true ? undefined : value;
    } catch (error) {
      this.#fail(error);
      // The command must not take what has come for all.
      return new Promise(() => {});
    }
  }

  #output(stream: OutputStream, bytes: Uint8Array, take: ((bytes: Uint8Array) => void) | undefined): void {
    if (stream === "stderr") {
      if (this.#complaints.length < MOST_COMPLAINTS)
        this.#complaints += this.#decoder.decode(bytes, { stream: true });
    } else if (take !== undefined && this.#failure === undefined) {
      try {
        take(bytes);
      } catch (error) {
        this.#fail(error);
      }
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#cancel.abort();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #failed(status: number, lines: readonly string[]): VmError {
    const said = lines.filter((line) => !SOCKET_IGNORED.test(line)).slice(0, MOST_LINES);
    const reason = said.length > 0 ? said.map(plain).join("; ") : `tar ended with status ${status}`;
    return new VmError({ code: "guest-file-failed", path: this.#folder, reason });
  }
}

/** What a short command prints. */
async function runCollected(
  run: RunInGuest,
  script: string,
  signal = new AbortController().signal,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  await run(script, {
    output: (stream, bytes) => {
      if (stream === "stdout") text += decoder.decode(bytes, { stream: true });
    },
    ...{ piped: false, signal },
  });
  return text;
}

/** A line without what a terminal would obey. */
function plain(line: string): string {
  return line.slice(0, 200).replace(/\p{C}/gu, "?");
}

export function parentOf(path: string): string {
  const [whole, parent] = /^(.*)\/[^/]+\/*$/s.exec(path) ?? [];
  return whole === undefined ? "." : parent || "/";
}
