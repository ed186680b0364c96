import type { OptionDescription } from "../options.ts";

export type MachineAction =
  | "ps"
  | "exec"
  | "cp"
  | "stop"
  | "logs"
  | "attach"
  | "pause"
  | "resume"
  | "snapshot"
  | "balloon";

export interface MachineCommandDescription {
  readonly action: MachineAction;
  /** Behind "ringfence", a line each. */
  readonly usage: readonly string[];
  /** One line for the list of commands. */
  readonly help: string;
  readonly text: readonly string[];
  readonly options: readonly OptionDescription[];
}

const HELP: OptionDescription = { name: "help", help: "this text" };
const JSON_OPTION: OptionDescription = { name: "json", help: "print JSON" };

/** Commands on machines that run. Parser, help and completion read this table. */
export const MACHINE_COMMANDS: readonly MachineCommandDescription[] = [
  {
    action: "ps",
    usage: ["ps [OPTION]..."],
    help: "list the machines that run",
    text: ["Lists the machines of this user that run."],
    options: [JSON_OPTION, { name: "quiet", short: "q", help: "names only" }, HELP],
  },
  {
    action: "exec",
    usage: ["exec [OPTION]... NAME [--] COMMAND [ARGUMENT]..."],
    help: "run a command in a guest",
    text: [
      "Runs a command in the guest of a machine, by its agent: the default guest has one, Debian has the package",
      "qemu-guest-agent. Its output comes while it runs; its exit status becomes ours. 125: it could not be run.",
    ],
    options: [
      { name: "interactive", short: "i", help: "give it standard input, as it comes" },
      {
        name: "env",
        short: "e",
        value: "NAME[=VALUE]",
        repeatable: true,
        help: "add to its environment; NAME alone has the value of this process",
      },
      { name: "workdir", short: "w", value: "GUEST-FOLDER", help: "run it in this folder of the guest" },
      { name: "json", help: "print status and output as JSON, at the command's end" },
      HELP,
    ],
  },
  {
    action: "cp",
    usage: ["cp [OPTION]... NAME:PATH PATH", "cp [OPTION]... PATH NAME:PATH"],
    help: "copy a file or a folder out of a guest, or into it",
    text: [
      "Copies a file, or a folder with all that is in it, between this host and the guest of a machine. Where the last PATH",
      "is a folder that is there, the copy goes into it; of FOLDER/. it is the contents. Symbolic links are copied as links,",
      "devices, pipes and sockets are left out. Folders need tar in the guest.",
    ],
    options: [{ name: "quiet", short: "q", help: "show no progress" }, JSON_OPTION, HELP],
  },
  {
    action: "stop",
    usage: ["stop [OPTION]... NAME..."],
    help: "end machines: the guest powers off",
    text: [
      "Asks the guest to power off, by its agent, else by the power button, and waits. A machine that has not ended in",
      "time is ended as if the plug were pulled.",
    ],
    options: [
      { name: "timeout", short: "t", value: "SECONDS", help: "how long to wait for the guest (default 60)" },
      { name: "force", short: "f", help: "pull the plug at once" },
      JSON_OPTION,
      HELP,
    ],
  },
  {
    action: "logs",
    usage: ["logs [OPTION]... NAME"],
    help: "print what a machine's serial console printed",
    text: ["Prints the log of a serial console, the last 4 to 8 MB of it; also of a machine that has ended."],
    options: [
      { name: "follow", short: "f", help: "go on until the machine ends" },
      { name: "json", help: "print an object for each line" },
      HELP,
    ],
  },
  {
    action: "attach",
    usage: ["attach NAME"],
    help: "connect this terminal to a machine's serial console",
    text: [
      "Connects standard input and output to the serial console of a machine. Ctrl-A X leaves; it runs on.",
    ],
    options: [HELP],
  },
  {
    action: "pause",
    usage: ["pause NAME..."],
    help: "let machines stand still; so does their time",
    text: ["Lets machines stand still until `ringfence resume`. Time stands still for their guests."],
    options: [JSON_OPTION, HELP],
  },
  {
    action: "resume",
    usage: ["resume NAME..."],
    help: "let paused machines run on",
    text: ["Lets machines run on that `ringfence pause` halted."],
    options: [JSON_OPTION, HELP],
  },
  {
    action: "snapshot",
    usage: ["snapshot [OPTION]... NAME FILE"],
    help: "save a machine to a file; it runs on",
    text: ["Saves a machine, for `ringfence run --restore FILE`. It stands still meanwhile, and runs on."],
    options: [JSON_OPTION, HELP],
  },
  {
    action: "balloon",
    usage: ["balloon [OPTION]... NAME [SIZE]"],
    help: "have a guest give up memory, or take it back",
    text: [
      "Has the guest of a machine that was run with --balloon give up SIZE of its memory (0: take it all back), and tells",
      "how far it is. Without SIZE it only tells. Snapshots leave out what is given up; this process keeps it.",
    ],
    options: [JSON_OPTION, HELP],
  },
];

export function machineCommand(action: MachineAction): MachineCommandDescription {
  return MACHINE_COMMANDS.find((command) => command.action === action)!;
}
