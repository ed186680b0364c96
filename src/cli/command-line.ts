import { CpuModelError, parseCpuModel } from "../cpu/cpu-model.ts";
import type { FeatureName } from "../cpu/cpuid-tables.ts";
import type { GivenProgram } from "../images/container/given-program.ts";
import type { PortForward } from "../network/nat/user-network.ts";
import { readConfigFile } from "./config-file.ts";
import { type DiskCommand, parseDiskWords } from "./disk-command.ts";
import { type DiskOption, parseDisk } from "./disk-option.ts";
import { type ImageCommand, parseImageWords } from "./image-command.ts";
import { IMAGE_COMMANDS, type ImageCommandName, isImageCommand, RUN_IMAGE_OPTIONS } from "./image-options.ts";
import { isMachineCommand, type MachineCommand, parseMachineCommand } from "./machines/machine-commands.ts";
import { parseMachineName } from "./machines/machine-names.ts";
import { type NetworkOption, parseForward, parseNetworks } from "./network-option.ts";
import {
  COMMANDS,
  COMPLETION_OPTIONS,
  DISK_OPTIONS,
  ENGINES,
  type EngineName,
  GENERAL_OPTIONS,
  RUN_OPTIONS,
  SHELLS,
  type Shell,
  STATS_OPTIONS,
  TRACE_SUBJECTS,
  type TraceSubject,
} from "./options.ts";
import { collectOptions, unknown } from "./parse-options.ts";
import { PROGRAM_OPTIONS, parseProgram, programInWords } from "./program-options.ts";
import { parseShares, type ShareOption } from "./share-option.ts";
import { parseMemorySize } from "./size.ts";
import { UsageError } from "./usage-error.ts";
import { parseVsock, type VsockOption } from "./vsock-option.ts";

/** Options about how a machine starts and what it is: a snapshot has all of that. What belongs to the host, such as disks, is given again. */
const BOOT_OPTIONS = [
  "kernel",
  "initrd",
  "append",
  "memory",
  "deterministic",
  "debug-exit",
  "rng",
  "balloon",
] as const;

/** What the user asked for. */
export type Command =
  | { command: "help"; topic: HelpTopic; asked: boolean }
  | { command: "version" }
  | { command: "run"; options: RunOptions }
  | { command: "disk"; options: DiskCommand }
  | { command: "stats"; options: StatsOptions }
  | { command: "image"; options: ImageCommand }
  | { command: "completion"; shell: Shell }
  | { command: "machine"; options: MachineCommand };

/** Commands that are explained by a text of their own. */
const PLAIN_TOPICS = ["run", "disk", "stats", "completion"] as const;

export type HelpTopic =
  | "general"
  | (typeof PLAIN_TOPICS)[number]
  | ImageCommandName
  | MachineCommand["action"];

export interface StatsOptions {
  /** Files that `run --stats-file` wrote; one or more. */
  readonly files: readonly string[];
  /** Where to draw them; undefined: print a table. */
  readonly plotPath: string | undefined;
  readonly json: boolean;
}

/** Which image `run` starts, and what becomes of the changes to its disks. */
export interface ImageChoice {
  readonly name: string;
  readonly changes: "keep" | "reset" | "ephemeral";
  /** In place of what its container image says. */
  readonly program: GivenProgram;
  /** Names of the options that were given, and so go before what the image says. */
  readonly given: ReadonlySet<string>;
}

export interface RunOptions {
  /** An image to start; options change what it says. */
  readonly image: ImageChoice | undefined;
  /** What other commands call the machine. Undefined: one is made up. */
  readonly name: string | undefined;
  /** The machine runs on in the background. */
  readonly detach: boolean;
  /** What tells of its start is JSON. */
  readonly json: boolean;
  /** Undefined: the default guest. */
  readonly kernelPath: string | undefined;
  readonly initrdPath: string | undefined;
  /** What follows on the image's initial RAM disk. */
  readonly givenArchive?: Uint8Array<ArrayBuffer> | undefined;
  readonly append: string | undefined;
  /** A snapshot to go on from, in place of a boot. */
  readonly restorePath: string | undefined;
  /** Where a snapshot is saved when the user asks for one. Undefined: a name with the time, in the working folder. */
  readonly snapshotPath: string | undefined;
  readonly memoryBytes: number;
  readonly engine: EngineName;
  /** Translate and optimise for later runs. */
  readonly learn: boolean;
  readonly features: ReadonlySet<FeatureName>;
  readonly deterministic: boolean;
  readonly debugExitPort: number | undefined;
  readonly noReboot: boolean;
  readonly serial: { to: "stdio" } | { to: "file"; path: string };
  readonly stats: boolean;
  /** Where to write what the run cost, as JSON. */
  readonly statsPath: string | undefined;
  readonly trace: readonly TraceSubject[];
  readonly disks: readonly DiskOption[];
  readonly rng: boolean;
  readonly balloon: boolean;
  /** Undefined: those of the snapshot's machine. */
  readonly networks: readonly NetworkOption[] | undefined;
  readonly forwards: readonly PortForward[];
  readonly capturePath: string | undefined;
  readonly shares: readonly ShareOption[];
  readonly vsock: readonly VsockOption[];
  /** A value that the guest writes to its debug-exit port is the exit status itself. */
  readonly guestGivesStatus?: boolean;
}

