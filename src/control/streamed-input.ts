import type { GuestControl } from "./guest-control.ts";

/** Gives the next piece of a command's input when that can be taken; undefined at the end. */
export type InputSource = () => Promise<Uint8Array | undefined>;

const MOST_ANSWER_BYTES = 4096;

// An agent takes a command's input whole, before it starts it. But it runs several commands at a time, and so others
// write into a pipe from which the first one reads: each ends when its piece is in the pipe, so no more is under way than
// the guest takes. The keeper holds the pipe open between them, until somebody opens the pipe `end`.

/** What the shell does in the guest, in a folder that is there, to get its input by `feedInput`. */
export function openInputPipe(folder: string): string {
  const keeper = `{ read nothing <${folder}/end; } >${folder}/stdin`;
  return `mkfifo ${folder}/end ${folder}/stdin || exit 125\n${keeper} &\necho $! >${folder}/keeper\nexec <${folder}/stdin`;
}

/** What the shell does in the guest to end what `openInputPipe` has started. */
export function closeInputPipe(folder: string): string {
  return `[ ! -e ${folder}/keeper ] || kill $(cat ${folder}/keeper) 2>/dev/null`;
}

/** Feeds a command that has done `openInputPipe`, until the input or the command ends; `ended` says that the command has. */
export async function feedInput(
  control: GuestControl,
  folder: string,
  next: InputSource,
  ended: AbortSignal,
): Promise<void> {
  const over = new Promise<undefined>((resolve) => {
    ended.addEventListener("abort", () => resolve(undefined));
  });
  const run = async (script: string, input?: Uint8Array) => {
    const wait = `until [ -p ${folder}/stdin ]; do sleep 0.05; done`;
    const request = { input, signal: ended, mostOutputBytes: MOST_ANSWER_BYTES };
    return (await control.run(`${wait}; ${script}`, request)).status === 0;
  };
  while (!ended.aborted) {
    const piece = await Promise.race([next(), over]);
    if (ended.aborted) return;
    if (piece === undefined) {
      await run(`: >${folder}/end`);
      return;
    }
    // The command has closed its input.
    if (piece.length > 0 && !(await run(`exec cat >${folder}/stdin`, piece))) return;
  }
}
