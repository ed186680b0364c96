import { spawnSync } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { GuestCache } from "../../../src/host/node/guest-cache.ts";
import { PackageClient, type Progress } from "../../../src/host/node/package-client.ts";
import { downloadSource } from "./source-package.ts";

/** A small Debian with Python, Perl, OpenSSL and the tests that Debian packages with them or in their sources. */
export interface DebianUserland {
  /** The tree of files. */
  readonly root: string;
  /** The same as a raw disk with an ext4 file system. */
  readonly disk: string;
  /** The C library with its symbols, for `nm`. */
  readonly libcSymbols: string;
}

/** Changes when the userland must be made again. */
const RECIPE = "userland-3";
const DISK_BYTES = 480 << 20;
const RANDOM_BYTES = 1_000_003;
const SUITES = path.join(import.meta.dirname, "suites");
const LIBC = "lib/x86_64-linux-gnu/libc.so.6";
/** Besides what these depend on. */
const PROGRAMS = [
  ...["base-files", "bash", "coreutils", "dash", "diffutils", "findutils", "grep", "libc-bin", "sed"],
  ...["openssl", "perl"],
];
/** Tests of arithmetic, which Debian has for each architecture. */
const LAPACK = ["libblas-test", "liblapack-test", "busybox-static"];
const PERL_TESTS = ["*/t/*"];

/**
 * Makes the userland from Debian's packages, unless the cache has it.
 * @throws GuestUnavailableError where there is no package client, or it does not deliver.
 */
export async function debianUserland(progress: Progress): Promise<DebianUserland> {
  const cache = new GuestCache();
  const folder = await cache.ensure("debian-userland-amd64", RECIPE, async (staging) => {
    const root = path.join(staging, "root");
    const work = path.join(staging, "work");
    mkdirSync(work);
    // As for a foreign architecture: what this machine has installed does not count.
    const client = new PackageClient(path.join(cache.folder, "apt"), progress, "amd64");
    const python = await client.resolve("python3", /^python3\.\d+$/);
    for (const name of await closureOf(client, [...PROGRAMS, ...LAPACK, python, `lib${python}-testsuite`]))
      await client.unpack(await client.download(name, work), root, ["./*"]);
    await client.unpack(await client.download("libc6-dbg", work), path.join(staging, "debug"), [
      "./usr/lib/debug/*",
    ]);
    const i386 = new PackageClient(path.join(cache.folder, "apt"), progress, "i386");
    const root32 = path.join(root, "i386");
    const work32 = path.join(work, "i386");
    mkdirSync(work32);
    for (const name of await closureOf(i386, LAPACK))
      await i386.unpack(await i386.download(name, work32), root32, ["./*"]);
    for (const folder of [root, root32]) {
      cpSync(SUITES, path.join(folder, "suites"), { recursive: true });
      mkdirSync(path.join(folder, "tmp"), { recursive: true });
    }
    writeFileSync(path.join(root, "suites", "random.bin"), randomFillSync(Buffer.alloc(RANDOM_BYTES)));
    await placePerlTests(root, work, path.join(cache.folder, "apt"), progress);
    rmSync(work, { recursive: true });
    makeDisk(root, path.join(staging, "disk.img"));
  });
  const root = path.join(folder, "root");
  return {
    root,
    disk: path.join(folder, "disk.img"),
    libcSymbols: debugFile(path.join(root, LIBC), path.join(folder, "debug")),
  };
}

async function closureOf(client: PackageClient, names: readonly string[]): Promise<Set<string>> {
  const all = new Set<string>();
  for (const name of names) for (const needed of await client.missing(name)) all.add(needed);
  return all;
}

/** Perl's tests expect the modules in the folder `lib` beside them. */
async function placePerlTests(root: string, work: string, apt: string, progress: Progress): Promise<void> {
  progress("fetching the sources of perl");
  const archive = downloadSource("perl", /^perl_[\d.]+\.orig\.tar\.\w+$/, work, path.join(apt, "sources"));
  const perl = path.join(root, "suites", "perl");
  mkdirSync(path.join(perl, "lib"), { recursive: true });
  run("tar", ["-xf", archive, "-C", perl, "--strip-components=1", "--wildcards", ...PERL_TESTS]);
  const versioned = (folder: string) =>
    readdirSync(path.join(root, folder))
      .filter((name) => /^\d+\.\d+\.\d+$/.test(name))
      .map((name) => path.join(folder, name));
  const folders = ["usr/share/perl", "usr/lib/x86_64-linux-gnu/perl"].flatMap(versioned);
  for (const folder of [...folders, "usr/lib/x86_64-linux-gnu/perl-base"])
    run("cp", ["-rL", `${path.join(root, folder)}/.`, path.join(perl, "lib")]);
}

function makeDisk(root: string, disk: string): void {
  writeFileSync(disk, "");
  truncateSync(disk, DISK_BYTES);
  run("mke2fs", ["-q", "-F", "-t", "ext4", "-d", root, disk]);
}

/** Where libc6-dbg has a library's symbols: named by its build ID. */
function debugFile(library: string, debug: string): string {
  const notes = run("readelf", ["--notes", library]);
  const id = /Build ID: ([0-9a-f]+)/.exec(notes)?.[1] ?? "";
  return path.join(debug, "usr/lib/debug/.build-id", id.slice(0, 2), `${id.slice(2)}.debug`);
}

function run(program: string, parameters: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, parameters, {
    encoding: "utf8",
    maxBuffer: 64 << 20,
  });
  if (error !== undefined) throw new Error(`${program} is not on this machine`);
  if (status !== 0) throw new Error(`${program} failed: ${stderr.trim().split("\n").at(-1)}`);
  return stdout;
}

/** Name of the function at an offset of the C library. */
export function libcFunctionNames(userland: DebianUserland): Map<string, string[]> {
  const names = new Map<string, string[]>();
  if (!existsSync(userland.libcSymbols)) return names;
  for (const [, offset = "", name = ""] of run("nm", [userland.libcSymbols]).matchAll(
    /^0*([0-9a-f]+) [tTiI] (\S+)$/gm,
  ))
    names.set(offset, [...(names.get(offset) ?? []), name]);
  return names;
}
