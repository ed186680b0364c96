import type { OptionDescription } from "./options.ts";
import { PROGRAM_OPTIONS } from "./program-options.ts";

const JSON_OPTION: OptionDescription = { name: "json", help: "print JSON" };
const HELP_OPTION: OptionDescription = { name: "help", help: "this text" };
const NAME_OPTION: OptionDescription = { name: "name", value: "NAME", help: "what to call the image" };

/** Options that `run` has for images beside its others. */
export const RUN_IMAGE_OPTIONS: readonly OptionDescription[] = [
  { name: "ephemeral", help: "start the image as it was made, and keep nothing of this run" },
  { name: "reset", help: "forget what earlier runs wrote to the image's disks" },
  ...PROGRAM_OPTIONS,
];

/** What `pull` takes without --kernel: small, and made for virtual machines. */
export const DEFAULT_KERNEL = "linux-image-cloud-amd64";

/** Commands about images, with their options. */
export const IMAGE_COMMANDS = {
  pull: [
    NAME_OPTION,
    { name: "suite", value: "SUITE", help: "Debian's release, such as trixie (default: this machine's)" },
    { name: "mirror", value: "URL", help: "where packages come from (default: this machine's sources)" },
    { name: "include", value: "PACKAGE,...", repeatable: true, help: "packages to install beside the usual" },
    {
      name: "kernel",
      value: "PACKAGE",
      help: `the kernel that "run" boots (default ${DEFAULT_KERNEL}); linux-image-amd64 has all drivers, 9p too`,
    },
    { name: "size", value: "SIZE", help: "of its disk (default 8G); it takes what is written to it" },
    { name: "memory", value: "SIZE", help: "guest memory that `run` gives it (default 1G)" },
    JSON_OPTION,
    HELP_OPTION,
  ],
  import: [
    NAME_OPTION,
    { name: "tag", value: "TAG", help: "which image, where the file has several" },
    {
      name: "command",
      value: "TEXT",
      help: "run this in a shell, in place of the image's entry point and command",
    },
    { name: "size", value: "SIZE", help: "of its disk (default 4G), and the most that it may hold" },
    { name: "memory", value: "SIZE", help: "guest memory that `run` gives it (default 512M)" },
    {
      name: "forward",
      value: "tcp|udp:[ADDR:]PORT:PORT",
      repeatable: true,
      help: "lead a port of the host to one of the guest, whenever it runs",
    },
    JSON_OPTION,
    HELP_OPTION,
  ],
  images: [JSON_OPTION, { name: "quiet", short: "q", help: "names only" }, HELP_OPTION],
  inspect: [
    JSON_OPTION,
    { name: "verify", help: "read all its files and compare their SHA-256 with the manifest" },
    HELP_OPTION,
  ],
  rm: [JSON_OPTION, HELP_OPTION],
} as const satisfies Record<string, readonly OptionDescription[]>;

export type ImageCommandName = keyof typeof IMAGE_COMMANDS;

export function isImageCommand(name: string): name is ImageCommandName {
  return Object.hasOwn(IMAGE_COMMANDS, name);
}
