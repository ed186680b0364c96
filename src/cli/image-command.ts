import path from "node:path";
import { parseDiskSize } from "./disk-command.ts";
import { DEFAULT_KERNEL, type ImageCommandName } from "./image-options.ts";
import { parseForward } from "./network-option.ts";
import { parseMemorySize } from "./size.ts";
import { UsageError } from "./usage-error.ts";

/** What a command about images is to do. */
export type ImageCommand =
  | PullCommand
  | ImportCommand
  | { readonly action: "images"; readonly json: boolean; readonly quiet: boolean }
  | { readonly action: "inspect"; readonly name: string; readonly json: boolean; readonly verify: boolean }
  | { readonly action: "rm"; readonly names: readonly string[]; readonly json: boolean };

export interface PullCommand {
  readonly action: "pull";
  readonly name: string;
  /** Undefined: that of this machine. */
  readonly suite: string | undefined;
  /** Undefined: the sources of this machine. */
  readonly mirror: string | undefined;
  readonly include: readonly string[];
  /** The package of the kernel. */
  readonly kernel: string;
  readonly diskBytes: number;
  readonly memoryBytes: number;
  readonly json: boolean;
}

export interface ImportCommand {
  readonly action: "import";
  readonly path: string;
  readonly name: string;
  readonly tag: string | undefined;
  readonly command: string | undefined;
  readonly diskBytes: number;
  readonly memoryBytes: number;
  readonly forwards: readonly string[];
  readonly json: boolean;
}

const SMALLEST_DISK_BYTES = 2 ** 30;

/** Reads the words of a command and its options, which are known to be ones it may have. */
export function parseImageWords(
  command: ImageCommandName,
  words: readonly string[],
  given: ReadonlyMap<string, string>,
  repeated: ReadonlyMap<string, readonly string[]>,
): ImageCommand {
  const json = given.has("json");
  switch (command) {
    case "pull":
      return parsePull(words, given, repeated);
    case "import":
      return parseImport(only(words, "import FILE"), given, repeated);
    case "images":
      if (words.length > 0) throw unexpected(words[0]);
      return { action: "images", json, quiet: given.has("quiet") };
    case "inspect":
      return { action: "inspect", name: only(words, "inspect NAME"), json, verify: given.has("verify") };
    case "rm":
      if (words.length === 0) throw new UsageError("usage: ringfence rm NAME...");
      return { action: "rm", names: words, json };
  }
}

function parsePull(
  words: readonly string[],
  given: ReadonlyMap<string, string>,
  repeated: ReadonlyMap<string, readonly string[]>,
): PullCommand {
  const system = only(words, "pull debian");
  if (system !== "debian") throw new UsageError(`pull ${system}: only debian can be pulled`);
  const suite = given.get("suite");
  if (suite !== undefined && !/^[a-z][a-z0-9.-]*$/.test(suite))
    throw new UsageError(`--suite ${suite}: expected the name of a release of Debian, such as trixie`);
  const include = (repeated.get("include") ?? []).flatMap((list) => list.split(","));
  const wrong = include.find((name) => !/^[a-z0-9][a-z0-9+.-]+$/.test(name));
  if (wrong !== undefined) throw new UsageError(`--include ${wrong}: not the name of a package`);
  const kernel = given.get("kernel") ?? DEFAULT_KERNEL;
  if (!/^linux-image-[a-z0-9][a-z0-9+.-]*$/.test(kernel))
    throw new UsageError(`--kernel ${kernel}: expected a package linux-image-..., such as linux-image-amd64`);
  const diskBytes = parseDiskSize(given.get("size") ?? "8G");
  if (diskBytes < SMALLEST_DISK_BYTES) throw new UsageError("--size: Debian needs a disk of at least 1G");
  return {
    action: "pull",
    name: given.get("name") ?? "debian",
    suite,
    mirror: parseMirror(given.get("mirror")),
    include,
    kernel,
    diskBytes,
    memoryBytes: parseMemorySize(given.get("memory") ?? "1G"),
    json: given.has("json"),
  };
}

function parseImport(
  file: string,
  given: ReadonlyMap<string, string>,
  repeated: ReadonlyMap<string, readonly string[]>,
): ImportCommand {
  const forwards = repeated.get("forward") ?? [];
  for (const forward of forwards) parseForward(forward);
  const own = path.basename(path.resolve(file)).replace(/(\.(tar|tgz|gz|zst|oci))+$/i, "");
  return {
    action: "import",
    path: file,
    name: given.get("name") ?? own,
    tag: given.get("tag"),
    command: given.get("command"),
    diskBytes: parseDiskSize(given.get("size") ?? "4G"),
    memoryBytes: parseMemorySize(given.get("memory") ?? "512M"),
    forwards,
    json: given.has("json"),
  };
}

/** Ends up in apt's sources.list, a line of words. */
function parseMirror(text: string | undefined): string | undefined {
  if (text === undefined || /^(https?|file):\/\/[^\s[\]]+$/.test(text)) return text;
  throw new UsageError(`--mirror ${text}: expected an address with http://, https:// or file://`);
}

function only(words: readonly string[], usage: string): string {
  const [first, second] = words;
  if (first === undefined) throw new UsageError(`usage: ringfence ${usage}`);
  if (second !== undefined) throw unexpected(second);
  return first;
}

function unexpected(word: string | undefined): UsageError {
  return new UsageError(`unexpected argument "${word}"`);
}
