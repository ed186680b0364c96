import { unlinkSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { copyDisk } from "../disk/copy-disk.ts";
import { type DiskFormat, openDisk } from "../disk/open-disk.ts";
import { createQcow2 } from "../disk/qcow2/create.ts";
import { Qcow2Disk } from "../disk/qcow2/qcow2-disk.ts";
import { RawDisk } from "../disk/raw-disk.ts";
import { nodeDiskHost } from "../host/node/disk-host.ts";
import { FileStore } from "../host/node/file-store.ts";
import { removeOnSignal } from "../host/node/remove-on-signal.ts";
import type { DiskCommand } from "./disk-command.ts";
import { describeDisk } from "./disk-info.ts";
import { EXIT_POWERED_OFF } from "./exit-codes.ts";
import { UsageError } from "./usage-error.ts";

/** `ringfence disk`: makes and changes disk images. */
export async function runDiskCommand(command: DiskCommand): Promise<number> {
  switch (command.action) {
    case "create":
      await create(command);
      break;
    case "info":
      await info(command.path, command.format, command.json);
      break;
    case "convert":
      await convert(command);
      break;
    case "resize":
      await resize(command);
  }
  if (command.json && command.action !== "info")
    await info(command.action === "convert" ? command.to : command.path, command.format, true);
  return EXIT_POWERED_OFF;
}

async function create(command: Extract<DiskCommand, { action: "create" }>): Promise<void> {
  const { backing } = command;
  let sizeBytes = command.sizeBytes;
  let below: { name: string; format: string } | undefined;
  if (backing !== undefined) {
    const disk = await openDisk(nodeDiskHost, { ...backing, readOnly: true });
    sizeBytes ??= disk.sizeBytes;
    // A name in an image is looked up from the image's own folder.
    const name = path.isAbsolute(backing.path)
      ? backing.path
      : path.relative(path.dirname(path.resolve(command.path)), path.resolve(backing.path));
    below = { name, format: disk.format };
    await disk.close();
  }
  await makeImage(command.path, command.format ?? formatByName(command.path), sizeBytes ?? 0, below);
}

async function info(file: string, format: DiskFormat | undefined, json: boolean): Promise<void> {
  const disk = await openDisk(nodeDiskHost, { path: file, format, readOnly: true });
  try {
    process.stdout.write(await describeDisk(disk, { path: file, json }));
  } finally {
    await disk.close();
  }
}

async function convert(command: Extract<DiskCommand, { action: "convert" }>): Promise<void> {
  const from = await openDisk(nodeDiskHost, {
    path: command.from,
    format: command.fromFormat,
    readOnly: true,
  });
  try {
    const format = command.format ?? formatByName(command.to);
    await makeImage(command.to, format, from.sizeBytes);
    const keep = removeOnSignal(command.to);
    try {
      const to = await openDisk(nodeDiskHost, { path: command.to, format, readOnly: false });
      try {
        await copyDisk(from, to, progressLine());
      } finally {
        await to.close();
      }
    } catch (error) {
      unlinkSync(command.to); // half an image is none
      throw error;
    } finally {
      keep();
    }
  } finally {
    await from.close();
  }
}

async function resize(command: Extract<DiskCommand, { action: "resize" }>): Promise<void> {
  const disk = await openDisk(nodeDiskHost, { ...command, readOnly: false });
  try {
    const sizeBytes = command.relative ? disk.sizeBytes + command.sizeBytes : command.sizeBytes;
    if (sizeBytes < disk.sizeBytes && !command.shrink)
      throw new UsageError(
        `${command.path} has ${disk.sizeBytes} bytes; with --shrink it loses those behind ${sizeBytes}`,
      );
    if (disk instanceof Qcow2Disk || disk instanceof RawDisk) await disk.resize(sizeBytes);
  } finally {
    await disk.close();
  }
}

async function makeImage(
  file: string,
  format: DiskFormat,
  sizeBytes: number,
  backing?: { name: string; format: string },
): Promise<void> {
  const store = await FileStore.create(file);
  try {
    if (format === "raw") await store.truncate(sizeBytes);
    else await createQcow2(store, { sizeBytes, backing });
  } catch (error) {
    unlinkSync(file);
    throw error;
  } finally {
    await store.close();
  }
}

function formatByName(file: string): DiskFormat {
  return /\.qcow2$/i.test(file) ? "qcow2" : "raw";
}

/** Shows how far a long work has come, on a terminal, a few times a second. */
function progressLine(): (done: number, total: number) => void {
  if (!process.stderr.isTTY) return () => {};
  let shown = -1;
  return (done, total) => {
    const percent = total === 0 ? 100 : Math.floor((done * 100) / total);
    if (percent === shown) return;
    shown = percent;
    process.stderr.write(
      `\r${String(percent).padStart(3)} % of ${total} bytes${percent === 100 ? "\n" : ""}`,
    );
  };
}
