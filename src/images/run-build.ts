import { createQcow2 } from "../disk/qcow2/create.ts";
import { type CpioEntry, writeCpio } from "../host/cpio.ts";
import { fetchFormatter } from "../host/node/debian-guests.ts";
import { prepareDefaultGuest } from "../host/node/default-guest.ts";
import { FileStore } from "../host/node/file-store.ts";
import { readWholeFile } from "../host/node/files.ts";
import { GuestCache } from "../host/node/guest-cache.ts";
import { BuildLog, type BuildProgress, type BuildSteps } from "./build-log.ts";
import { type BuilderDisk, runBuilder } from "./builder-machine.ts";

const MEMORY_BYTES = 512 << 20;

/** A machine of our own that builds: the default guest with another init. */
export interface BuildRequest {
  /** Its init, a shell script that says its steps. */
  readonly init: string;
  /** Further files of its initial RAM disk. */
  readonly files?: readonly CpioEntry[];
  readonly disks: readonly BuilderDisk[];
  readonly steps: BuildSteps;
  readonly progress: BuildProgress;
}

/**
 * Runs a builder to its end. It has mke2fs and tune2fs in /usr/sbin.
 * @throws {VmError} `image-not-made`. @throws {GuestUnavailableError} Where Debian's packages are not to be had.
 */
export async function runBuild({ init, files = [], disks, steps, progress }: BuildRequest): Promise<void> {
  const tell = (line: string) => progress(line);
  const guest = await prepareDefaultGuest(tell);
  const additions = writeCpio([
    { kind: "file", path: "init", permissions: 0o755, bytes: Buffer.from(init) },
    ...(await fetchFormatter(new GuestCache(), tell)),
    ...files,
  ]);
  const log = new BuildLog(steps, progress);
  await runBuilder({
    kernel: readWholeFile(guest.kernelPath),
    // The kernel unpacks archives one after the other, and the last one to have a file has its say.
    initrd: new Uint8Array(Buffer.concat([readWholeFile(guest.initrdPath), additions])),
    commandLine: "console=ttyS0 quiet",
    memoryBytes: MEMORY_BYTES,
    disks,
    onLine: (line) => log.take(line),
  });
  log.finish();
}

/** Makes an empty disk for a builder to fill. */
export async function createDisk(file: string, sizeBytes: number): Promise<void> {
  const store = await FileStore.create(file);
  try {
    await createQcow2(store, { sizeBytes });
  } finally {
    await store.close();
  }
}
