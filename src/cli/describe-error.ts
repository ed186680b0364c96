import { existsSync } from "node:fs";
import process from "node:process";
import { DiskError } from "../host/block-device.ts";
import { GuestUnavailableError } from "../host/guest-unavailable.ts";
import { VmError } from "../layout/vm-error.ts";
import type { Command } from "./command-line.ts";
import { EXIT_BAD_INPUT, EXIT_INTERNAL_ERROR } from "./exit-codes.ts";
import { EXIT_NOT_RUN } from "./machines/exec-status.ts";
import { nearest } from "./suggestion.ts";
import { UsageError } from "./usage-error.ts";

/** What to tell the user about a failure, in one line, and the exit status. */
export function describeError(
  error: unknown,
  command: Command | undefined,
): { line: string; status: number } {
  const { line, status } = describe(error, command);
  const isExec = command?.command === "machine" && command.options.action === "exec";
  return { line, status: isExec ? EXIT_NOT_RUN : status };
}

function describe(error: unknown, command: Command | undefined): { line: string; status: number } {
  if (error instanceof UsageError) return { line: `${error.message}`, status: EXIT_BAD_INPUT };
  if (error instanceof GuestUnavailableError) {
    return { line: `${error.message}; ${remedyForPackages(command)}`, status: EXIT_BAD_INPUT };
  }
  if (error instanceof DiskError) return { line: error.message, status: EXIT_BAD_INPUT };
  if (error instanceof VmError) return { line: describeVmError(error, command), status: EXIT_BAD_INPUT };
  return { line: `internal error, please report: ${oneLine(error)}`, status: EXIT_INTERNAL_ERROR };
}

function remedyForPackages(command: Command | undefined): string {
  if (command?.command === "image")
    return "images are made with Debian's apt-get and dpkg-deb, which have to reach a mirror";
  return "the default guest needs Debian's apt-get and dpkg-deb; elsewhere pass --kernel FILE and --initrd FILE";
}

/** A VmError with the file it is about and what to do. */
function describeVmError(error: VmError, command: Command | undefined): string {
  const options = command?.command === "run" ? command.options : undefined;
  const kernel = options?.kernelPath ?? "the default guest's kernel";
  const initrd = options?.initrdPath ?? "the default guest's initial RAM disk";
  switch (error.detail.code) {
    case "kernel-unrecognised":
      return `${kernel}: ${error.message}; pass a Linux bzImage (vmlinuz) or a multiboot ELF32 file`;
    case "kernel-truncated":
      return `${kernel}: ${error.message}; copy or download it again`;
    case "kernel-too-large":
      return `${kernel}: ${error.message}; give more with --memory`;
    case "kernel-unsupported":
      return `${kernel}: ${error.message}`;
    case "initrd-too-large":
      return `${initrd}: ${error.message}; give more with --memory`;
    case "command-line-too-long":
      return `--append: ${error.message}`;
    case "file-locked":
      return options?.image === undefined
        ? error.message
        : `${error.message}; --ephemeral starts another machine of ${options.image.name}`;
    case "machine-paused":
      return `the machine is paused; ringfence resume ${machineOf(command)} lets it go on`;
    case "archive-invalid":
      return `${error.message}; import takes a tar archive of a root file system, one of docker save, or an OCI layout`;
    case "image-not-found":
      return `${error.message}; ${remedyForImage(error.detail)}`;
    case "file-not-found":
    case "file-unreadable":
      return `${error.message}; ${remedyForFile(error.detail.path, command)}`;
    default:
      return error.message;
  }
}

function remedyForImage({ name, known }: { name: string; known: readonly string[] }): string {
  if (existsSync(name)) return `a kernel is given with --kernel ${name}, a disk with --disk ${name}`;
  const guess = nearest(name, known);
  if (guess !== undefined) return `did you mean ${guess}?`;
  if (known.length > 0) return `known: ${known.join(", ")}`;
  return name.includes("/") ? "check the path" : "`ringfence pull debian` makes one";
}

function machineOf(command: Command | undefined): string {
  if (command?.command !== "machine") return "NAME";
  const { options } = command;
  if ("name" in options) return options.name;
  return (options.action === "cp" ? (options.from.machine ?? options.to.machine) : undefined) ?? "NAME";
}

function remedyForFile(path: string, command: Command | undefined): string {
  if (command?.command !== "run") return "check the path";
  const { initrdPath, restorePath, disks } = command.options;
  const given = [
    { option: "--restore", isIt: path === restorePath },
    { option: "--disk", isIt: disks.some((disk) => disk.path === path) },
    { option: "--initrd", isIt: path === initrdPath },
  ];
  const option = given.find(({ isIt }) => isIt)?.option ?? "--kernel";
  return `check the path after ${option}`;
}

/** The stack is for us, not for users: RINGFENCE_DEBUG=1 shows it. */
function oneLine(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (process.env["RINGFENCE_DEBUG"] === "1") return error.stack ?? error.message;
  return `${error.message.split("\n")[0]} (RINGFENCE_DEBUG=1 shows where)`;
}
