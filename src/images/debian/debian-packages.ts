import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { GuestUnavailableError } from "../../host/guest-unavailable.ts";
import { requireSuccess } from "../../host/node/package-client.ts";
import { type ProgramEnd, runProgram } from "../../host/node/run-program.ts";
import { VmError } from "../../layout/vm-error.ts";
import { type DebianOrigin, KEYRING, sourceLines } from "./debian-sources.ts";

/** Everything that an image is made of. */
export interface DownloadedPackages {
  /** The .deb files of the base system. */
  readonly base: readonly string[];
  /** Those of what is to be installed into it, with what that depends on. */
  readonly included: readonly string[];
  /** That of the kernel. */
  readonly kernel: string;
}

/** Beside what is essential: what a machine with one user and a network needs. */
const PACKAGES = [
  ...["apt", "systemd-sysv", "systemd-resolved", "dbus", "udev", "kmod", "login", "passwd", "e2fsprogs"],
  ...["iproute2", "iputils-ping", "netbase", "ca-certificates", "procps", "qemu-guest-agent"],
];
/** Bookworm takes either this or one that converts at run time, with Perl. */
const MERGED_USR = "usr-is-merged";

/**
 * This machine's apt with a state of its own: another release, nothing installed, and none of this machine's
 * preferences and hooks. apt checks signatures and hashes. Needs no rights.
 */
export class DebianPackages {
  readonly #folder: string;
  readonly #configuration: string;
  readonly #suite: string;

  /** @param folder A new folder for lists and packages. */
  constructor(folder: string, origin: DebianOrigin) {
    this.#folder = folder;
    this.#suite = origin.suite;
    this.#configuration = path.join(folder, "apt.conf");
    for (const inside of ["lists/partial", "cache", "archives/partial", "kernel"])
      mkdirSync(path.join(folder, inside), { recursive: true });
    writeFileSync(
      path.join(folder, "sources.list"),
      sourceLines(origin.sources, existsSync(KEYRING) ? KEYRING : undefined)
        .map((l) => `${l}\n`)
        .join(""),
    );
    writeFileSync(this.#configuration, aptConfiguration(folder, origin.acquireSettings));
  }

  /**
   * @throws {GuestUnavailableError} When a package or a list is not to be had.
   * @throws {VmError} `option-invalid`, when a package is not one of Debian's.
   */
  async download(include: readonly string[], kernel: string): Promise<DownloadedPackages> {
    await this.#run("apt-get", ["-q", "update"]);
    const base = await this.#fetch(["?essential", MERGED_USR, ...PACKAGES]);
    for (const name of include) await this.#checkPackage("--include", name);
    await this.#checkPackage("--kernel", kernel);
    const all =
      include.length === 0 ? base : await this.#fetch(["?essential", MERGED_USR, ...PACKAGES, ...include]);
    const included = all.filter((deb) => !base.includes(deb));
    return { base, included, kernel: await this.#downloadKernel(kernel) };
  }

  /** Downloads packages with what they depend on, beside those that are there; returns all that are there then. */
  async #fetch(names: readonly string[]): Promise<string[]> {
    await this.#run("apt-get", ["-q", "-y", "--download-only", "install", ...names]);
    return debsIn(path.join(this.#folder, "archives"));
  }

  async #checkPackage(option: string, name: string): Promise<void> {
    const { status, stdout } = await runProgram("apt-cache", ["show", "--no-all-versions", name], {
      folder: this.#folder,
      environment: { APT_CONFIG: this.#configuration },
    });
    if (status === 0 && stdout !== "") return;
    const expected = `a package of Debian ${this.#suite} for amd64`;
    throw new VmError({ code: "option-invalid", option, value: name, expected });
  }

  /** @param wanted A kernel's package, or one that depends on the newest of a kind. */
  async #downloadKernel(wanted: string): Promise<string> {
    const shown = await this.#run("apt-cache", ["depends", wanted]);
    const name = /^linux-image-\d/.test(wanted)
      ? wanted
      : /^linux-image-\d\S*$/m.exec(shown.stdout.replaceAll(/^.*Depends: /gm, ""))?.[0];
    if (name === undefined) throw new GuestUnavailableError(`${wanted} depends on no kernel`);
    const folder = path.join(this.#folder, "kernel");
    await this.#run("apt-get", ["-q", "download", name], folder);
    const [deb] = debsIn(folder);
    if (deb === undefined) throw new GuestUnavailableError(`apt-get downloaded no ${name}`);
    return deb;
  }

  async #run(program: string, parameters: readonly string[], folder = this.#folder): Promise<ProgramEnd> {
    const environment = { APT_CONFIG: this.#configuration };
    const end = await runProgram(program, parameters, { folder, environment });
    requireSuccess(program, end);
    return end;
  }
}

function aptConfiguration(folder: string, acquireSettings: readonly string[]): string {
  if (/["\\\n]/.test(folder)) throw new GuestUnavailableError(`apt cannot work in a folder called ${folder}`);
  const none = "/dev/null";
  const settings: Record<string, string> = {
    "Dir::Etc::main": none,
    "Dir::Etc::parts": none,
    "Dir::Etc::preferences": none,
    "Dir::Etc::preferencesparts": none,
    "Dir::Etc::sourcelist": `${folder}/sources.list`,
    "Dir::Etc::sourceparts": none,
    "Dir::State": folder,
    "Dir::State::lists": `${folder}/lists`,
    "Dir::State::status": none,
    "Dir::Cache": `${folder}/cache`,
    "Dir::Cache::archives": `${folder}/archives`,
    "APT::Architecture": "amd64",
    "APT::Install-Recommends": "false",
    "APT::Sandbox::User": "root",
    "Acquire::Languages": "none",
    // A list that cannot be had is told as such, not as packages that are not there.
    "APT::Update::Error-Mode": "any",
    "Debug::NoLocking": "true",
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";`);
  return [...lines, 'APT::Architectures { "amd64"; };', ...acquireSettings, ""].join("\n");
}

function debsIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".deb"))
    .sort()
    .map((file) => path.join(folder, file));
}
