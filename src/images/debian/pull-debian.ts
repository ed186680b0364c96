import { createReadStream, mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { FileStore } from "../../host/node/file-store.ts";
import { VmError } from "../../layout/vm-error.ts";
import type { BuildProgress } from "../build-log.ts";
import type { ImageStore, NewImage, StoredImage } from "../image-store.ts";
import { createDisk, runBuild } from "../run-build.ts";
import { readTar, wholeContents } from "../tar-reader.ts";
import { BUILDER_INIT, DISK_INIT } from "./builder-script.ts";
import { DebianPackages, type DownloadedPackages } from "./debian-packages.ts";
import { type DebianOrigin, findOrigin } from "./debian-sources.ts";
import { writeRootArchive } from "./root-archive.ts";
import { systemFiles } from "./system-files.ts";

/** What the user wants of Debian. */
export interface DebianRequest {
  /** The image's name, which is the machine's too. */
  readonly name: string;
  /** Undefined: this machine's. */
  readonly suite: string | undefined;
  /** Undefined: where this machine's packages come from. */
  readonly mirror: string | undefined;
  readonly include: readonly string[];
  /** The kernel's package. */
  readonly kernel: string;
  readonly diskBytes: number;
  readonly memoryBytes: number;
}

/** Room for kernel and initial RAM disk; a sparse file. */
const RESULT_BYTES = 256 << 20;
const MOST_RESULT_BYTES = 128 << 20;

/**
 * Makes an image of Debian for amd64 from Debian's packages. This machine downloads them and writes an archive;
 * a machine of our own, in which we are root, makes the file system and configures it.
 *
 * @throws {GuestUnavailableError} When packages are not to be had.
 * @throws {VmError} `image-exists`, `image-not-made`, `file-*`.
 */
export async function pullDebian(
  store: ImageStore,
  request: DebianRequest,
  progress: BuildProgress,
): Promise<StoredImage> {
  store.checkNew(request.name);
  const origin = await findOrigin(request.suite, request.mirror);
  return store.create(request.name, async (folder) => {
    const work = path.join(folder, "work");
    mkdirSync(work);
    progress(`fetching packages of Debian ${origin.suite}`);
    const packages = await new DebianPackages(work, origin).download(request.include, request.kernel);
    await buildImage({ folder, work, packages, origin, request, progress });
    rmSync(work, { recursive: true });
    return describeImage(request, origin);
  });
}

interface Build {
  readonly folder: string;
  readonly work: string;
  readonly packages: DownloadedPackages;
  readonly origin: DebianOrigin;
  readonly request: DebianRequest;
  readonly progress: BuildProgress;
}

async function buildImage({ folder, work, packages, origin, request, progress }: Build): Promise<void> {
  const archive = path.join(work, "root.tar");
  await writeRootArchive(
    archive,
    packages,
    systemFiles(request.name.replace(/[^A-Za-z0-9-]/g, "-"), origin),
    (done, total) => progress("reading packages", done, total),
  );
  const disk = path.join(folder, "disk.qcow2");
  await createDisk(disk, request.diskBytes);
  const result = path.join(work, "result.tar");
  const empty = await FileStore.create(result);
  await empty.truncate(RESULT_BYTES);
  await empty.close();
  await runBuild({
    init: BUILDER_INIT,
    files: [{ kind: "file", path: "disk-init", bytes: Buffer.from(DISK_INIT) }],
    disks: [
      { path: disk, format: "qcow2", readOnly: false },
      { path: archive, format: "raw", readOnly: true },
      { path: result, format: "raw", readOnly: false },
    ],
    steps: {
      unpack: { told: "unpacking packages" },
      configure: { told: "configuring packages", parts: packages.base.length },
      install: { told: "installing packages", parts: packages.included.length },
      finish: { told: "finishing the system" },
      initrd: { told: "making the initial RAM disk" },
      close: { told: "closing the disk" },
    },
    progress,
  });
  await takeResult(result, folder);
}

/** Takes kernel and initial RAM disk, and nothing else, from the archive that the builder has left. */
async function takeResult(archive: string, folder: string): Promise<void> {
  const wanted = new Set(["vmlinuz", "initrd"]);
  await readTar(createReadStream(archive, { highWaterMark: 1 << 20 }), async (entry) => {
    if (entry.type !== "file" || !wanted.delete(entry.name)) return;
    if (entry.sizeBytes > MOST_RESULT_BYTES)
      throw new VmError({ code: "image-not-made", reason: `its ${entry.name} has ${entry.sizeBytes} bytes` });
    writeFileSync(path.join(folder, entry.name), await wholeContents(entry));
  });
  for (const name of wanted)
    throw new VmError({ code: "image-not-made", reason: `the machine that builds it left no ${name}` });
}

function describeImage({ memoryBytes }: DebianRequest, { suite }: DebianOrigin): NewImage {
  return {
    description: `Debian ${suite} for amd64, from its packages`,
    kernel: "vmlinuz",
    initrd: "initrd",
    commandLine: "root=/dev/vda console=ttyS0 quiet",
    memoryBytes,
    disks: [{ file: "disk.qcow2", format: "qcow2", serial: "root" }],
    network: "user",
    forwards: [],
  };
}
