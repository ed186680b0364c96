import { GENERAL_OPTIONS } from "../options.ts";
import {
  COMPLETED_COMMANDS,
  type CompletedCommand,
  formsOf,
  valuesOf,
  type Words,
} from "./completed-commands.ts";

/** The script for bash. Where it offers nothing, `-o default` has bash complete files. */
export function bashScript(): string {
  const names = COMPLETED_COMMANDS.map(({ name }) => name);
  const general = GENERAL_OPTIONS.map(({ name }) => `--${name}`);
  return [
    "# Completion of ringfence for bash:  source <(ringfence completion bash)",
    "_ringfence() {",
    `  local program=$1 word=$2 previous=$3 command=\${COMP_WORDS[1]} options="" valued="" first="" rest="" own="" plain=0 i`,
    "  COMPREPLY=()",
    '  if [ "$COMP_CWORD" -eq 1 ]; then',
    `    COMPREPLY=($(compgen -W "${[...names, ...general].join(" ")}" -- "$word"))`,
    "    return",
    "  fi",
    "  # bash takes --option=value for three words.",
    '  if [ "$word" = "=" ]; then word=""',
    `  elif [ "$previous" = "=" ]; then previous=\${COMP_WORDS[COMP_CWORD-2]}`,
    "  fi",
    '  case "$command" in',
    ...COMPLETED_COMMANDS.map(wordCase),
    "    *) return ;;",
    "  esac",
    "  for ((i = 2; i < COMP_CWORD; i++)); do",
    `    case "\${COMP_WORDS[i]}" in`,
    "      # It stands where a guest's command could.",
    "      --) ((plain++)) ;;",
    `      -*) if [ "\${COMP_WORDS[i+1]}" = "=" ]; then ((i += 2))`,
    `        elif [[ " $valued " == *" \${COMP_WORDS[i]} "* ]]; then ((i++)); fi ;;`,
    "      *) ((plain++)) ;;",
    "    esac",
    "  done",
    '  if [ "$plain" -ge "$own" ]; then compopt +o default 2>/dev/null; return; fi',
    '  case "$command $previous" in',
    ...COMPLETED_COMMANDS.flatMap(valueCases),
    "  esac",
    '  if [ "$plain" -gt 0 ]; then first=$rest; fi',
    '  if [[ "$word" == -* ]]; then COMPREPLY=($(compgen -W "$options" -- "$word"))',
    '  else _ringfence_words "$first"',
    "  fi",
    "}",
    "# What a word can be, for _ringfence, whose variables it sees.",
    "_ringfence_words() {",
    '  case "$1" in',
    "    files) return ;;",
    "    guest) ;;",
    '    folders) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$word")) ;;',
    '    machines) COMPREPLY=($(compgen -W "$("$program" ps --quiet 2>/dev/null)" -- "$word")) ;;',
    '    images) COMPREPLY=($(compgen -W "$("$program" images --quiet 2>/dev/null)" -- "$word")); return ;;',
    '    copy) COMPREPLY=($(compgen -S : -W "$("$program" ps --quiet 2>/dev/null)" -- "$word"))',
    `      if [ "\${#COMPREPLY[@]}" -gt 0 ]; then compopt -o nospace 2>/dev/null; fi; return ;;`,
    '    *) COMPREPLY=($(compgen -W "$1" -- "$word")) ;;',
    "  esac",
    "  compopt +o default 2>/dev/null",
    "}",
    "complete -o default -F _ringfence ringfence",
    "",
  ].join("\n");
}

function valueCases({ name, options }: CompletedCommand): string[] {
  return options.flatMap((option) => {
    const values = valuesOf(option);
    if (values === undefined) return [];
    const patterns = formsOf(option).map((form) => `"${name} ${form}"`);
    return [`    ${patterns.join(" | ")}) _ringfence_words "${listed(values)}"; return ;;`];
  });
}

function wordCase({ name, options, first, rest, wordsBeforeGuest = 1e9 }: CompletedCommand): string {
  const valued = options.filter(({ value }) => value !== undefined).flatMap(formsOf);
  const all = options.map((option) => `--${option.name}`);
  return `    ${name}) options="${all.join(" ")}" valued="${valued.join(" ")}" first="${listed(first)}" rest="${listed(rest)}" own="${wordsBeforeGuest}" ;;`;
}

function listed(words: Words | "folders" | "guest"): string {
  return typeof words === "string" ? words : words.join(" ");
}
