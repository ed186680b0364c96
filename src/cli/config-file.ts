import { parse, TomlError } from "smol-toml";
import { readWholeFile } from "../host/node/files.ts";
import type { OptionDescription } from "./options.ts";
import { unknown } from "./parse-options.ts";
import { UsageError } from "./usage-error.ts";

/** Options that mean nothing in a file. */
const NOT_IN_FILES = ["help", "config"];

/**
 * Reads a file of options, in TOML: their names are keys, a switch is true or false, and one that may be given several
 * times can have a list. Returns them as words of a command line. Paths are taken as on the command line.
 *
 * @throws {UsageError} `VmError` `file-*`.
 */
export function readConfigFile(path: string, descriptions: readonly OptionDescription[]): string[] {
  const known = descriptions.filter(({ name }) => !NOT_IN_FILES.includes(name));
  const text = new TextDecoder().decode(readWholeFile(path));
  return Object.entries(parseToml(path, text)).flatMap(([key, value]) => {
    const description = known.find(({ name }) => name === key);
    if (description === undefined) {
      const names = known.map(({ name }) => name);
      throw new UsageError(`${path}: ${unknown("key", key, names).message}`);
    }
    return wordsOf(description, value, (expected) => {
      throw new UsageError(`${path}: ${key}: expected ${expected}`);
    });
  });
}

function parseToml(path: string, text: string): Record<string, unknown> {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const what = error.message.split("\n")[0]?.replace(/^Invalid TOML document: /, "") ?? "";
    throw new UsageError(`${path}:${error.line}:${error.column}: ${what}`);
  }
}

function wordsOf(
  { name, value: placeholder, repeatable = false, mayBeEmpty = false }: OptionDescription,
  value: unknown,
  refuse: (expected: string) => never,
): string[] {
  if (placeholder === undefined) {
    if (typeof value !== "boolean") return refuse("true or false");
    return value ? [`--${name}`] : [];
  }
  const values = Array.isArray(value) && repeatable ? value : [value];
  return values.map((one: unknown) => {
    if ((typeof one !== "string" && typeof one !== "number") || (one === "" && !mayBeEmpty))
      return refuse(`${placeholder} as text${repeatable ? ", or a list of such" : ""}`);
    return `--${name}=${one}`;
  });
}
