import { statSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { PIECE_BYTES, receiveFile, sendFile } from "../../control/file-transfer.ts";
import { openPieces, writePieces } from "../../host/node/file-pieces.ts";
import { removeOnSignal } from "../../host/node/remove-on-signal.ts";
import { UsageError } from "../usage-error.ts";
import { ControlClient } from "./control-client.ts";
import { CopyProgress } from "./copy-progress.ts";
import type { MachineCommand } from "./machine-commands.ts";

/** `ringfence cp`. */
export async function copyFile({ from, to, quiet, json }: MachineCommand & { action: "cp" }): Promise<void> {
  const client = await ControlClient.connect(from.machine ?? to.machine ?? "");
  const progress = new CopyProgress(process.stderr, { quiet });
  let target: string;
  try {
    if (from.machine === undefined) target = await copyIn(client, from.path, to.path, progress);
    else target = await copyOut(client, from.path, to.path, progress);
  } finally {
    progress.end();
    client.close();
  }
  if (json) process.stdout.write(`${JSON.stringify({ path: target, bytes: progress.doneBytes })}\n`);
}

async function copyIn(
  client: ControlClient,
  hostPath: string,
  guestPath: string,
  progress: CopyProgress,
): Promise<string> {
  if (isFolder(hostPath)) {
    const [parent, name] = [path.dirname(hostPath), path.basename(path.resolve(hostPath))];
    throw new UsageError(
      `${hostPath} is a folder, and cp takes files; run the machine with --share ${hostPath}, or send an archive: ` +
        `tar -c -C ${parent} ${name} | ringfence exec -i ${client.entry.name} -- tar -x -C ${guestPath}`,
    );
  }
  const { mode, sizeBytes, pieces } = await openPieces(hostPath, PIECE_BYTES);
  const target = (await isGuestFolder(client, guestPath))
    ? path.posix.join(guestPath, path.basename(hostPath))
    : guestPath;
  await sendFile(client.files, progress.count(pieces, hostPath, sizeBytes), target, mode);
  return target;
}

async function copyOut(
  client: ControlClient,
  guestPath: string,
  hostPath: string,
  progress: CopyProgress,
): Promise<string> {
  if (await isGuestFolder(client, guestPath, false))
    throw new UsageError(
      `${guestPath} in the guest is a folder, and cp takes files; fetch an archive: ` +
        `ringfence exec ${client.entry.name} -- tar -c -C ${guestPath} . > FILE.tar`,
    );
  const target = isFolder(hostPath) ? path.join(hostPath, path.posix.basename(guestPath)) : hostPath;
  await writePieces(
    target,
    progress.count(receiveFile(client.files, guestPath), guestPath, undefined),
    removeOnSignal,
  );
  return target;
}

function isFolder(hostPath: string): boolean {
  return statSync(hostPath, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** @param byName A slash at the end is enough. */
async function isGuestFolder(client: ControlClient, guestPath: string, byName = true): Promise<boolean> {
  if (byName && guestPath.endsWith("/")) return true;
  const { commandScript } = await import("../../control/command-script.ts");
  const script = commandScript(["test", "-d", guestPath]);
  return (await client.call("exec", { script, input: false })).status === 0;
}
