import path from "node:path";
import process from "node:process";
import {
  copyFolderIn,
  copyFolderOut,
  type FolderCopy,
  type FolderCopyOptions,
} from "../../api/folder-copy.ts";
import { PIECE_BYTES, receiveFile, sendFile } from "../../control/file-transfer.ts";
import type { RunInGuest } from "../../control/folder-transfer.ts";
import { openPieces, writePieces } from "../../host/node/file-pieces.ts";
import { isFolder } from "../../host/node/files.ts";
import { removeOnSignal } from "../../host/node/remove-on-signal.ts";
import { ControlClient } from "./control-client.ts";
import { CopyProgress } from "./copy-progress.ts";
import type { MachineCommand } from "./machine-commands.ts";

const ENDING_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

interface Copied {
  readonly path: string;
  readonly bytes: number;
  /** Of a folder. */
  readonly files?: number;
  readonly leftOut?: number;
}

/** `ringfence cp`. */
export async function copyPath({ from, to, quiet, json }: MachineCommand & { action: "cp" }): Promise<void> {
  const client = await ControlClient.connect(from.machine ?? to.machine ?? "");
  const progress = new CopyProgress(process.stderr, { quiet });
  let copied: Copied;
  try {
    if (from.machine === undefined) copied = await copyIn(client, from.path, to.path, progress);
    else copied = await copyOut(client, from.path, to.path, progress);
  } finally {
    progress.end();
    client.close();
  }
  if (json) process.stdout.write(`${JSON.stringify(copied)}\n`);
}

async function copyIn(
  client: ControlClient,
  hostPath: string,
  guestPath: string,
  progress: CopyProgress,
): Promise<Copied> {
  if (isFolder(hostPath))
    return copyFolder(progress, hostPath, (options) =>
      copyFolderIn(runBy(client), hostPath, guestPath, options),
    );
  const { mode, sizeBytes, pieces } = await openPieces(hostPath, PIECE_BYTES);
  const target = (await isGuestFolder(client, guestPath))
    ? path.posix.join(guestPath, path.basename(hostPath))
    : guestPath;
  await sendFile(client.files, progress.count(pieces, hostPath, sizeBytes), target, mode);
  return { path: target, bytes: progress.doneBytes };
}

async function copyOut(
  client: ControlClient,
  guestPath: string,
  hostPath: string,
  progress: CopyProgress,
): Promise<Copied> {
  if (await isGuestFolder(client, guestPath, false))
    return copyFolder(progress, guestPath, (options) =>
      copyFolderOut(runBy(client), guestPath, hostPath, options),
    );
  const target = isFolder(hostPath) ? path.join(hostPath, path.posix.basename(guestPath)) : hostPath;
  await writePieces(
    target,
    progress.count(receiveFile(client.files, guestPath), guestPath, undefined),
    removeOnSignal,
  );
  return { path: target, bytes: progress.doneBytes };
}

/** Shows a copy's progress, and says what is missing: also when a signal ends it, which then ends this process as it would any. */
async function copyFolder(
  progress: CopyProgress,
  what: string,
  copy: (options: FolderCopyOptions) => Promise<FolderCopy>,
): Promise<Copied> {
  const interrupt = new AbortController();
  let endingSignal: NodeJS.Signals | undefined;
  const end = (signal: NodeJS.Signals) => {
    endingSignal ??= signal;
    interrupt.abort();
  };
  for (const signal of ENDING_SIGNALS) process.once(signal, end);
  let begun: FolderCopy | undefined;
  try {
    const { target, count } = await copy({
      signal: interrupt.signal,
      progress: (now) => {
        begun = now;
        progress.show(what, now.count.bytes, now.sizeBytes);
      },
    });
    progress.end();
    warnOfLeftOut(count);
    return { path: target, bytes: count.bytes, files: count.files, leftOut: count.leftOut };
  } catch (error) {
    progress.end();
    if (begun !== undefined)
      process.stderr.write(
        `ringfence: ${begun.target} is not complete: of ${what} ${begun.count.files} files were copied\n`,
      );
    if (endingSignal !== undefined) {
      for (const signal of ENDING_SIGNALS) process.off(signal, end);
      process.kill(process.pid, endingSignal);
      // The signal ends the process before this does.
      await new Promise(() => {});
    }
    throw error;
  } finally {
    for (const signal of ENDING_SIGNALS) process.off(signal, end);
  }
}

function warnOfLeftOut({ leftOut, leftOutNames }: FolderCopy["count"]): void {
  for (const name of leftOutNames)
    process.stderr.write(`ringfence: left out, since it is no file, folder or link: ${name}\n`);
  const more = leftOut - leftOutNames.length;
  if (more > 0) process.stderr.write(`ringfence: and ${more} more were left out\n`);
}

function runBy(client: ControlClient): RunInGuest {
  return async (script, { input, output, piped, signal }) => {
    signal.throwIfAborted();
    const { status } = await client.call(
      "exec",
      { script, input: input !== undefined, piped },
      {
        ...(input === undefined ? {} : { input: async () => (await input()) ?? new Uint8Array() }),
        ...{ output, signal },
      },
    );
    return status;
  };
}

/** @param byName A slash at the end is enough. */
async function isGuestFolder(client: ControlClient, guestPath: string, byName = true): Promise<boolean> {
  if (byName && guestPath.endsWith("/")) return true;
  const { commandScript } = await import("../../control/command-script.ts");
  const script = commandScript(["test", "-d", guestPath]);
  return (await client.call("exec", { script, input: false })).status === 0;
}
