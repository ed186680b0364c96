import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { VmError } from "../../layout/vm-error.ts";
import { defaultCacheFolder } from "./cache-folder.ts";
import { CORE_WASM, ensureCore } from "./core-module.ts";
import { prepareDefaultGuest } from "./default-guest.ts";
import { readWholeFile, systemErrorText } from "./files.ts";
import type { Progress } from "./package-client.ts";

/** How many snapshots are kept, of other guests, versions or sizes. */
const MOST_KEPT = 4;

/**
 * Where the snapshot of the default guest belongs that this version makes with `settings`, in the user's cache folder:
 * a name made of the contents of all that it comes from.
 *
 * @throws {GuestUnavailableError} Where the default guest cannot be fetched.
 */
export async function defaultSnapshotPath(settings: string, progress: Progress): Promise<string> {
  ensureCore();
  const guest = await prepareDefaultGuest(progress);
  const hash = createHash("sha256").update(`${settings}\0${guest.commandLine}\0`);
  for (const file of [CORE_WASM, guest.kernelPath, guest.initrdPath]) hash.update(readWholeFile(file));
  const folder = path.join(defaultCacheFolder(), "snapshots");
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw new VmError({ code: "file-unwritable", path: folder, reason: systemErrorText(cause) }, { cause });
  }
  return path.join(folder, `${hash.digest("hex").slice(0, 32)}.snapshot`);
}

/** Whether a cached snapshot is there. */
export function isCached(snapshotPath: string): boolean {
  return existsSync(snapshotPath);
}

/** Removes a snapshot that is damaged, or makes room for a new one. */
export function makeRoomFor(snapshotPath: string): void {
  const folder = path.dirname(snapshotPath);
  rmSync(snapshotPath, { force: true });
  const others = readdirSync(folder).filter((name) => name.endsWith(".snapshot"));
  for (const name of others.sort().slice(MOST_KEPT - 1)) rmSync(path.join(folder, name), { force: true });
}
