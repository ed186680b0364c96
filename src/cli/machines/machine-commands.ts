import process from "node:process";
import { parseEnvironment } from "../env-option.ts";
import { collectOptions } from "../parse-options.ts";
import { parseBalloonSize } from "../size.ts";
import { UsageError } from "../usage-error.ts";
import { MACHINE_COMMANDS, type MachineAction, machineCommand } from "./command-table.ts";
import { parseMachineName } from "./machine-names.ts";

/** A file of this host, or of a machine's guest. */
export interface FilePlace {
  /** Undefined: this host. */
  readonly machine: string | undefined;
  readonly path: string;
}

/** A command on machines that run, as the user typed it. */
export type MachineCommand =
  | { readonly action: "ps"; readonly json: boolean; readonly quiet: boolean }
  | {
      readonly action: "exec";
      readonly name: string;
      readonly command: readonly string[];
      readonly interactive: boolean;
      readonly environment: Readonly<Record<string, string>>;
      readonly folder: string | undefined;
      readonly json: boolean;
    }
  | {
      readonly action: "cp";
      readonly from: FilePlace;
      readonly to: FilePlace;
      readonly quiet: boolean;
      readonly json: boolean;
    }
  | {
      readonly action: "stop";
      readonly names: readonly string[];
      readonly timeoutMs: number;
      readonly force: boolean;
      readonly json: boolean;
    }
  | { readonly action: "logs"; readonly name: string; readonly follow: boolean; readonly json: boolean }
  | { readonly action: "attach"; readonly name: string }
  | { readonly action: "pause" | "resume"; readonly names: readonly string[]; readonly json: boolean }
  | { readonly action: "snapshot"; readonly name: string; readonly path: string; readonly json: boolean }
  | {
      readonly action: "balloon";
      readonly name: string;
      /** Undefined: as it is. */
      readonly targetBytes: number | undefined;
      readonly json: boolean;
    };

const DEFAULT_TIMEOUT_SECONDS = 60;

export function isMachineCommand(name: string): name is MachineAction {
  return MACHINE_COMMANDS.some(({ action }) => action === name);
}

/** Reads what stands behind the command's name. @throws {UsageError} */
export function parseMachineCommand(action: MachineAction, argv: readonly string[]): MachineCommand | "help" {
  const { options } = machineCommand(action);
  const words: string[] = [];
  if (action === "exec" && ["-t", "-it", "-ti", "--tty"].includes(argv[0] ?? ""))
    throw new UsageError(
      `exec gives a command no terminal (${argv[0]}): ringfence attach NAME is the machine's console`,
    );
  const guestCommand = action === "exec" ? "behind-word" : undefined;
  const { given, repeated } = collectOptions(argv, options, words, guestCommand);
  if (given.has("help")) return "help";
  const json = given.has("json");
  switch (action) {
    case "ps":
      takeWords(action, words, 0);
      return { action, json, quiet: given.has("quiet") };
    case "exec": {
      const [name = "", ...command] = takeWords(action, words, 2, Infinity);
      const variables = [...parseEnvironment(repeated.get("env") ?? [], (own) => process.env[own])];
      const environment = Object.fromEntries(
        variables.flatMap(([variable, value]) => (value === undefined ? [] : [[variable, value]])),
      );
      const interactive = given.has("interactive");
      const folder = given.get("workdir");
      return {
        action,
        name: parseMachineName(name, "NAME"),
        command,
        interactive,
        environment,
        folder,
        json,
      };
    }
    case "cp": {
      const [from = "", to = ""] = takeWords(action, words, 2);
      return { action, ...parseCopy(from, to), quiet: given.has("quiet"), json };
    }
    case "stop": {
      const timeoutMs = parseSeconds(given.get("timeout")) * 1000;
      return { action, names: takeNames(action, words), timeoutMs, force: given.has("force"), json };
    }
    case "pause":
    case "resume":
      return { action, names: takeNames(action, words), json };
    case "logs": {
      const [name = ""] = takeWords(action, words, 1);
      return { action, name: parseMachineName(name, "NAME"), follow: given.has("follow"), json };
    }
    case "attach": {
      const [name = ""] = takeWords(action, words, 1);
      return { action, name: parseMachineName(name, "NAME") };
    }
    case "snapshot": {
      const [name = "", path = ""] = takeWords(action, words, 2);
      return { action, name: parseMachineName(name, "NAME"), path, json };
    }
    case "balloon": {
      const [name = "", size] = takeWords(action, words, 1, 2);
      const targetBytes = size === undefined ? undefined : parseBalloonSize(size);
      return { action, name: parseMachineName(name, "NAME"), targetBytes, json };
    }
  }
}

function parseCopy(fromText: string, toText: string): { from: FilePlace; to: FilePlace } {
  const [from, to] = [parsePlace(fromText), parsePlace(toText)];
  if ((from.machine === undefined) !== (to.machine === undefined)) return { from, to };
  const both = from.machine === undefined ? "neither path" : "each path";
  throw new UsageError(
    `${both} is in a guest: one must be NAME:PATH, the other a path here (./a:b for a file a:b)`,
  );
}

/** NAME:PATH; where a slash comes first, or a drive's letter on Windows, it is a path of this host. */
function parsePlace(text: string): FilePlace {
  const match = (
    process.platform === "win32" ? /^([a-zA-Z0-9][\w.-]+):(.+)$/s : /^([a-zA-Z0-9][\w.-]*):(.+)$/s
  ).exec(text);
  if (match === null) return { machine: undefined, path: text };
  return { machine: match[1] ?? "", path: match[2] ?? "" };
}

function parseSeconds(text: string | undefined): number {
  if (text === undefined) return DEFAULT_TIMEOUT_SECONDS;
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (seconds <= 86_400) return seconds;
  throw new UsageError(`--timeout ${text}: expected seconds, up to 86400`);
}

function takeNames(action: MachineAction, words: readonly string[]): string[] {
  return takeWords(action, words, 1, Infinity).map((name) => parseMachineName(name, "NAME"));
}

function takeWords(
  action: MachineAction,
  words: readonly string[],
  fewest: number,
  most: number = fewest,
): readonly string[] {
  if (words.length > most) throw new UsageError(`unexpected argument "${words[most]}"`);
  if (words.length >= fewest) return words;
  throw new UsageError(`usage: ringfence ${machineCommand(action).usage.join(", or ")}`);
}
