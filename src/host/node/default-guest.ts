import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { BUSYBOX, CLOUD_KERNEL_WITH_MODULES, fetchDebianFiles } from "./debian-guests.ts";
import { busyboxApplets, defaultInitramfs, INITRAMFS_RECIPE } from "./default-initramfs.ts";
import { GuestCache } from "./guest-cache.ts";
import type { Progress } from "./package-client.ts";

/** What to boot. */
export interface DefaultGuest {
  readonly kernelPath: string;
  readonly initrdPath: string;
  readonly commandLine: string;
}

const COMMAND_LINE = "console=ttyS0 quiet";

/** For the command line: the tags of shared folders that the default guest mounts at /mnt/TAG. */
export function shareWords(tags: readonly string[]): string[] {
  return tags.map((tag) => `ringfence.share=${tag}`);
}

/**
 * Debian's cloud kernel with busybox, from Debian's packages, kept in the
 * user's cache folder.
 * @throws {GuestUnavailableError} Where there is no package client, or it does not deliver.
 */
export async function prepareDefaultGuest(
  progress: Progress,
  cache: GuestCache = new GuestCache(),
): Promise<DefaultGuest> {
  const { vmlinuz = "", ...modules } = await fetchDebianFiles(cache, CLOUD_KERNEL_WITH_MODULES, progress);
  const { busybox = "" } = await fetchDebianFiles(cache, BUSYBOX, progress);
  const folder = await cache.ensure(
    "default-initramfs-with-modules-amd64",
    INITRAMFS_RECIPE,
    async (staging) => {
      progress("writing the initial RAM disk");
      chmodSync(busybox, 0o755);
      const archive = defaultInitramfs(
        readFileSync(busybox),
        busyboxApplets(busybox),
        Object.values(modules),
      );
      writeFileSync(path.join(staging, "initrd.cpio"), archive);
    },
  );
  return { kernelPath: vmlinuz, initrdPath: path.join(folder, "initrd.cpio"), commandLine: COMMAND_LINE };
}
