import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type CpioEntry, writeCpio } from "../../host/cpio.ts";
import { BUSYBOX, CLOUD_KERNEL_WITH_MODULES, fetchDebianFiles } from "../../host/node/debian-guests.ts";
import { busyboxApplets } from "../../host/node/default-initramfs.ts";
import { GuestCache } from "../../host/node/guest-cache.ts";
import { moduleEntries } from "../../host/node/kernel-modules.ts";
import { VmError } from "../../layout/vm-error.ts";
import { type BuildProgress, FAILED, STEP } from "../build-log.ts";
import type { ImageStore, StoredImage } from "../image-store.ts";
import { createDisk, runBuild } from "../run-build.ts";
import { TarWriter } from "../tar-writer.ts";
import type { ContainerConfig, ContainerImage } from "./container-image.ts";
import { containerInit, containerStart, EXIT_STATUS_PORT, UDHCPC_SCRIPT } from "./container-init.ts";
import { type Accounts, type ContainerUser, resolveUser } from "./container-user.ts";
import { portWriter } from "./exit-program.ts";
import { CONTAINER_FILE, containerText } from "./kept-container.ts";
import { type MergedTree, mergeLayers, writeMerged } from "./merge-layers.ts";
import { openContainer } from "./open-container.ts";

/** What the user wants imported. */
export interface ImportRequest {
  readonly name: string;
  readonly path: string;
  /** Which image of several. */
  readonly tag: string | undefined;
  /** For the shell, in place of the image's entry point and command. */
  readonly command: string | undefined;
  readonly diskBytes: number;
  readonly memoryBytes: number;
  readonly forwards: readonly string[];
}

/** An image, and what the container says of its ports. */
export interface ImportedImage extends StoredImage {
  readonly ports: readonly string[];
}

const ACCOUNT_FILES = ["etc/passwd", "etc/group"] as const;

/** The init of the machine that unpacks: /dev/vda becomes the root file system, /dev/vdb is the archive of it. */
const BUILDER_INIT = `#!/bin/sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
step() { echo "${STEP}$*"; }
fail() { echo "${FAILED}$*"; sync; poweroff -f; }
modprobe -q virtio_pci
for alias in $(cat /sys/bus/virtio/devices/*/modalias); do modprobe -q "$alias"; done
step unpack
mkdir -p /mnt
/usr/sbin/mke2fs -q -F -t ext4 -L root /dev/vda || fail "there is no file system on the disk"
mount -t ext4 -o noatime /dev/vda /mnt || fail "the disk cannot be mounted"
tar -x -f /dev/vdb -C /mnt || fail "the disk is too small, or the archive cannot be unpacked"
step close
umount /mnt || fail "the disk is in use"
sync
step done
poweroff -f
`;

/**
 * Makes a machine image of a container image. Nothing in the container's archive becomes a file of this host by its
 * own name: layers are merged as lists of paths, and unpacked in a machine of our own.
 *
 * @throws {VmError} `image-exists`, `archive-invalid`, `image-not-made`, `file-*`.
 */
export async function importContainer(
  store: ImageStore,
  request: ImportRequest,
  progress: BuildProgress,
): Promise<ImportedImage> {
  store.checkNew(request.name);
  let ports: readonly string[] = [];
  const stored = await store.create(request.name, async (folder) => {
    const work = path.join(folder, "work");
    mkdirSync(work);
    const { path: source, tag, diskBytes } = request;
    progress(`reading ${source}`);
    const container = await openContainer({ path: source, tag, work, mostBytes: diskBytes });
    ({ ports } = container.config);
    const tree = await mergeLayers(container.layers, ACCOUNT_FILES, source);
    const config = withCommand(container.config, request.command);
    const accounts = accountsIn(tree);
    const user = findUser(config, accounts, source);
    writeFileSync(path.join(folder, CONTAINER_FILE), containerText({ config, accounts }));
    await makeDisk(container, tree, { folder, work, request, progress });
    await makeInitrd(folder, request.name, config, user, progress);
    rmSync(work, { recursive: true });
    return {
      description: `${path.basename(source)}: ${[...config.entryPoint, ...config.command].join(" ").slice(0, 100)}`,
      kernel: "vmlinuz",
      initrd: "initrd",
      commandLine: "console=ttyS0 quiet",
      memoryBytes: request.memoryBytes,
      disks: [{ file: "disk.qcow2", format: "qcow2", serial: "root" }],
      network: "user",
      forwards: request.forwards,
      exitStatusPort: EXIT_STATUS_PORT,
      takesCommand: true,
      container: CONTAINER_FILE,
    };
  });
  return { ...stored, ports };
}

