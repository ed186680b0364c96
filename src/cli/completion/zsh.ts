import { GENERAL_OPTIONS, type OptionDescription } from "../options.ts";
import {
  COMPLETED_COMMANDS,
  type CompletedCommand,
  formsOf,
  valuesOf,
  type Words,
} from "./completed-commands.ts";

/** The script for zsh, to be sourced or to lie in a folder of $fpath. */
export function zshScript(): string {
  return [
    "#compdef ringfence",
    "# Completion of ringfence for zsh:  source <(ringfence completion zsh)",
    "_ringfence_machines() { compadd -- $($_ringfence_program ps --quiet 2>/dev/null) }",
    "_ringfence_images() { compadd -- $($_ringfence_program images --quiet 2>/dev/null); _files -/ }",
    "_ringfence_copy() { compadd -S '' -- $($_ringfence_program ps --quiet 2>/dev/null | sed 's/$/:/'); _files }",
    "_ringfence() {",
    "  local _ringfence_program=$words[1] command=$words[2]",
    "  if (( CURRENT == 2 )); then",
    "    local -a commands=(",
    ...COMPLETED_COMMANDS.map(({ name, help }) => `      ${quoted(`${name}:${help}`)}`),
    "    )",
    "    _describe command commands",
    `    compadd -- ${GENERAL_OPTIONS.map(({ name }) => `--${name}`).join(" ")}`,
    "    return",
    "  fi",
    "  shift words; (( CURRENT-- ))",
    "  case $command in",
    ...COMPLETED_COMMANDS.map(commandCase),
    "  esac",
    "}",
    "# In a folder of $fpath this file is the function itself when it is called first.",
    'if [ "$funcstack[1]" = "_ringfence" ]; then _ringfence "$@"; else compdef _ringfence ringfence; fi',
    "",
  ].join("\n");
}

function commandCase({ name, options, first, rest, wordsBeforeGuest }: CompletedCommand): string {
  // Behind the machine of exec, words that begin with a dash are the guest's; behind "--" they are everywhere.
  const stop = wordsBeforeGuest === 1 ? "-S -A '-*' " : rest === "guest" ? "-S " : "";
  // A word with "(-)" before it ends all options.
  const words = [
    `1:${kindOf(first)}:${actionOf(first)}`,
    ...(wordsBeforeGuest === 2 ? ["(-)2:command: "] : []),
    rest === "guest" ? "*:command: " : `*:${kindOf(rest)}:${actionOf(rest)}`,
  ].map(quoted);
  return `    ${name}) _arguments ${stop}${[...options.flatMap(optionSpecs), ...words].join(" ")} ;;`;
}

function optionSpecs(option: OptionDescription): string[] {
  const { repeatable, help } = option;
  const forms = formsOf(option);
  const text = help.replace(/[[\]\\]/g, "\\$&");
  const values = valuesOf(option);
  return forms.map((form) => {
    const others = repeatable ? "*" : `(${forms.join(" ")})`;
    const takes = values === undefined ? "" : form.startsWith("--") ? "=" : "+";
    const value = values === undefined ? "" : `:value:${actionOf(values)}`;
    return quoted(`${others}${form}${takes}[${text}]${value}`);
  });
}

function kindOf(words: Words): string {
  return typeof words === "string" ? words.replace(/s$/, "") : "word";
}

function actionOf(words: Words | "folders"): string {
  if (words === "files") return "_files";
  if (words === "folders") return "_files -/";
  if (typeof words === "string") return `_ringfence_${words}`;
  return words.length === 0 ? " " : `(${words.map((word) => word.replaceAll(":", "\\:")).join(" ")})`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
