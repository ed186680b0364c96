import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { CpioEntry } from "../cpio.ts";
import type { GuestCache } from "./guest-cache.ts";
import { PackageClient, type Progress } from "./package-client.ts";

/** Files taken from Debian's packages. `name` is the folder in the cache. */
export interface DebianRecipe {
  readonly name: string;
  /** The package, or one that depends on it. */
  readonly packageName: string;
  /** Absent: the host's. */
  readonly architecture?: string;
  /** Which dependency to follow; absent when `packageName` has the files. */
  readonly dependency?: RegExp;
  /** Name in the cache -> where in the package, as a pattern from its root. */
  readonly files: Readonly<Record<string, RegExp>>;
  /** What to unpack, as tar's --wildcards has it. */
  readonly patterns: readonly string[];
}

/** Changes when the same files must be taken from the packages again. */
const RECIPE = "debian-2";

export const CLOUD_KERNEL: DebianRecipe = {
  name: "debian-cloud-kernel-amd64",
  packageName: "linux-image-cloud-amd64",
  dependency: /^linux-image-\d.*-amd64(-unsigned)?$/,
  patterns: ["./boot/vmlinuz-*"],
  files: { vmlinuz: /^boot\/vmlinuz-/ },
};

/** Modules of the cloud kernel for the devices that Ringfence has, and what they need. */
const CLOUD_MODULES = [
  ...["virtio", "virtio_ring", "virtio_pci", "virtio_pci_legacy_dev", "virtio_pci_modern_dev"],
  ...["virtio_blk", "virtio-rng", "virtio_console", "virtio_balloon"],
  ...["virtio_net", "net_failover", "failover"],
  ...["fuse", "virtiofs", "isofs"],
  ...["button", "evdev"],
  ...["vsock", "vmw_vsock_virtio_transport_common", "vmw_vsock_virtio_transport"],
];

/** The kernel with modules that belong to it: both from one package, since they must be of one version. */
export const CLOUD_KERNEL_WITH_MODULES: DebianRecipe = {
  ...CLOUD_KERNEL,
  name: "debian-cloud-kernel-with-modules-amd64",
  patterns: [...CLOUD_KERNEL.patterns, ...modulePatterns(CLOUD_MODULES)],
  files: { ...CLOUD_KERNEL.files, ...moduleFiles(CLOUD_MODULES) },
};

function modulePatterns(names: readonly string[]): string[] {
  return names.map((name) => `*/kernel/*/${name}.ko`);
}

function moduleFiles(names: readonly string[]): Record<string, RegExp> {
  return Object.fromEntries(names.map((name) => [`${name}.ko`, new RegExp(`/kernel/.*/${name}\\.ko$`)]));
}

export const STANDARD_KERNEL: DebianRecipe = {
  name: "debian-kernel-amd64",
  packageName: "linux-image-amd64",
  dependency: /^linux-image-\d.*-amd64(-unsigned)?$/,
  patterns: ["./boot/vmlinuz-*"],
  files: { vmlinuz: /^boot\/vmlinuz-/ },
};

/** The cloud kernel has no 9p; this one has. */
const STANDARD_MODULES = [...CLOUD_MODULES, "9p", "9pnet", "9pnet_virtio", "netfs", "fscache"];

export const STANDARD_KERNEL_WITH_MODULES: DebianRecipe = {
  ...STANDARD_KERNEL,
  name: "debian-kernel-with-modules-amd64",
  patterns: [...STANDARD_KERNEL.patterns, ...modulePatterns(STANDARD_MODULES)],
  files: { ...STANDARD_KERNEL.files, ...moduleFiles(STANDARD_MODULES) },
};

export const REAL_TIME_KERNEL: DebianRecipe = {
  name: "debian-rt-kernel-amd64",
  packageName: "linux-image-rt-amd64",
  dependency: /^linux-image-\d.*-rt-amd64(-unsigned)?$/,
  patterns: ["./boot/vmlinuz-*"],
  files: { vmlinuz: /^boot\/vmlinuz-/ },
};

export const KERNEL_686: DebianRecipe = {
  name: "debian-kernel-686",
  packageName: "linux-image-686",
  architecture: "i386",
  dependency: /^linux-image-\d.*-686(-unsigned)?$/,
  patterns: ["./boot/vmlinuz-*"],
  files: { vmlinuz: /^boot\/vmlinuz-/ },
};

export const KERNEL_686_PAE: DebianRecipe = {
  name: "debian-kernel-686-pae",
  packageName: "linux-image-686-pae",
  architecture: "i386",
  dependency: /^linux-image-\d.*-686-pae(-unsigned)?$/,
  patterns: ["./boot/vmlinuz-*"],
  files: { vmlinuz: /^boot\/vmlinuz-/ },
};

