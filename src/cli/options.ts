/** One option of a command. Help and parser both read this table, so they cannot disagree. */
export interface OptionDescription {
  readonly name: string;
  /** What stands for the value in help; absent for a switch. */
  readonly value?: string;
  /** The only values it takes, where there are few. */
  readonly choices?: readonly string[];
  readonly help: string;
}

/** Engines that `--engine` may name. */
export const ENGINES = ["interpreter", "auto"] as const;
export type EngineName = (typeof ENGINES)[number];

/** What `--trace` may name; several are separated by commas. */
export const TRACE_SUBJECTS = ["undefined", "faults", "interrupts", "ports", "devices"] as const;
export type TraceSubject = (typeof TRACE_SUBJECTS)[number];

export const RUN_OPTIONS: readonly OptionDescription[] = [
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
    help: "how instructions are executed (default interpreter)",
  },
  {
    name: "cpu",
    value: "MODEL",
    help: "what CPUID announces: x86-64-v1 to -v3, max, and features with + or -, such as v2,+avx2 (default default)",
  },
  { name: "deterministic", help: "time counts instructions: equal input gives equal runs" },
  { name: "debug-exit", value: "PORT", help: "a write to this I/O port ends the machine, such as 0xf4" },
  { name: "no-reboot", help: "end when the guest resets the machine" },
  { name: "serial", value: "WHERE", help: "serial console: stdio (default) or file:PATH" },
  { name: "stats", help: "print what the run cost, on standard error, at its end" },
  {
    name: "trace",
    value: "WHAT",
    help: `print events on standard error; any of ${TRACE_SUBJECTS.join(",")}`,
  },
  { name: "help", help: "this text" },
];

export const COMMANDS = [
  { name: "run", help: "boot a guest; its serial console is this terminal" },
  { name: "help", help: "explain a command" },
] as const;

export const GENERAL_OPTIONS: readonly OptionDescription[] = [
  { name: "help", help: "this text" },
  { name: "version", help: "print the version" },
];
