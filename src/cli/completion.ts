import { IMAGE_COMMANDS, RUN_IMAGE_OPTIONS } from "./image-options.ts";
import { MACHINE_COMMANDS } from "./machines/command-table.ts";
import {
  COMMANDS,
  DISK_OPTIONS,
  GENERAL_OPTIONS,
  type OptionDescription,
  RUN_OPTIONS,
  STATS_OPTIONS,
} from "./options.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** What can stand behind a command. */
interface Completed {
  readonly name: string;
  readonly help: string;
  readonly options: readonly OptionDescription[];
  /** Words that are no options; "machines": names of those that run. Absent: files. */
  readonly words?: "machines" | readonly string[];
}

const KNOWN: Readonly<Record<string, Pick<Completed, "options" | "words">>> = {
  run: { options: [...RUN_OPTIONS, ...RUN_IMAGE_OPTIONS] },
  ...Object.fromEntries(Object.entries(IMAGE_COMMANDS).map(([name, options]) => [name, { options }])),
  pull: { options: IMAGE_COMMANDS.pull, words: ["debian"] },
  disk: { options: DISK_OPTIONS, words: ["create", "info", "convert", "resize"] },
  stats: { options: STATS_OPTIONS },
  help: { options: [], words: COMMANDS.map(({ name }) => name) },
  completion: { options: [], words: SHELLS },
  ...Object.fromEntries(
    MACHINE_COMMANDS.map(({ action, options, takesMachine }) => [
      action,
      { options, words: takesMachine ? ("machines" as const) : [] },
    ]),
  ),
};

/** A script for a shell that completes what this program takes. */
export function completionScript(shell: Shell): string {
  const commands = COMMANDS.map(
    ({ name, help }): Completed => ({ name, help, ...(KNOWN[name] ?? { options: [] }) }),
  );
  return { bash, zsh, fish }[shell](commands);
}

function bash(commands: readonly Completed[]): string {
  const choices = commands.flatMap(({ name, options }) =>
    options.map(({ name: option, short, value, choices: known }) => {
      const forms = [`"${name} --${option}"`, ...(short === undefined ? [] : [`"${name} -${short}"`])].join(
        " | ",
      );
      if (value === undefined) return undefined;
      const words = known === undefined ? "-f" : `-W "${known.join(" ")}"`;
      return `    ${forms}) COMPREPLY=($(compgen ${words} -- "$word")); return ;;`;
    }),
  );
  const cases = commands.map(({ name, options, words }) => {
    const list = words === "machines" ? '$("$1" ps --quiet 2>/dev/null)' : (words ?? []).join(" ");
    return `    ${name}) options="${longNames(options)}" words="${list}" ;;`;
  });
  return [
    "# Completion of ringfence for bash:  source <(ringfence completion bash)",
    "_ringfence() {",
    '  local word=$2 previous=$3 options="" words=""',
    `  local command=\${COMP_WORDS[1]}`,
    "  COMPREPLY=()",
    '  if [ "$COMP_CWORD" -eq 1 ]; then',
    `    COMPREPLY=($(compgen -W "${names(commands)} ${longNames(GENERAL_OPTIONS)}" -- "$word"))`,
    "    return",
    "  fi",
    '  case "$command $previous" in',
    ...choices.filter((line) => line !== undefined),
    "  esac",
    '  case "$command" in',
    ...cases,
    "  esac",
    '  case "$word" in',
    '    -*) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;',
    '    *) COMPREPLY=($(compgen -W "$words" -- "$word")) ;;',
    "  esac",
    "}",
    "complete -o default -F _ringfence ringfence",
    "",
  ].join("\n");
}

function zsh(commands: readonly Completed[]): string {
  const cases = commands.map(({ name, options, words }) => {
    const rest =
      words === "machines"
        ? "'*:machine:_ringfence_machines'"
        : words
          ? `'*:word:(${words.join(" ")})'`
          : "'*:file:_files'";
    return `    ${name}) _arguments ${[...options.map(zshOption), rest].join(" ")} ;;`;
  });
  return [
    "#compdef ringfence",
    "# Completion of ringfence for zsh:  ringfence completion zsh >~/.zfunc/_ringfence",
    "_ringfence_machines() { compadd -- $(ringfence ps --quiet 2>/dev/null) }",
    "_ringfence() {",
    "  if (( CURRENT == 2 )); then",
    `    compadd -- ${names(commands)} ${longNames(GENERAL_OPTIONS)}`,
    "    return",
    "  fi",
    "  local command=$words[2]",
    "  shift words; (( CURRENT-- ))",
    "  case $command in",
    ...cases,
    "  esac",
    "}",
    "compdef _ringfence ringfence",
    "",
  ].join("\n");
}

function zshOption({ name, value, choices, repeatable, help }: OptionDescription): string {
  const text = help.replace(/[[\]]/g, "\\$&").replaceAll("'", "'\\''").replaceAll(":", "\\:");
  const argument = value === undefined ? "" : `:value:${choices ? `(${choices.join(" ")})` : "_files"}`;
  return `'${repeatable ? "*" : ""}--${name}[${text}]${argument}'`;
}

function fish(commands: readonly Completed[]): string {
  const quote = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const lines = commands.flatMap(({ name, help, options, words }) => {
    const within = `complete -c ringfence -n '__fish_seen_subcommand_from ${name}'`;
    const list = words === "machines" ? "(ringfence ps --quiet 2>/dev/null)" : words?.join(" ");
    return [
      `complete -c ringfence -f -n __fish_use_subcommand -a ${name} -d ${quote(help)}`,
      ...(list === undefined ? [] : [`${within} -f -a '${list}'`]),
      ...options.map(({ name: option, short, value, choices, help: text }) => {
        const letter = short === undefined ? "" : ` -s ${short}`;
        const argument = value === undefined ? "" : choices ? ` -x -a '${choices.join(" ")}'` : " -r";
        return `${within} -l ${option}${letter}${argument} -d ${quote(text)}`;
      }),
    ];
  });
  return [
    "# Completion of ringfence for fish:  ringfence completion fish >~/.config/fish/completions/ringfence.fish",
    ...lines,
    "",
  ].join("\n");
}

function names(commands: readonly Completed[]): string {
  return commands.map(({ name }) => name).join(" ");
}

function longNames(options: readonly OptionDescription[]): string {
  return options.map(({ name }) => `--${name}`).join(" ");
}
