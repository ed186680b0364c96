import { statSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { PIECE_BYTES, receiveFile, sendFile } from "../../control/file-transfer.ts";
import { openPieces, writePieces } from "../../host/node/file-pieces.ts";
import { ControlClient } from "./control-client.ts";
import { CopyProgress } from "./copy-progress.ts";
import type { MachineCommand } from "./machine-commands.ts";

/** `ringfence cp`. */
export async function copyFile({ from, to, quiet }: MachineCommand & { action: "cp" }): Promise<void> {
  const client = await ControlClient.connect(from.machine ?? to.machine ?? "");
  const progress = new CopyProgress(process.stderr, { quiet });
  try {
    if (from.machine === undefined) await copyIn(client, from.path, to.path, progress);
    else await copyOut(client, from.path, to.path, progress);
  } finally {
    progress.end();
    client.close();
  }
}

async function copyIn(
  client: ControlClient,
  hostPath: string,
  guestPath: string,
  progress: CopyProgress,
): Promise<void> {
  const { mode, sizeBytes, pieces } = await openPieces(hostPath, PIECE_BYTES);
  const target = (await isGuestFolder(client, guestPath))
    ? path.posix.join(guestPath, path.basename(hostPath))
    : guestPath;
  await sendFile(client.files, progress.count(pieces, hostPath, sizeBytes), target, mode);
}

async function copyOut(
  client: ControlClient,
  guestPath: string,
  hostPath: string,
  progress: CopyProgress,
): Promise<void> {
  const isFolder = statSync(hostPath, { throwIfNoEntry: false })?.isDirectory() === true;
  const target = isFolder ? path.join(hostPath, path.posix.basename(guestPath)) : hostPath;
  await writePieces(target, progress.count(receiveFile(client.files, guestPath), guestPath, undefined));
}

async function isGuestFolder(client: ControlClient, guestPath: string): Promise<boolean> {
  if (guestPath.endsWith("/")) return true;
  const { commandScript } = await import("../../control/command-script.ts");
  const script = commandScript(["test", "-d", guestPath]);
  return (await client.call("exec", { script, input: false })).status === 0;
}
