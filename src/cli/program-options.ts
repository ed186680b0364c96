import { hasLoneBytes } from "../host/node/byte-text.ts";
import type { GivenProgram } from "../images/container/given-program.ts";
import { parseEnvironment } from "./env-option.ts";
import type { OptionDescription } from "./options.ts";
import { UsageError } from "./usage-error.ts";

/** Options of `run` for the program of an imported container image, by docker's names. */
export const PROGRAM_OPTIONS = [
  {
    name: "env",
    short: "e",
    value: "NAME[=VALUE]",
    repeatable: true,
    help: "of a container image: add to its program's environment; NAME alone has the value of this process",
  },
  {
    name: "user",
    short: "u",
    value: "USER[:GROUP]",
    help: "of a container image: run its program as this user; names of the image, or numbers",
  },
  {
    name: "workdir",
    short: "w",
    value: "GUEST-FOLDER",
    help: "of a container image: start its program in this folder, which is made where there is none",
  },
  {
    name: "entrypoint",
    value: "PROGRAM",
    mayBeEmpty: true,
    help: 'of a container image: take this in place of its entry point and its command; "" takes the entry point away',
  },
] as const satisfies readonly OptionDescription[];

/** @throws {UsageError} */
export function parseProgram(
  command: readonly string[],
  given: ReadonlyMap<string, string>,
  repeated: ReadonlyMap<string, readonly string[]>,
): GivenProgram {
  const entryPoint = given.get("entrypoint");
  if (entryPoint?.includes("\0"))
    throw new UsageError("--entrypoint: a program has no zero byte in its name");
  if (entryPoint === "" && command.length === 0)
    throw new UsageError(
      '--entrypoint "" takes the image\'s command away too; give a COMMAND behind the image',
    );
  return {
    command,
    entryPoint,
    environment: parseEnvironment(repeated.get("env") ?? []),
    user: parseUser(given.get("user")),
    workingFolder: parseFolder(given.get("workdir")),
  };
}

/** A process in the background is started by Node.js, which gives it text. @throws {UsageError} */
export function checkDetachable({
  command,
  entryPoint,
  environment,
  user,
  workingFolder,
}: GivenProgram): void {
  const words = [...command, entryPoint, ...environment.keys(), ...environment.values(), user, workingFolder];
  if (words.some((word) => word !== undefined && hasLoneBytes(word)))
    throw new UsageError(
      "--detach takes words and variables in UTF-8 only; run in the foreground, or with nohup ... &",
    );
}

/** What was given of a program, as messages call it; undefined: nothing was. */
export function programInWords(program: GivenProgram): string | undefined {
  const [first] = program.command;
  return programOption(program) ?? (first === undefined ? undefined : `command (${first})`);
}

/** The first of the options that were given of a program. */
export function programOption({
  environment,
  user,
  workingFolder,
  entryPoint,
}: GivenProgram): string | undefined {
  if (environment.size > 0) return "--env";
  if (user !== undefined) return "--user";
  if (workingFolder !== undefined) return "--workdir";
  return entryPoint === undefined ? undefined : "--entrypoint";
}

function parseUser(text: string | undefined): string | undefined {
  if (text === undefined || /^[^:\0]+(:[^:\0]+)?$/.test(text)) return text;
  throw new UsageError(`--user ${text}: expected USER or USER:GROUP, by name or number, such as 1000:1000`);
}

function parseFolder(text: string | undefined): string | undefined {
  if (text === undefined || /^\/[^\0]*$/.test(text)) return text;
  throw new UsageError(`--workdir ${text}: expected a path from the guest's root, such as /srv`);
}
