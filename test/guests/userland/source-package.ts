import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { GuestUnavailableError } from "../../../src/host/guest-unavailable.ts";

const SYSTEM_LIST = "/etc/apt/sources.list";
const SYSTEM_PARTS = "/etc/apt/sources.list.d";

/**
 * Downloads the source package `name` into `folder` and returns the path of its file that `wanted` names.
 * Package lists of sources are kept in `lists`; they come from where the system's packages come from.
 */
export function downloadSource(name: string, wanted: RegExp, folder: string, lists: string): string {
  const options = ownLists(lists);
  if (apt("apt-get", [...options, "-q", "update"]) === undefined)
    throw new GuestUnavailableError("apt-get could not fetch Debian's lists of sources");
  const known = apt("apt-cache", [...options, "showsrc", name]) ?? "";
  const versions = Array.from(known.matchAll(/^Version: (\S+)$/gm), ([, version = ""]) => version);
  // A mirror may have lost the files of one version and still have another's.
  for (const version of versions.reverse()) {
    apt("apt-get", [...options, "-q", "source", "--download-only", `${name}=${version}`], folder);
    const file = readdirSync(folder).find((entry) => wanted.test(entry));
    if (file !== undefined) return path.join(folder, file);
  }
  throw new GuestUnavailableError(`apt-get delivered no sources of ${name}`);
}

/** Options for apt with lists of its own, in which every source of packages is also one of sources. */
function ownLists(folder: string): string[] {
  const parts = path.join(folder, "parts");
  for (const part of ["state/lists/partial", "cache/archives/partial", "parts"])
    mkdirSync(path.join(folder, part), { recursive: true });
  if (existsSync(SYSTEM_LIST)) {
    const sources = readFileSync(SYSTEM_LIST, "utf8").replace(
      /^deb\s.*$/gm,
      (line) => `${line}\ndeb-src${line.slice(3)}`,
    );
    writeFileSync(path.join(parts, "system.list"), sources);
  }
  const systemParts = existsSync(SYSTEM_PARTS) ? readdirSync(SYSTEM_PARTS) : [];
  for (const part of systemParts.filter((name) => name.endsWith(".sources"))) {
    const text = readFileSync(path.join(SYSTEM_PARTS, part), "utf8");
    writeFileSync(path.join(parts, part), text.replace(/^Types:.*$/gm, "Types: deb deb-src"));
  }
  const settings = [
    `Dir::State=${folder}/state`,
    `Dir::State::lists=${folder}/state/lists`,
    `Dir::Cache=${folder}/cache`,
    "Dir::State::status=/dev/null",
    "Dir::Etc::sourcelist=/dev/null",
    `Dir::Etc::sourceparts=${parts}`,
  ];
  return settings.flatMap((setting) => ["-o", setting]);
}

/** What apt printed; undefined when it failed. */
function apt(program: string, parameters: readonly string[], folder?: string): string | undefined {
  const { status, stdout } = spawnSync(program, parameters, {
    encoding: "utf8",
    maxBuffer: 64 << 20,
    env: { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" },
    ...(folder === undefined ? {} : { cwd: folder }),
  });
  return status === 0 ? stdout : undefined;
}