/** Reads the arguments behind the program's name. */
export function parseCommandLine(argv: readonly string[]): Command {
  const [first, ...rest] = argv;
  if (first === undefined) return { command: "help", topic: "general", asked: false };
  if (first === "--version" || first === "-V") return { command: "version" };
  if (first === "--help" || first === "-h") return { command: "help", topic: "general", asked: true };
  if (first === "help") return parseHelp(rest);
  if (first === "run") return parseRun(rest);
  if (first === "stats") return parseStats(rest);
  if (first === "disk") return parseDiskCommand(rest);
  if (isImageCommand(first)) return parseImageCommand(first, rest);
  if (first === "completion") return parseCompletion(rest);
  if (isMachineCommand(first)) {
    const options = parseMachineCommand(first, rest);
    return options === "help"
      ? { command: "help", topic: first, asked: true }
      : { command: "machine", options };
  }
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
  const known = PLAIN_TOPICS.find((name) => name === topic);
  if (known !== undefined) return { command: "help", topic: known, asked: true };
  if (isImageCommand(topic) || isMachineCommand(topic)) return { command: "help", topic, asked: true };
  throw unknown(
    "command",
    topic,
    COMMANDS.map(({ name }) => name),
  );
}

function parseRun(argv: readonly string[]): Command {
  const words: string[] = [];
  const { given, repeated } = collectRunOptions(argv, words);
  if (given.has("help")) return { command: "help", topic: "run", asked: true };
  const image = parseImageChoice(words, given, repeated);
  const kernelPath = given.get("kernel");
  const initrdPath = given.get("initrd");
  if (initrdPath !== undefined && kernelPath === undefined && image === undefined) {
    throw new UsageError("--initrd needs --kernel; the default guest has an initial RAM disk of its own");
  }
  const restorePath = given.get("restore");
  const notSaved = BOOT_OPTIONS.find(
    (name) => restorePath !== undefined && (given.has(name) || repeated.has(name)),
  );
  if (notSaved !== undefined) {
    throw new UsageError(`--${notSaved} does not go with --restore: the snapshot says it already`);
  }
  if (given.has("learn") && (given.get("engine") ?? "auto") !== "auto")
    throw new UsageError(`--learn needs --engine auto: ${given.get("engine")} keeps nothing for later runs`);
  if (given.has("json") && !given.has("detach"))
    throw new UsageError("--json needs --detach: here the machine's own output is printed");
  return {
    command: "run",
    options: {
      image,
      name: given.has("name") ? parseMachineName(given.get("name") ?? "") : undefined,
      detach: given.has("detach"),
      json: given.has("json"),
      kernelPath,
      initrdPath,
      append: given.get("append"),
      restorePath,
      snapshotPath: given.get("snapshot"),
      memoryBytes: parseMemorySize(given.get("memory") ?? "512M"),
      engine: ENGINES.find((name) => name === given.get("engine")) ?? "auto",
      learn: given.has("learn"),
      features: parseCpu(given.get("cpu") ?? "default"),
      deterministic: given.has("deterministic"),
      debugExitPort: given.has("debug-exit") ? parsePort(given.get("debug-exit") ?? "") : undefined,
      noReboot: given.has("no-reboot"),
      serial: parseSerial(given.get("serial") ?? "stdio"),
      stats: given.has("stats"),
      statsPath: given.get("stats-file"),
      trace: parseTrace(given.get("trace")),
      disks: (repeated.get("disk") ?? []).map(parseDisk),
      rng: given.has("rng"),
      balloon: given.has("balloon"),
      // What comes from outside is no function of the instructions executed.
      networks:
        repeated.get("network") === undefined && restorePath !== undefined
          ? undefined
          : parseNetworks(repeated.get("network"), given.has("deterministic") ? ["none"] : ["user"]),
      forwards: (repeated.get("forward") ?? []).map(parseForward),
      capturePath: given.get("capture"),
      vsock: (repeated.get("vsock") ?? []).map(parseVsock),
      shares: parseSharesFor(kernelPath ?? restorePath ?? image?.name, repeated.get("share")),
    },
  };
}

/** `guest`: what is not the default guest. */
function parseSharesFor(guest: string | undefined, texts: readonly string[] | undefined): ShareOption[] {
  const shares = parseShares(texts);
  if (guest === undefined && shares.some(({ protocol }) => protocol === "9p"))
    throw new UsageError(
      "--share: the default guest's kernel has no 9p; leave protocol= out, or give --kernel",
    );
  return shares;
}

