/**
 * Puts the guests that tests boot into the user's cache folder, from Debian's packages, and prints their paths.
 *
 *     node tools/fetch-guests.ts
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import {
  CLOUD_KERNEL,
  fetchDebianFiles,
  installerRecipe,
  STANDARD_KERNEL,
} from "../src/host/node/debian-guests.ts";
import { prepareDefaultGuest } from "../src/host/node/default-guest.ts";
import { GuestCache } from "../src/host/node/guest-cache.ts";

/** One guest's files, or why there are none. */
export type FetchedGuest =
  | { readonly available: true; readonly kernelPath: string; readonly initrdPath?: string }
  | { readonly available: false; readonly reason: string };

export const GUESTS = ["default", "cloud-kernel", "standard-kernel", "debian-installer"] as const;
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
  switch (name) {
    case "default": {
      const { kernelPath, initrdPath } = await prepareDefaultGuest(progress, cache);
      return { kernelPath, initrdPath };
    }
    case "cloud-kernel":
      return { kernelPath: (await fetchDebianFiles(cache, CLOUD_KERNEL, progress))["vmlinuz"] ?? "" };
    case "standard-kernel":
      return { kernelPath: (await fetchDebianFiles(cache, STANDARD_KERNEL, progress))["vmlinuz"] ?? "" };
    case "debian-installer": {
      const files = await fetchDebianFiles(cache, installerRecipe(debianRelease()), progress);
      return { kernelPath: files["linux"] ?? "", initrdPath: files["initrd.gz"] ?? "" };
    }
  }
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
