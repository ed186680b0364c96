import { ownVariable } from "../host/node/process-words.ts";
import { UsageError } from "./usage-error.ts";

/**
 * Variables of `--env`, by name. NAME alone has the value that it has in this process, and none where it is not set
 * here; of several of a name the last counts.
 *
 * @throws {UsageError}
 */
export function parseEnvironment(
  texts: readonly string[],
  own: (name: string) => string | undefined = ownVariable,
): Map<string, string | undefined> {
  return new Map(texts.map((text) => parseVariable(text, own)));
}

function parseVariable(
  text: string,
  own: (name: string) => string | undefined,
): [string, string | undefined] {
  const equals = text.indexOf("=");
  if (equals === 0 || text === "" || text.includes("\0"))
    throw new UsageError(`--env ${text}: expected NAME=VALUE, or the NAME of a variable of this process`);
  return equals < 0 ? [text, own(text)] : [text.slice(0, equals), text.slice(equals + 1)];
}
