import { CpuModelError, parseCpuModel } from "../cpu/cpu-model.ts";
import type { FeatureName } from "../cpu/cpuid-tables.ts";
import {
  COMMANDS,
  ENGINES,
  type EngineName,
  GENERAL_OPTIONS,
  type OptionDescription,
  RUN_OPTIONS,
  TRACE_SUBJECTS,
  type TraceSubject,
} from "./options.ts";
import { parseMemorySize } from "./size.ts";
import { nearest } from "./suggestion.ts";
import { UsageError } from "./usage-error.ts";

/** What the user asked for. */
export type Command =
  | { command: "help"; topic: "general" | "run"; asked: boolean }
  | { command: "version" }
  | { command: "run"; options: RunOptions };

export interface RunOptions {
  /** Undefined: the default guest. */
  readonly kernelPath: string | undefined;
  readonly initrdPath: string | undefined;
  readonly append: string | undefined;
  readonly memoryBytes: number;
  readonly engine: EngineName;
  readonly features: ReadonlySet<FeatureName>;
  readonly deterministic: boolean;
  readonly debugExitPort: number | undefined;
  readonly noReboot: boolean;
  readonly serial: { to: "stdio" } | { to: "file"; path: string };
  readonly stats: boolean;
  readonly trace: readonly TraceSubject[];
}

/** Reads the arguments behind the program's name. */
export function parseCommandLine(argv: readonly string[]): Command {
  const [first, ...rest] = argv;
  if (first === undefined) return { command: "help", topic: "general", asked: false };
  if (first === "--version" || first === "-V") return { command: "version" };
  if (first === "--help" || first === "-h") return { command: "help", topic: "general", asked: true };
  if (first === "help") return parseHelp(rest);
  if (first === "run") return parseRun(rest);
  const names = COMMANDS.map((command) => command.name);
  if (first.startsWith("-")) {
    const isRunOption = RUN_OPTIONS.some(
      ({ name }) => first === `--${name}` || first.startsWith(`--${name}=`),
    );
    if (isRunOption) throw new UsageError(`${first} belongs behind a command: ringfence run ${first} ...`);
    throw unknown(
      "option",
      first,
      GENERAL_OPTIONS.map(({ name }) => `--${name}`),
    );
  }
  throw unknown("command", first, names);
}

function parseHelp(rest: readonly string[]): Command {
  const topic = rest[0];
  if (topic === undefined || topic === "help") return { command: "help", topic: "general", asked: true };
  if (topic === "run") return { command: "help", topic: "run", asked: true };
  throw unknown("command", topic, ["run", "help"]);
}

function parseRun(argv: readonly string[]): Command {
  const given = collectOptions(argv, RUN_OPTIONS);
  if (given.has("help")) return { command: "help", topic: "run", asked: true };
  const kernelPath = given.get("kernel");
  const initrdPath = given.get("initrd");
  if (initrdPath !== undefined && kernelPath === undefined) {
    throw new UsageError("--initrd needs --kernel; the default guest has an initial RAM disk of its own");
  }
  return {
    command: "run",
    options: {
      kernelPath,
      initrdPath,
      append: given.get("append"),
      memoryBytes: parseMemorySize(given.get("memory") ?? "512M"),
      engine: ENGINES.find((name) => name === given.get("engine")) ?? "interpreter",
      features: parseCpu(given.get("cpu") ?? "default"),
      deterministic: given.has("deterministic"),
      debugExitPort: given.has("debug-exit") ? parsePort(given.get("debug-exit") ?? "") : undefined,
      noReboot: given.has("no-reboot"),
      serial: parseSerial(given.get("serial") ?? "stdio"),
      stats: given.has("stats"),
      trace: parseTrace(given.get("trace")),
    },
  };
}

/** Returns each given option's value; a switch has the value "". */
function collectOptions(
  argv: readonly string[],
  descriptions: readonly OptionDescription[],
): Map<string, string> {
  const given = new Map<string, string>();
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i] ?? "";
    if (argument === "-h") {
      given.set("help", "");
      continue;
    }
    if (!argument.startsWith("-") || argument === "-") {
      throw new UsageError(`unexpected argument "${argument}"; a kernel is given with --kernel ${argument}`);
    }
    const equals = argument.indexOf("=");
    const name = equals < 0 ? argument : argument.slice(0, equals);
    const description = descriptions.find((d) => `--${d.name}` === name);
    if (description === undefined)
      throw unknown(
        "option",
        name,
        descriptions.map((d) => `--${d.name}`),
      );
    if (given.has(description.name)) throw new UsageError(`${name} is given twice`);
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
  }
  return given;
}

function parseCpu(text: string): ReadonlySet<FeatureName> {
  try {
    return parseCpuModel(text);
  } catch (error) {
    if (error instanceof CpuModelError) throw new UsageError(`--cpu ${text}: ${error.message}`);
    throw error;
  }
}

function parsePort(text: string): number {
  const port = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN;
  if (Number.isInteger(port) && port <= 0xffff) return port;
  throw new UsageError(`--debug-exit ${text}: expected an I/O port from 0 to 0xffff, such as 0xf4`);
}

function parseSerial(text: string): RunOptions["serial"] {
  if (text === "stdio") return { to: "stdio" };
  if (text.startsWith("file:") && text.length > 5) return { to: "file", path: text.slice(5) };
  throw new UsageError(`--serial ${text}: expected stdio or file:PATH`);
}

function parseTrace(text: string | undefined): TraceSubject[] {
  return (text?.split(",") ?? []).map((name) => {
    const subject = TRACE_SUBJECTS.find((known) => known === name);
    if (subject === undefined) throw unknown("value for --trace:", name, TRACE_SUBJECTS);
    return subject;
  });
}

function unknown(what: string, typed: string, candidates: readonly string[]): UsageError {
  const guess = nearest(typed, candidates);
  const hint = guess === undefined ? `known: ${candidates.join(", ")}` : `did you mean ${guess}?`;
  return new UsageError(`unknown ${what} ${typed}; ${hint}`);
}