/** Version 6, whose images follow Linux's boot protocol. */
export const MEMTEST: DebianRecipe = {
  name: "debian-memtest86+",
  packageName: "memtest86+",
  patterns: ["./boot/memtest86+*.bin"],
  files: { "memtest32.bin": /^boot\/memtest86\+ia32\.bin$/, "memtest64.bin": /^boot\/memtest86\+x64\.bin$/ },
};

export const BUSYBOX: DebianRecipe = {
  name: "debian-busybox-amd64",
  packageName: "busybox-static",
  patterns: ["*/bin/busybox"],
  files: { busybox: /bin\/busybox$/ },
};

/** Programs that make ext4 file systems, with everything that they are linked with: one recipe for each package. */
const FORMATTER: readonly DebianRecipe[] = [
  formatterPart("e2fsprogs", ["mke2fs", "tune2fs"]),
  { ...formatterPart("e2fsprogs", ["libext2fs.so.2", "libe2p.so.2"]), dependency: /^libext2fs2/ },
  formatterPart("libcom-err2", ["libcom_err.so.2"]),
  formatterPart("libblkid1", ["libblkid.so.1"]),
  formatterPart("libuuid1", ["libuuid.so.1"]),
  formatterPart("libc6", ["libc.so.6", "ld-linux-x86-64.so.2"]),
];

function formatterPart(packageName: string, names: readonly string[]): DebianRecipe {
  const quoted = (name: string) => name.replaceAll(".", "\\.");
  return {
    name: `debian-formatter-${names[0]}-amd64`,
    packageName,
    patterns: names.map((name) => `*/${name}*`),
    // What a link leads to has a longer name and is copied under the shorter one.
    files: Object.fromEntries(
      names.map((name) => [name, new RegExp(`(^|/)(sbin|lib/x86_64-linux-gnu)/${quoted(name)}$`)]),
    ),
  };
}

/** Files of the initial RAM disk of a machine that has to make an ext4 file system. */
export async function fetchFormatter(cache: GuestCache, progress: Progress): Promise<CpioEntry[]> {
  const entries: CpioEntry[] = FORMATTER_FOLDERS.map((path) => ({ kind: "folder", path }));
  for (const recipe of FORMATTER) {
    const files = await fetchDebianFiles(cache, recipe, progress);
    for (const [name, file] of Object.entries(files)) {
      const folder = name.endsWith("2fs") ? "usr/sbin" : "lib/x86_64-linux-gnu";
      entries.push({
        kind: "file",
        path: `${folder}/${name}`,
        permissions: 0o755,
        bytes: readFileSync(file),
      });
    }
  }
  const linker = "ld-linux-x86-64.so.2";
  entries.push({ kind: "link", path: `lib64/${linker}`, target: `/lib/x86_64-linux-gnu/${linker}` });
  return entries;
}

const FORMATTER_FOLDERS = ["usr", "usr/sbin", "lib", "lib/x86_64-linux-gnu", "lib64"];

/** `release` is Debian's major version. The packages are for hosts of any architecture. */
export function installerRecipe(release: number, guest: "amd64" | "i386"): DebianRecipe {
  const folder = `text/debian-installer/${guest}`;
  return {
    name: `debian-${release}-installer-netboot-${guest}`,
    packageName: `debian-installer-${release}-netboot-${guest}`,
    patterns: [`*/${folder}/linux`, `*/${folder}/initrd.gz`],
    files: {
      linux: new RegExp(`/${folder}/linux$`),
      "initrd.gz": new RegExp(`/${folder}/initrd\\.gz$`),
    },
  };
}

/** Fetches what `recipe` names, unless the cache has it; returns the path of each file. */
export async function fetchDebianFiles(
  cache: GuestCache,
  recipe: DebianRecipe,
  progress: Progress,
): Promise<Record<string, string>> {
  // With the names, so that a folder without a file that is wanted now is made again.
  const made = [RECIPE, ...Object.keys(recipe.files).sort()].join(" ");
  const folder = await cache.ensure(recipe.name, made, async (staging) => {
    const client = new PackageClient(path.join(cache.folder, "apt"), progress, recipe.architecture);
    const { dependency, packageName, patterns } = recipe;
    const name = dependency === undefined ? packageName : await client.resolve(packageName, dependency);
    const work = path.join(staging, "work");
    const unpacked = path.join(work, "unpacked");
    mkdirSync(unpacked, { recursive: true });
    await client.unpack(await client.download(name, work), unpacked, patterns);
    const inside = readdirSync(unpacked, { recursive: true, encoding: "utf8" });
    for (const [target, where] of Object.entries(recipe.files)) {
      const found = inside.find((file) => where.test(file));
      if (found === undefined) throw new Error(`internal error (please report): ${name} has no ${target}`);
      copyFileSync(path.join(unpacked, found), path.join(staging, target));
    }
    writeFileSync(path.join(staging, "package.txt"), `${name}\n`);
    rmSync(work, { recursive: true });
  });
  return Object.fromEntries(Object.keys(recipe.files).map((file) => [file, path.join(folder, file)]));
}
