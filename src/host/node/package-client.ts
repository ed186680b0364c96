import { mkdirSync, readdirSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { GuestUnavailableError } from "../guest-unavailable.ts";
import { type ProgramEnd, runProgram } from "./run-program.ts";

/** Told one line about each slow step, for the user to see. */
export type Progress = (line: string) => void;

/**
 * Debian's package client, used without changing the system: packages are
 * downloaded into a folder of ours and only unpacked there, never installed.
 *
 * Package lists are the system's where it has them. Where it has none, they are fetched: for the system when we are
 * root, else into `folder`. Those of another architecture are always ours.
 */
export class PackageClient {
  readonly #folder: string;
  readonly #progress: Progress;
  readonly #architecture: string | undefined;
  #options: readonly string[] = [];
  #listsChecked = false;

  /**
   * @param folder Where package lists may be kept, should the system have none.
   * @param architecture Debian's name of another architecture than the host's, such as i386.
   */
  constructor(folder: string, progress: Progress, architecture?: string) {
    this.#folder = architecture === undefined ? folder : path.join(folder, architecture);
    this.#progress = progress;
    this.#architecture = architecture;
  }

  /** Follows a package that only depends on another, such as linux-image-amd64; others give themselves. */
  async resolve(packageName: string, dependency: RegExp): Promise<string> {
    await this.#ensureLists();
    const text = await this.#capture("apt-cache", [...this.#options, "depends", packageName]);
    for (const line of text.split("\n")) {
      const name = /^\s*\|?(?:Pre)?Depends:\s*(\S+)/.exec(line)?.[1];
      if (name !== undefined && dependency.test(name)) return name;
    }
    throw new GuestUnavailableError(`Debian's package lists have no ${packageName}`);
  }

  /** What installing a package would add to this system or renew in it: names of packages, itself included. */
  async missing(packageName: string): Promise<string[]> {
    await this.#ensureLists();
    const simulate = ["-s", "install", "--no-install-recommends", packageName];
    const text = await this.#capture("apt-get", [...this.#options, ...simulate]);
    return Array.from(text.matchAll(/^Inst (\S+)/gm), ([, name]) => name ?? "");
  }

  /** Downloads a package into `folder`; returns the path of the .deb file. */
  async download(packageName: string, folder: string): Promise<string> {
    await this.#ensureLists();
    this.#progress(`fetching Debian package ${packageName}`);
    await this.#capture("apt-get", [...this.#options, "-q", "download", packageName], { folder });
    const deb = readdirSync(folder).find((n) => n.startsWith(`${packageName}_`) && n.endsWith(".deb"));
    if (deb === undefined) throw new GuestUnavailableError(`apt-get downloaded no ${packageName}`);
    return path.join(folder, deb);
  }

  /** Unpacks what matches `patterns` (as tar's --wildcards, from "./") into `folder`. */
  async unpack(deb: string, folder: string, patterns: readonly string[]): Promise<void> {
    this.#progress(`unpacking ${path.basename(deb)}`);
    mkdirSync(folder, { recursive: true });
    const script =
      'set -e; deb=$1; folder=$2; shift 2; dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder" --wildcards "$@"';
    await this.#capture("sh", ["-c", script, "sh", deb, folder, ...patterns]);
  }

  async #ensureLists(): Promise<void> {
    if (this.#listsChecked) return;
    if (this.#architecture !== undefined) this.#useOwnLists();
    else if (!(await this.#hasLists()) && process.geteuid?.() !== 0) this.#useOwnLists();
    if (!(await this.#hasLists())) {
      this.#progress("fetching Debian's package lists");
      await this.#updateLists();
    }
    this.#listsChecked = true;
  }

  /** While a mirror is being brought up to date some lists fail; those that came are good. */
  async #updateLists(): Promise<void> {
    try {
      await this.#capture("apt-get", [...this.#options, "-q", "update"]);
    } catch (error) {
      if (!(await this.#hasLists())) throw error;
    }
  }

  async #hasLists(): Promise<boolean> {
    // apt-cache fails when it knows no package at all, which is an answer too.
    const text = await this.#capture("apt-cache", [...this.#options, "policy", "busybox-static"], {
      mayFail: true,
    });
    // A line such as "500 (server) bookworm/main" tells where a version comes from; of an installed package, the
    // file of dpkg alone tells nothing.
    return /^\s+-?\d+\s+(?!\/)\S/m.test(text);
  }

  #useOwnLists(): void {
    const state = path.join(this.#folder, "state");
    const cache = path.join(this.#folder, "cache");
    mkdirSync(path.join(state, "lists", "partial"), { recursive: true });
    mkdirSync(path.join(cache, "archives", "partial"), { recursive: true });
    const settings = [
      `Dir::State=${state}`,
      `Dir::State::lists=${state}/lists`,
      `Dir::Cache=${cache}`,
      ...(this.#architecture === undefined
        ? ["Dir::State::status=/var/lib/dpkg/status"]
        : // Nothing of another architecture is installed. Both spellings are needed: a value, and a list of one.
          [
            "Dir::State::status=/dev/null",
            `APT::Architecture=${this.#architecture}`,
            `APT::Architectures::=${this.#architecture}`,
          ]),
    ];
    this.#options = settings.flatMap((setting) => ["-o", setting]);
  }

  /** Runs a program to its end and returns what it printed. */
  async #capture(
    program: string,
    parameters: readonly string[],
    { folder, mayFail = false }: { folder?: string; mayFail?: boolean } = {},
  ): Promise<string> {
    const end = await runProgram(program, parameters, folder === undefined ? {} : { folder });
    if (!mayFail || end.isMissing) requireSuccess(program, end);
    return end.stdout;
  }
}

/** @throws {GuestUnavailableError} Unless the program did what it should. */
export function requireSuccess(program: string, { status, stderr, isMissing }: ProgramEnd): void {
  if (isMissing) throw new GuestUnavailableError(`${program} is not on this machine`);
  if (status !== 0)
    throw new GuestUnavailableError(`${program} failed: ${lastErrorLine(stderr) ?? `status ${status}`}`);
}

/** The line that tells what went wrong, without apt's prefix and without addresses of servers. */
function lastErrorLine(complaint: string): string | undefined {
  const lines = complaint.split("\n").filter((line) => line.trim() !== "");
  // The last line of a list that could not be fetched only says that there is one.
  const error =
    lines.find((line) => line.startsWith("E: Failed to fetch")) ??
    lines.findLast((line) => line.startsWith("E:")) ??
    lines.at(-1);
  return error?.replace(/^E:\s*/, "").replace(/\b\w+:\/\/\S+/g, "(address)");
}
