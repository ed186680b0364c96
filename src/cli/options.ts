import { MACHINE_COMMANDS } from "./machines/command-table.ts";

/** One option of a command. Help and parser both read this table, so they cannot disagree. */
export interface OptionDescription {
  readonly name: string;
  /** A letter that stands for it. */
  readonly short?: string;
  /** What stands for the value in help; absent for a switch. */
  readonly value?: string;
  /** The only values it takes, where there are few. */
  readonly choices?: readonly string[];
  /** Values that completion offers where there are more than these. */
  readonly examples?: readonly string[];
  /** An empty value means something. */
  readonly mayBeEmpty?: boolean;
  /** It may be given several times. */
  readonly repeatable?: boolean;
  readonly help: string;
}

/** Engines that `--engine` may name. */
export const ENGINES = ["interpreter", "auto", "translator", "lockstep", "lockstep-auto"] as const;
export type EngineName = (typeof ENGINES)[number];

/** What `--trace` may name; several are separated by commas. */
export const TRACE_SUBJECTS = ["undefined", "faults", "interrupts", "ports", "devices"] as const;
export type TraceSubject = (typeof TRACE_SUBJECTS)[number];

export const RUN_OPTIONS: readonly OptionDescription[] = [
  {
    name: "name",
    value: "NAME",
    help: "what other commands call the machine; without it, as the image, or made up",
  },
  {
    name: "config",
    value: "FILE",
    help: "take these options from a TOML file; the command line has precedence",
  },
  { name: "detach", short: "d", help: "run in the background and print the name" },
  { name: "json", help: "with --detach: print name and process as JSON" },
  {
    name: "kernel",
    value: "FILE",
    help: "Linux bzImage or multiboot ELF to boot; without it, the default guest",
  },
  { name: "initrd", value: "FILE", help: "initial RAM disk, or a multiboot module" },
  { name: "append", value: "TEXT", help: "kernel command line; added to the default guest's own" },
  { name: "memory", value: "SIZE", help: "guest memory, 32M to 3G (default 512M)" },
  {
    name: "engine",
    value: "NAME",
    choices: ENGINES,
    help: "how instructions are executed (default auto: hot code is translated)",
  },
  {
    name: "learn",
    help: "translate and optimise whatever runs more than once in a while, and keep that: slow, but later runs of the guest are faster",
  },
  {
    name: "cpu",
    value: "MODEL",
    examples: ["default", "x86-64-v1", "x86-64-v2", "x86-64-v3", "max"],
    help: "what CPUID announces: x86-64-v1 to -v3, max, and features with + or -, such as v2,+avx2; without it, what the guest's kernel profits from",
  },
  { name: "deterministic", help: "time counts instructions: equal input gives equal runs" },
  {
    name: "restore",
    value: "FILE",
    help: "go on from a snapshot, in place of booting",
  },
  {
    name: "snapshot",
    value: "FILE",
    help: "where Ctrl-A S and the signal SIGUSR2 save the machine, which runs on",
  },
  {
    name: "disk",
    value: "FILE[,OPTION]...",
    repeatable: true,
    help: "a disk; options: format=raw|qcow2, readonly, snapshot (keep no changes), serial=TEXT",
  },
  {
    name: "network",
    value: "WHAT[,OPTION]...",
    examples: ["user", "switch:", "none"],
    repeatable: true,
    help: "user (NAT; default), switch:NAME|PATH|ADDRESS:PORT or none; options: mac=, rate=, allow=, deny=, dns=, ipv6=",
  },
  {
    name: "forward",
    value: "tcp|udp:[ADDR:]PORT:PORT",
    repeatable: true,
    help: "lead a port of this host to one of the guest, such as tcp:8080:80",
  },
  {
    name: "share",
    value: "FOLDER[,OPTION]...",
    repeatable: true,
    help: "a folder for the guest, at /mnt/TAG; options: tag=NAME, protocol=virtiofs|9p, readonly, owner=UID:GID, xattrs",
  },
  {
    name: "vsock",
    value: "PORT:PATH|PATH:PORT",
    repeatable: true,
    help: "join a port of the guest's AF_VSOCK sockets with a Unix-domain socket: what the guest connects to, or serves",
  },
  { name: "capture", value: "FILE", help: "record the guest's network traffic, as pcapng" },
  { name: "rng", help: "give the guest random numbers of the host, as virtio-rng" },
  { name: "balloon", help: "let `ringfence balloon` take memory from the guest, as virtio-balloon" },
  { name: "debug-exit", value: "PORT", help: "a write to this I/O port ends the machine, such as 0xf4" },
  { name: "no-reboot", help: "end when the guest resets the machine" },
  {
    name: "serial",
    value: "WHERE",
    examples: ["stdio", "file:"],
    help: "serial console: stdio (default) or file:PATH",
  },
  { name: "stats", help: "print what the run cost, on standard error, at its end" },
  { name: "stats-file", value: "FILE", help: "write what the run cost as JSON, for `ringfence stats`" },
  {
    name: "trace",
    value: "WHAT",
    examples: TRACE_SUBJECTS,
    help: `print events on standard error; any of ${TRACE_SUBJECTS.join(",")}`,
  },
  { name: "help", help: "this text" },
];

export const STATS_OPTIONS: readonly OptionDescription[] = [
  { name: "plot", value: "FILE", help: "draw the costs as an SVG figure, one bar for each kind and run" },
  { name: "json", help: "print JSON" },
  { name: "help", help: "this text" },
];

export const DISK_OPTIONS: readonly OptionDescription[] = [
  { name: "format", value: "FORMAT", choices: ["raw", "qcow2"], help: "of the image that is made or named" },
  {
    name: "from-format",
    value: "FORMAT",
    choices: ["raw", "qcow2"],
    help: "convert: of the image that is read",
  },
  { name: "backing", value: "FILE", help: "create: the image below, of which the new one keeps the changes" },
  { name: "backing-format", value: "FORMAT", choices: ["raw", "qcow2"], help: "create: of the image below" },
  { name: "shrink", help: "resize: agree that what lies behind the new end is lost" },
  { name: "json", help: "print what `disk info` tells of the image, as JSON" },
  { name: "help", help: "this text" },
];

export const COMPLETION_OPTIONS: readonly OptionDescription[] = [{ name: "help", help: "this text" }];

/** Shells that `ringfence completion` knows. */
export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

export const COMMANDS: readonly { name: string; help: string }[] = [
  { name: "run", help: "boot an image or the default guest; its serial console is this terminal" },
  { name: "pull", help: "build an image of Debian from its packages" },
  { name: "import", help: "make an image of a container image" },
  { name: "images", help: "list images" },
  { name: "inspect", help: "show what an image is made of" },
  { name: "rm", help: "remove images" },
  { name: "disk", help: "create, info, convert, resize: disk images" },
  { name: "stats", help: "show or plot what `run --stats-file` wrote" },
  { name: "completion", help: "print a script that completes commands in bash, zsh or fish" },
  ...MACHINE_COMMANDS.map(({ action, help }) => ({ name: action, help })),
  { name: "help", help: "explain a command" },
];

export const GENERAL_OPTIONS: readonly OptionDescription[] = [
  { name: "help", help: "this text" },
  { name: "version", help: "print the version" },
];
