import { RUN_IMAGE_OPTIONS } from "./image-options.ts";
import { type MachineAction, machineCommand } from "./machines/command-table.ts";
import { optionLines } from "./option-lines.ts";
import {
  COMMANDS,
  COMPLETION_OPTIONS,
  DISK_OPTIONS,
  GENERAL_OPTIONS,
  RUN_OPTIONS,
  SHELLS,
  STATS_OPTIONS,
} from "./options.ts";

export function generalHelp(): string {
  const commands = COMMANDS.map(({ name, help }) => `  ${name.padEnd(22)}${help}`);
  return [
    "Ringfence simulates a whole x86-64 PC.",
    "",
    "usage: ringfence COMMAND [OPTION]...",
    "",
    ...commands,
    "",
    ...optionLines(GENERAL_OPTIONS),
    "",
    "`ringfence run` alone boots Debian's cloud kernel to a shell.",
    "`ringfence help COMMAND` explains one and lists its options.",
    "",
  ].join("\n");
}

export function runHelp(): string {
  return [
    "usage: ringfence run [IMAGE] [OPTION]...",
    "       ringfence run IMAGE [OPTION]... [--] COMMAND [ARGUMENT]...",
    "",
    "Boots an image (`ringfence images` lists them; a path with a slash is a folder), or the default guest.",
    "Its serial console is standard input and output. Options go before what the image says.",
    "A COMMAND takes the place of an imported container image's own, behind its entry point; options behind it are its own.",
    "--env, --user, --workdir and --entrypoint change what such an image says of its program, as docker's do.",
    "",
    ...optionLines([...RUN_IMAGE_OPTIONS, ...RUN_OPTIONS]),
    "",
    "On a terminal: Ctrl-A X quits, Ctrl-A S saves a snapshot, Ctrl-A H lists the other keys.",
    "",
    "exit status:",
    "  0      the guest powered off, or Ctrl-A X",
    "  2      a wrong option, file or size",
    "  4      the guest reset the machine, with --no-reboot",
    "  6      triple fault",
    "  8      internal error",
    "  10     serial output could not be written",
    "  12     the engines differ, with --engine lockstep",
    "  odd    (value << 1) | 1 for a value the guest wrote to its debug-exit port",
    "  any    of an imported container image's program; 125: its disk cannot be mounted, 126: it cannot be run,",
    "         127: it is not found, 128+N: signal N ended it. An error of ours says so on standard error: ringfence: ...",
    "",
  ].join("\n");
}

export function statsHelp(): string {
  return [
    "usage: ringfence stats FILE... [OPTION]...",
    "",
    "Shows what runs cost, from the files that `ringfence run --stats-file FILE` wrote.",
    "",
    ...optionLines(STATS_OPTIONS),
    "",
  ].join("\n");
}

export function diskHelp(): string {
  return [
    "usage: ringfence disk create FILE [SIZE] [OPTION]...",
    "       ringfence disk info FILE [OPTION]...",
    "       ringfence disk convert FROM TO [OPTION]...",
    "       ringfence disk resize FILE SIZE [OPTION]...",
    "",
    "Makes and changes disk images, raw or qcow2. A file whose name ends in .qcow2 is taken for qcow2,",
    "every other one for raw, unless --format says otherwise. SIZE has a unit: 512M, 20G; +5G adds to a disk.",
    "",
    ...optionLines(DISK_OPTIONS),
    "",
  ].join("\n");
}

export function completionHelp(): string {
  return [
    `usage: ringfence completion ${SHELLS.join("|")}`,
    "",
    "Prints a script with which the shell completes commands, options, images and machines:",
    "",
    "  bash   source <(ringfence completion bash)              # also in ~/.bashrc",
    "  zsh    source <(ringfence completion zsh)               # also in ~/.zshrc, behind compinit",
    "  fish   ringfence completion fish > ~/.config/fish/completions/ringfence.fish",
    "",
    ...optionLines(COMPLETION_OPTIONS),
    "",
  ].join("\n");
}

/** Of a command on machines that run. */
export function machineHelp(action: MachineAction): string {
  const { usage, text, options } = machineCommand(action);
  const usages = usage.map((line, i) => `${i === 0 ? "usage:" : "      "} ringfence ${line}`);
  return [...usages, "", ...text, "", ...optionLines(options), ""].join("\n");
}
