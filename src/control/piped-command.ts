import type { CommandRequest, GuestControl } from "./guest-control.ts";
import type { OutputStream } from "./streamed-command.ts";
import { temporaryFolder } from "./temporary-folder.ts";

export interface PipedRequest extends Pick<CommandRequest, "signal"> {
  /** Gets standard output as it comes, and standard error at the end, up to 64 KiB. The next is fetched when the promise has resolved. */
  output(stream: OutputStream, bytes: Uint8Array): Promise<void> | void;
}

/** Fetched at a time. */
const PIECE_BYTES = 1 << 20;
const MOST_ERROR_BYTES = 64 << 10;

// `runStreamed` keeps all that a command prints in the guest until its end. Here the command waits whenever the pipe is full.
//
// An agent answers when a command has ended, but it runs several at a time, and so others read from the pipe, each a piece. A
// keeper holds the end to read from: they open it by /proc, which, other than a pipe with a name, also gives what is left
// in it, and its end, when nobody writes to it any more. The keeper ends when somebody opens the pipe `end`.

/**
 * Runs a command that prints much, of which nothing is to be kept in the guest. Returns the exit status. The guest must be
 * Linux, with /proc.
 */
export async function runPiped(
  control: GuestControl,
  script: string,
  { signal, output }: PipedRequest,
): Promise<number> {
  const folder = temporaryFolder();
  const keeper = `exec 3<&0; echo $$ >${folder}/pid; mv ${folder}/pid ${folder}/keeper; read nothing <${folder}/end`;
  const lines = [
    // mkdir fails where somebody in the guest was there first.
    `(umask 077; mkdir ${folder} && mkfifo ${folder}/end) || exit 125`,
    `{ (\n${script}\n) 2>${folder}/stderr; echo $? >${folder}/status; } | sh -c '${keeper}'`,
    `exit $(cat ${folder}/status)`,
  ];
  const ended = new AbortController();
  const command = control.run(lines.join("\n"), { signal, mostOutputBytes: MOST_ERROR_BYTES });
  // Who waits for the keeper of a command that could not begin waits no more.
  const stop = () => ended.abort();
  command.then(stop, stop);
  const fetch = async (fetched: string): Promise<Uint8Array | undefined> => {
    try {
      const request = { signal: ended.signal, mostOutputBytes: PIECE_BYTES + MOST_ERROR_BYTES };
      return (await control.run(fetched, request)).stdout;
    } catch (error) {
      if (ended.signal.aborted) return undefined;
      throw error;
    }
  };
  const wait = `until [ -e ${folder}/keeper ]; do sleep 0.05; done`;
  const range = `bs=65536 count=${PIECE_BYTES / 65536} iflag=fullblock`;
  const read = `dd if=/proc/$(cat ${folder}/keeper)/fd/3 ${range} 2>/dev/null`;
  try {
    for (;;) {
      const piece = await fetch(`${wait}; ${read}`);
      if (piece === undefined) return (await command).status;
      if (piece.length > 0) await output("stdout", piece);
      if (piece.length < PIECE_BYTES) break;
    }
    const complaints = await fetch(`head -c ${MOST_ERROR_BYTES} ${folder}/stderr`);
    if (complaints !== undefined && complaints.length > 0) await output("stderr", complaints);
    // That ends the command, and so what it is fetched with.
    await fetch(`: >${folder}/end`);
    return (await command).status;
  } finally {
    ended.abort();
    const cleaning = `[ ! -e ${folder}/keeper ] || kill $(cat ${folder}/keeper) 2>/dev/null; rm -rf ${folder}`;
    control.run(cleaning, { mostOutputBytes: MOST_ERROR_BYTES }).catch(() => {});
  }
}
