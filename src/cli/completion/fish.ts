import { GENERAL_OPTIONS, type OptionDescription } from "../options.ts";
import {
  COMPLETED_COMMANDS,
  type CompletedCommand,
  formsOf,
  valuesOf,
  type Words,
} from "./completed-commands.ts";

/** More words than a command line has. */
const MANY = 1e9;

/** The script for fish. */
export function fishScript(): string {
  return [
    "# Completion of ringfence for fish:  ringfence completion fish >~/.config/fish/completions/ringfence.fish",
    "function __ringfence_run",
    "    set -l tokens (commandline -opc)",
    "    $tokens[1] $argv 2>/dev/null",
    "end",
    "# Whether the command is this one, and so many words that are no options stand behind it.",
    "function __ringfence_at -a command least below",
    "    set -l tokens (commandline -opc)",
    '    test (count $tokens) -ge 2; and test "$tokens[2]" = $command; or return 1',
    "    set -l valued",
    "    switch $command",
    ...COMPLETED_COMMANDS.map(({ name, options }) => `        case ${name}; set valued ${valued(options)}`),
    "    end",
    "    set -l plain 0",
    "    set -l skip no",
    "    for token in $tokens[3..-1]",
    "        if test $skip = yes",
    "            set skip no",
    "        # It stands where a guest's command could.",
    "        else if test $token = --",
    "            set plain (math $plain + 1)",
    "        else if string match -q -- '-*' $token",
    "            contains -- $token $valued; and set skip yes",
    "        else",
    "            set plain (math $plain + 1)",
    "        end",
    "    end",
    "    test $plain -ge $least; and test $plain -lt $below",
    "end",
    "complete -c ringfence -f",
    ...GENERAL_OPTIONS.map(
      ({ name, help }) => `complete -c ringfence -n __fish_use_subcommand -l ${name} -d ${quoted(help)}`,
    ),
    ...COMPLETED_COMMANDS.flatMap(commandLines),
    "",
  ].join("\n");
}

function commandLines({
  name,
  help,
  options,
  first,
  rest,
  wordsBeforeGuest = MANY,
}: CompletedCommand): string[] {
  const at = (least: number, below: number) =>
    `complete -c ringfence -n '__ringfence_at ${name} ${least} ${below}'`;
  const first_ = wordsOf(first);
  const rest_ = rest === "guest" ? "" : wordsOf(rest);
  return [
    `complete -c ringfence -n __fish_use_subcommand -a ${name} -d ${quoted(help)}`,
    ...(first_ === "" ? [] : [`${at(0, 1)} ${first_}`]),
    ...(rest_ === "" ? [] : [`${at(1, MANY)} ${rest_}`]),
    ...options.map((option) => `${at(0, wordsBeforeGuest)} ${optionWords(option)}`),
  ];
}

function optionWords(option: OptionDescription): string {
  const letter = option.short === undefined ? "" : ` -s ${option.short}`;
  const values = valuesOf(option);
  const value = values === undefined ? "" : ` ${valueWords(values)}`;
  return `-l ${option.name}${letter}${value} -d ${quoted(option.help)}`;
}

function valueWords(values: Words | "folders"): string {
  if (values === "folders") return "-x -a '(__fish_complete_directories)'";
  if (values === "files") return "-r -F";
  return `-x ${wordsOf(values)}`.trimEnd();
}

function wordsOf(words: Words): string {
  if (words === "files") return "-F";
  if (words === "machines") return "-a '(__ringfence_run ps --quiet)'";
  if (words === "images") return "-a '(__ringfence_run images --quiet)'";
  if (words === "copy") return `-F -a '(__ringfence_run ps --quiet | string replace -r "\\$" :)'`;
  return words.length === 0 ? "" : `-a ${quoted(words.join(" "))}`;
}

function valued(options: readonly OptionDescription[]): string {
  return options
    .filter(({ value }) => value !== undefined)
    .flatMap(formsOf)
    .join(" ");
}

function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
