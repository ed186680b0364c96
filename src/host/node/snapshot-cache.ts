import { hash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { VmError } from "../../layout/vm-error.ts";
import { fingerprint, ROOT } from "./bundle.ts";
import { defaultCacheFolder } from "./cache-folder.ts";
import { codeVersion } from "./code-version.ts";
import { ensureCore } from "./core-module.ts";
import { readWholeFile, systemErrorText } from "./files.ts";
import type { Progress } from "./package-client.ts";

/** How many snapshots are kept, of other guests, versions or sizes. */
const MOST_KEPT = 4;

/** What decides how the default guest is made: files whose change makes what is remembered void. */
const GUEST_SOURCES = ["default-guest.ts", "default-initramfs.ts", "debian-guests.ts"];

/** Which snapshot it was the last time, so that nothing large has to be read to tell. */
interface Remembered {
  readonly snapshot: string;
  readonly sources: readonly (readonly [file: string, fingerprint: string])[];
}

/**
 * Where the snapshot of the default guest belongs that this version makes with `settings`, in the user's cache folder:
 * a name made of the contents of all that it comes from.
 *
 * @throws {GuestUnavailableError} Where the default guest cannot be fetched.
 */
export async function defaultSnapshotPath(settings: string, progress: Progress): Promise<string> {
  ensureCore();
  const folder = path.join(defaultCacheFolder(), "snapshots");
  const version = `${settings}\0${codeVersion()}`;
  const memory = path.join(folder, `${hashOf(version)}.json`);
  const known = recall(memory);
  if (known !== undefined) return path.join(folder, known);
  const { prepareDefaultGuest } = await import("./default-guest.ts");
  const guest = await prepareDefaultGuest(progress);
  const files = [guest.kernelPath, guest.initrdPath];
  const contents = files.map((file) => hashOf(readWholeFile(file)));
  const snapshot = `${hashOf([version, guest.commandLine, ...contents].join("\0"))}.snapshot`;
  try {
    mkdirSync(folder, { recursive: true });
    const sources = [...GUEST_SOURCES.map((name) => path.join(ROOT, "src", "host", "node", name)), ...files];
    const remembered: Remembered = { snapshot, sources: sources.map((file) => [file, fingerprint(file)]) };
    writeFileSync(memory, JSON.stringify(remembered));
  } catch (cause) {
    throw new VmError({ code: "file-unwritable", path: folder, reason: systemErrorText(cause) }, { cause });
  }
  return path.join(folder, snapshot);
}

function recall(memory: string): string | undefined {
  try {
    const { snapshot, sources } = JSON.parse(readFileSync(memory, "utf8")) as Remembered;
    return sources.every(([file, expected]) => fingerprint(file) === expected) ? snapshot : undefined;
  } catch {
    return undefined;
  }
}

function hashOf(data: string | Uint8Array): string {
  return hash("sha256", data).slice(0, 32);
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