function withCommand(config: ContainerConfig, command: string | undefined): ContainerConfig {
  return command === undefined ? config : { ...config, entryPoint: [], command: ["/bin/sh", "-c", command] };
}

function accountsIn({ kept }: MergedTree): Accounts {
  const text = (file: (typeof ACCOUNT_FILES)[number]) => kept.get(file)?.toString("utf8") ?? "";
  return { passwd: text("etc/passwd"), group: text("etc/group") };
}

function findUser({ user }: ContainerConfig, accounts: Accounts, source: string): ContainerUser {
  const found = resolveUser(user, accounts);
  if (found !== undefined) return found;
  const reason = `it runs as ${JSON.stringify(user)}, whom its /etc/passwd and /etc/group do not have`;
  throw new VmError({ code: "archive-invalid", path: source, reason });
}

interface Making {
  readonly folder: string;
  readonly work: string;
  readonly request: ImportRequest;
  readonly progress: BuildProgress;
}

async function makeDisk(
  { layers }: ContainerImage,
  tree: MergedTree,
  { folder, work, request, progress }: Making,
): Promise<void> {
  const archive = path.join(work, "root.tar");
  const writer = new TarWriter(archive);
  try {
    await writeMerged(layers, tree, writer, request.path);
    writer.close();
  } catch (error) {
    writer.abandon();
    throw error;
  }
  const disk = path.join(folder, "disk.qcow2");
  await createDisk(disk, request.diskBytes);
  await runBuild({
    init: BUILDER_INIT,
    disks: [
      { path: disk, format: "qcow2", readOnly: false },
      { path: archive, format: "raw", readOnly: true },
    ],
    steps: { unpack: { told: "unpacking" }, close: { told: "closing the disk" } },
    progress,
  });
}

/** The kernel, and an initial RAM disk that runs the program. */
async function makeInitrd(
  folder: string,
  name: string,
  config: ContainerConfig,
  user: ContainerUser,
  progress: BuildProgress,
): Promise<void> {
  const cache = new GuestCache();
  const tell = (line: string) => progress(line);
  const { vmlinuz = "", ...modules } = await fetchDebianFiles(cache, CLOUD_KERNEL_WITH_MODULES, tell);
  const { busybox = "" } = await fetchDebianFiles(cache, BUSYBOX, tell);
  chmodSync(busybox, 0o755);
  const script = (file: string, text: string): CpioEntry => ({
    ...{ kind: "file", path: file, permissions: 0o755, bytes: Buffer.from(text) },
  });
  const folders = [
    "bin",
    "sbin",
    "dev",
    "etc",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "usr",
    "usr/bin",
    "usr/sbin",
  ];
  const applets = busyboxApplets(busybox).filter((applet) => applet !== "bin/busybox");
  const archive = writeCpio([
    ...folders.map((file): CpioEntry => ({ kind: "folder", path: file })),
    { kind: "character-device", path: "dev/console", major: 5, minor: 1 },
    { kind: "file", path: "bin/busybox", permissions: 0o755, bytes: readFileSync(busybox) },
    ...applets.map((file): CpioEntry => ({ kind: "link", path: file, target: "/bin/busybox" })),
    { kind: "folder", path: "etc/udhcpc" },
    script("etc/udhcpc/default.script", UDHCPC_SCRIPT),
    { kind: "file", path: "exit-with", permissions: 0o755, bytes: portWriter(EXIT_STATUS_PORT) },
    script("init", containerInit(name.replace(/[^A-Za-z0-9-]/g, "-"))),
    script("start", containerStart(config, user)),
    ...moduleEntries(Object.values(modules)),
  ]);
  copyFileSync(vmlinuz, path.join(folder, "vmlinuz"));
  writeFileSync(path.join(folder, "initrd"), archive);
}
