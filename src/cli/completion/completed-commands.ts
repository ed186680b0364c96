import { IMAGE_COMMANDS, RUN_IMAGE_OPTIONS } from "../image-options.ts";
import { MACHINE_COMMANDS } from "../machines/command-table.ts";
import {
  COMMANDS,
  COMPLETION_OPTIONS,
  DISK_OPTIONS,
  type OptionDescription,
  RUN_OPTIONS,
  SHELLS,
  STATS_OPTIONS,
} from "../options.ts";

/** What a word can be: the name of a machine or an image, a file, one of these; "copy": a file, or MACHINE:PATH. */
export type Words = "machines" | "images" | "files" | "copy" | readonly string[];

/** What can stand behind a command. */
export interface CompletedCommand {
  readonly name: string;
  readonly help: string;
  readonly options: readonly OptionDescription[];
  /** The first word that is no option. */
  readonly first: Words;
  /** Those behind it; "guest": a command of the guest, about which nothing is known. */
  readonly rest: Words | "guest";
  /** Behind so many words that are no options, options are the guest's too. */
  readonly wordsBeforeGuest?: number;
}

const NOTHING: readonly string[] = [];

/** Words of those that take any. */
const WORDS: Readonly<Record<string, Pick<CompletedCommand, "first" | "rest" | "wordsBeforeGuest">>> = {
  // Options stand behind the image's name too, but not behind the first word of its command.
  run: { first: "images", rest: "guest", wordsBeforeGuest: 2 },
  pull: { first: ["debian"], rest: NOTHING },
  import: { first: "files", rest: NOTHING },
  inspect: { first: "images", rest: NOTHING },
  rm: { first: "images", rest: "images" },
  disk: { first: ["create", "info", "convert", "resize"], rest: "files" },
  stats: { first: "files", rest: "files" },
  help: { first: COMMANDS.map(({ name }) => name), rest: NOTHING },
  completion: { first: SHELLS, rest: NOTHING },
  exec: { first: "machines", rest: "guest", wordsBeforeGuest: 1 },
  cp: { first: "copy", rest: "copy" },
  stop: { first: "machines", rest: "machines" },
  logs: { first: "machines", rest: NOTHING },
  attach: { first: "machines", rest: NOTHING },
  pause: { first: "machines", rest: "machines" },
  resume: { first: "machines", rest: "machines" },
  snapshot: { first: "machines", rest: "files" },
  balloon: { first: "machines", rest: NOTHING },
};

const OPTIONS: Readonly<Record<string, readonly OptionDescription[]>> = {
  ...IMAGE_COMMANDS,
  run: [...RUN_IMAGE_OPTIONS, ...RUN_OPTIONS],
  disk: DISK_OPTIONS,
  stats: STATS_OPTIONS,
  completion: COMPLETION_OPTIONS,
  ...Object.fromEntries(MACHINE_COMMANDS.map(({ action, options }) => [action, options])),
};

export const COMPLETED_COMMANDS: readonly CompletedCommand[] = COMMANDS.map(({ name, help }) => ({
  name,
  help,
  options: OPTIONS[name] ?? [],
  ...(WORDS[name] ?? { first: NOTHING, rest: NOTHING }),
}));

/** What an option's value can be; an empty list: anything. Undefined: the option takes none. */
export function valuesOf({ value, choices, examples }: OptionDescription): Words | "folders" | undefined {
  if (value === undefined) return undefined;
  if (choices !== undefined || examples !== undefined) return choices ?? examples ?? NOTHING;
  if (value.startsWith("FOLDER")) return "folders";
  return /^FILE|PATH/.test(value) ? "files" : NOTHING;
}

/** All ways to write an option: --detach, -d. */
export function formsOf({ name, short }: OptionDescription): string[] {
  return short === undefined ? [`--${name}`] : [`--${name}`, `-${short}`];
}
