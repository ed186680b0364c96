import type { OptionDescription } from "./options.ts";
import { nearest } from "./suggestion.ts";
import { UsageError } from "./usage-error.ts";

/** Where a command for the guest begins: right behind the first word, or behind options that follow it. */
export type GuestCommand = "behind-word" | "behind-options";

/**
 * Returns each given option's value, and all values of those that are repeatable; a switch has the value "". Other words
 * go to `words`, and so does everything of a command for the guest, whatever it looks like, but a "--" before it.
 */
export function collectOptions(
  argv: readonly string[],
  descriptions: readonly OptionDescription[],
  words?: string[],
  guestCommand?: GuestCommand,
): { given: Map<string, string>; repeated: Map<string, string[]> } {
  const given = new Map<string, string>();
  const repeated = new Map<string, string[]>();
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i] ?? "";
    const isWord = !argument.startsWith("-") || argument === "-";
    const mayBegin = guestCommand !== undefined && words !== undefined && words.length > 0;
    if (mayBegin && (isWord || argument === "--" || guestCommand === "behind-word")) {
      // One by one: there may be more than a function takes.
      for (const word of argv.slice(argument === "--" ? i + 1 : i)) words.push(word);
      break;
    }
    if (isWord) {
      if (words !== undefined) {
        words.push(argument);
        continue;
      }
      throw new UsageError(`unexpected argument "${argument}"; a kernel is given with --kernel ${argument}`);
    }
    if (argument === "--" && guestCommand !== undefined)
      throw new UsageError("-- begins a command for a guest, whose name stands before it");
    const equals = argument.indexOf("=");
    const name = equals < 0 ? argument : argument.slice(0, equals);
    const description = descriptions.find((d) => `--${d.name}` === name || `-${shortOf(d)}` === name);
    if (description === undefined) {
      const names = descriptions.map((d) => `--${d.name}`);
      const error = unknown("option", name, names);
      throw mayBegin ? new UsageError(`${error.message} (behind -- it is the guest's own)`) : error;
    }
    if (given.has(description.name) && description.repeatable !== true)
      throw new UsageError(`${name} is given twice`);
    if (description.value === undefined) {
      if (equals >= 0) throw new UsageError(`${name} takes no value`);
      given.set(description.name, "");
      continue;
    }
    const value = equals < 0 ? argv[++i] : argument.slice(equals + 1);
    // A value may begin with a dash, but a known option there means that the value was forgotten.
    const forgotten =
      value === undefined || (equals < 0 && descriptions.some((d) => `--${d.name}` === value));
    if (forgotten || (value === "" && description.mayBeEmpty !== true))
      throw new UsageError(`${name} needs a value: ${name} ${description.value}`);
    if (description.choices !== undefined && !description.choices.includes(value)) {
      throw unknown(`value for ${name}:`, value, description.choices);
    }
    given.set(description.name, value);
    if (description.repeatable === true)
      repeated.set(description.name, [...(repeated.get(description.name) ?? []), value]);
  }
  return { given, repeated };
}

export function unknown(what: string, typed: string, candidates: readonly string[]): UsageError {
  const guess = nearest(typed, candidates);
  const hint = guess === undefined ? `known: ${candidates.join(", ")}` : `did you mean ${guess}?`;
  return new UsageError(`unknown ${what} ${typed}; ${hint}`);
}

/** The letter that stands for an option: -h for all help. */
function shortOf({ name, short }: OptionDescription): string | undefined {
  return name === "help" ? "h" : short;
}