function parseImageChoice(
  words: readonly string[],
  given: ReadonlyMap<string, string>,
  repeated: ReadonlyMap<string, readonly string[]>,
): ImageChoice | undefined {
  const [name, ...command] = words;
  const [reset, ephemeral] = [given.has("reset"), given.has("ephemeral")];
  if (reset && ephemeral) throw new UsageError("--reset and --ephemeral exclude each other");
  if (name === undefined) {
    if (reset || ephemeral)
      throw new UsageError(`--${reset ? "reset" : "ephemeral"} needs the name of an image`);
    const ofProgram = PROGRAM_OPTIONS.find((option) => given.has(option.name));
    if (ofProgram !== undefined)
      throw new UsageError(
        `--${ofProgram.name} needs an imported container image: ringfence run IMAGE --${ofProgram.name} ${ofProgram.value}`,
      );
    return undefined;
  }
  if (given.has("restore") && !ephemeral)
    throw new UsageError(
      `--restore with an image needs --ephemeral, as the machine had that was saved: ringfence run ${name} --ephemeral --restore FILE`,
    );
  const program = parseProgram(command, given, repeated);
  const stated = programInWords(program);
  const without = ["restore", "kernel", "initrd"].find((option) => given.has(option));
  if (stated !== undefined && without === "restore")
    throw new UsageError(`--restore takes no ${stated}: what the snapshot has runs already`);
  if (stated !== undefined && without !== undefined)
    throw new UsageError(`--${without} takes no ${stated}: the image's own initrd is what knows of it`);
  const changes = reset ? "reset" : ephemeral ? "ephemeral" : "keep";
  return { name, changes, program, given: new Set(given.keys()) };
}

function parseImageCommand(command: ImageCommandName, argv: readonly string[]): Command {
  const words: string[] = [];
  const { given, repeated } = collectOptions(argv, IMAGE_COMMANDS[command], words);
  if (given.has("help")) return { command: "help", topic: command, asked: true };
  return { command: "image", options: parseImageWords(command, words, given, repeated) };
}

function parseCompletion(rest: readonly string[]): Command {
  const words: string[] = [];
  const { given } = collectOptions(rest, COMPLETION_OPTIONS, words);
  if (given.has("help")) return { command: "help", topic: "completion", asked: true };
  const [word, more] = words;
  const shell = SHELLS.find((name) => name === word);
  if (shell === undefined)
    throw word === undefined
      ? new UsageError(`usage: ringfence completion ${SHELLS.join("|")}`)
      : new UsageError(`unknown shell ${word}; known: ${SHELLS.join(", ")}`);
  if (more !== undefined) throw new UsageError(`unexpected argument "${more}"`);
  return { command: "completion", shell };
}

/** In a file the image has a key; on the command line it is a word without one. */
const IMAGE_KEY = { name: "image", value: "IMAGE", help: "the image to start" };

/** Options of `run`: those of the command line, and of its --config file what they do not name. `words` gets the name of an image and a command. */
function collectRunOptions(argv: readonly string[], words: string[]): ReturnType<typeof collectOptions> {
  const options = [...RUN_OPTIONS, ...RUN_IMAGE_OPTIONS];
  const typed = collectOptions(argv, options, words, "behind-options");
  const configPath = typed.given.get("config");
  if (configPath === undefined) return typed;
  const fileOptions = [...options, IMAGE_KEY];
  const filed = collectOptions(readConfigFile(configPath, fileOptions), fileOptions);
  const image = filed.given.get(IMAGE_KEY.name);
  if (image !== undefined && words.length === 0) words.push(image);
  return {
    given: new Map([...filed.given, ...typed.given]),
    repeated: new Map([...filed.repeated, ...typed.repeated]),
  };
}

function parseStats(argv: readonly string[]): Command {
  const files: string[] = [];
  const { given } = collectOptions(argv, STATS_OPTIONS, files);
  if (given.has("help")) return { command: "help", topic: "stats", asked: true };
  if (files.length === 0)
    throw new UsageError("stats needs a file that `ringfence run --stats-file FILE` wrote");
  const plotPath = given.get("plot");
  const json = given.has("json");
  if (json && plotPath !== undefined) throw new UsageError("--json and --plot do not go together");
  return { command: "stats", options: { files, plotPath, json } };
}

function parseDiskCommand(argv: readonly string[]): Command {
  const names: string[] = [];
  const { given } = collectOptions(argv, DISK_OPTIONS, names);
  if (given.has("help") || argv.length === 0)
    return { command: "help", topic: "disk", asked: given.has("help") };
  return { command: "disk", options: parseDiskWords(names, given) };
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
