import type { OptionDescription } from "./options.ts";
import { nearest } from "./suggestion.ts";
import { UsageError } from "./usage-error.ts";

/**
 * Returns each given option's value, and all values of those that are repeatable; a switch has the value "". Other words
 * go to `words`; behind `mostWords` of them all words do, whatever they look like.
 */
export function collectOptions(
  argv: readonly string[],
  descriptions: readonly OptionDescription[],
  words?: string[],
  mostWords = Infinity,
): { given: Map<string, string>; repeated: Map<string, string[]> } {
  const given = new Map<string, string>();
  const repeated = new Map<string, string[]>();
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i] ?? "";
    if (words !== undefined && words.length >= mostWords) {
      words.push(...argv.slice(argument === "--" ? i + 1 : i));
      break;
    }
    if (!argument.startsWith("-") || argument === "-") {
      if (words !== undefined) {
        words.push(argument);
        continue;
      }
      throw new UsageError(`unexpected argument "${argument}"; a kernel is given with --kernel ${argument}`);
    }
    const equals = argument.indexOf("=");
    const name = equals < 0 ? argument : argument.slice(0, equals);
    const description = descriptions.find((d) => `--${d.name}` === name || `-${shortOf(d)}` === name);
    if (description === undefined)
      throw unknown(
        "option",
        name,
        descriptions.map((d) => `--${d.name}`),
      );
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
    if (forgotten || value === "")
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
