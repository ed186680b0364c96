/**
 * Puts the guests that tests boot into the user's cache folder, from Debian's packages, and prints their paths.
 *
 *     node tools/fetch-guests.ts
 */
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import {
  BUSYBOX,
  CLOUD_KERNEL,
  type DebianRecipe,
  fetchDebianFiles,
  installerRecipe,
  KERNEL_686,
  KERNEL_686_PAE,
  MEMTEST,
  REAL_TIME_KERNEL,
  STANDARD_KERNEL,
  STANDARD_KERNEL_WITH_MODULES,
} from "../src/host/node/debian-guests.ts";
import { prepareDefaultGuest } from "../src/host/node/default-guest.ts";
import { busyboxApplets, defaultInitramfs, INITRAMFS_RECIPE } from "../src/host/node/default-initramfs.ts";
import { GuestCache } from "../src/host/node/guest-cache.ts";
import { prepareAgentGuest } from "./agent-guest.ts";

/** One guest's files, or why there are none. */
export type FetchedGuest =
  | { readonly available: true; readonly kernelPath: string; readonly initrdPath?: string }
  | { readonly available: false; readonly reason: string };

export const GUESTS = [
  "default",
  "qemu-guest-agent",
  "cloud-kernel",
  "standard-kernel",
  "standard-guest",
  "rt-kernel",
  "debian-installer",
  "installer-686",
  "installer-686-pae",
  "memtest-32",
  "memtest-64",
] as const;
export type GuestName = (typeof GUESTS)[number];

/** Fetches one guest; never throws for want of packages. A test skips with `reason` in its name or output. */
export async function fetchGuest(
  name: GuestName,
  progress: (line: string) => void = () => {},
): Promise<FetchedGuest> {
  try {
    return { available: true, ...(await pathsOf(name, new GuestCache(), progress)) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { available: false, reason: `guest ${name} is not to be had: ${reason}` };
  }
}

async function pathsOf(
  name: GuestName,
  cache: GuestCache,
  progress: (line: string) => void,
): Promise<{ kernelPath: string; initrdPath?: string }> {
  const fetch = (recipe: DebianRecipe) => fetchDebianFiles(cache, recipe, progress);
  switch (name) {
    case "default": {
      const { kernelPath, initrdPath } = await prepareDefaultGuest(progress, cache);
      return { kernelPath, initrdPath };
    }
    case "qemu-guest-agent":
      return prepareAgentGuest(cache, progress);
    case "cloud-kernel":
      return { kernelPath: (await fetch(CLOUD_KERNEL))["vmlinuz"] ?? "" };
    case "standard-kernel":
      return { kernelPath: (await fetch(STANDARD_KERNEL))["vmlinuz"] ?? "" };
    case "standard-guest": {
      const { vmlinuz = "", ...modules } = await fetch(STANDARD_KERNEL_WITH_MODULES);
      return {
        kernelPath: vmlinuz,
        initrdPath: await writeInitramfs(cache, Object.values(modules), progress),
      };
    }
    case "rt-kernel":
      return { kernelPath: (await fetch(REAL_TIME_KERNEL))["vmlinuz"] ?? "" };
    case "debian-installer": {
      const files = await fetch(installerRecipe(debianRelease(), "amd64"));
      return { kernelPath: files["linux"] ?? "", initrdPath: files["initrd.gz"] ?? "" };
    }
    case "installer-686":
    case "installer-686-pae": {
      const kernel = await fetch(name === "installer-686" ? KERNEL_686 : KERNEL_686_PAE);
      const installer = await fetch(installerRecipe(debianRelease(), "i386"));
      return { kernelPath: kernel["vmlinuz"] ?? "", initrdPath: installer["initrd.gz"] ?? "" };
    }
    case "memtest-32":
      return { kernelPath: (await fetch(MEMTEST))["memtest32.bin"] ?? "" };
    case "memtest-64":
      return { kernelPath: (await fetch(MEMTEST))["memtest64.bin"] ?? "" };
  }
}

/** The default guest's initial RAM disk, with other modules. */
async function writeInitramfs(
  cache: GuestCache,
  modules: readonly string[],
  progress: (line: string) => void,
): Promise<string> {
  const { busybox = "" } = await fetchDebianFiles(cache, BUSYBOX, progress);
  const folder = await cache.ensure("standard-initramfs-with-modules", INITRAMFS_RECIPE, async (staging) => {
    chmodSync(busybox, 0o755);
    const archive = defaultInitramfs(readFileSync(busybox), busyboxApplets(busybox), modules);
    writeFileSync(path.join(staging, "initrd.cpio"), archive);
  });
  return path.join(folder, "initrd.cpio");
}

/** Debian's major version on this machine; the package of the installer has it in its name. */
function debianRelease(): number {
  const text = readFileSync("/etc/os-release", "utf8");
  const version = /^ID=debian$/m.test(text) ? /^VERSION_ID="?(\d+)/m.exec(text)?.[1] : undefined;
  if (version === undefined) throw new Error("this machine does not run a release of Debian");
  return Number(version);
}

async function main(): Promise<void> {
  const guests: Partial<Record<GuestName, FetchedGuest>> = {};
  for (const name of GUESTS) guests[name] = await fetchGuest(name, (line) => console.error(line));
  console.log(JSON.stringify(guests, null, 2));
  process.exit(Object.values(guests).every((guest) => guest.available) ? 0 : 1);
}

if (import.meta.main) await main();
