import { expect, test } from "vitest";
import { type Command, parseCommandLine, type RunOptions } from "../../src/cli/command-line.ts";
import { parseCpuModel } from "../../src/cpu/cpu-model.ts";

function parseRun(...argv: string[]): RunOptions {
  const command: Command = parseCommandLine(["run", ...argv]);
  if (command.command !== "run") throw new Error(`parsed as ${command.command}`);
  return command.options;
}

function complaint(...argv: string[]): string {
  try {
    parseCommandLine(argv);
  } catch (error) {
    return (error as Error).message;
  }
  return "no complaint";
}

test("run alone boots the default guest with 512 MiB, on the terminal", () => {
  expect(parseRun()).toEqual({
    kernelPath: undefined,
    initrdPath: undefined,
    append: undefined,
    memoryBytes: 0x2000_0000,
    engine: "interpreter",
    features: parseCpuModel("default"),
    deterministic: false,
    debugExitPort: undefined,
    noReboot: false,
    serial: { to: "stdio" },
    stats: false,
    trace: [],
  });
});

test("every option of run is read, with its value behind it or behind an equals sign", () => {
  const argv = "--kernel k --initrd=i --append=a=b --memory 1.5G --engine interpreter --deterministic";
  const more =
    "--cpu v2,+avx2 --debug-exit 0xf4 --no-reboot --serial file:out.txt --stats --trace ports,faults";
  expect(parseRun(...argv.split(" "), ...more.split(" "))).toEqual({
    kernelPath: "k",
    initrdPath: "i",
    append: "a=b",
    memoryBytes: 0x6000_0000,
    engine: "interpreter",
    features: parseCpuModel("x86-64-v2,+avx2"),
    deterministic: true,
    debugExitPort: 0xf4,
    noReboot: true,
    serial: { to: "file", path: "out.txt" },
    stats: true,
    trace: ["ports", "faults"],
  });
});

test("a value may begin with a dash, but the next option is not a value", () => {
  expect(parseRun("--append", "-s single").append).toBe("-s single");
  expect(complaint("run", "--kernel", "--initrd", "x")).toBe("--kernel needs a value: --kernel FILE");
  expect(complaint("run", "--memory")).toBe("--memory needs a value: --memory SIZE");
});

test("help and version are found in front of a command and behind it", () => {
  expect(parseCommandLine(["--version"])).toEqual({ command: "version" });
  expect(parseCommandLine(["--help"])).toEqual({ command: "help", topic: "general", asked: true });
  expect(parseCommandLine(["help", "run"])).toEqual({ command: "help", topic: "run", asked: true });
  expect(parseCommandLine(["run", "--help"])).toEqual({ command: "help", topic: "run", asked: true });
  expect(parseCommandLine([])).toEqual({ command: "help", topic: "general", asked: false });
});

test("a slip in an option, a command or a value is answered with the nearest known one", () => {
  expect(complaint("run", "--kernal", "x")).toBe("unknown option --kernal; did you mean --kernel?");
  expect(complaint("run", "--mem", "1G")).toBe("unknown option --mem; did you mean --memory?");
  expect(complaint("rnu")).toBe("unknown command rnu; did you mean run?");
  expect(complaint("run", "--engine", "interpeter")).toBe(
    "unknown value for --engine: interpeter; did you mean interpreter?",
  );
  expect(complaint("run", "--cpu", "v9")).toMatch(
    /^--cpu v9: unknown processor v9; known: default, x86-64-v1/,
  );
  expect(complaint("run", "--cpu", "v2,avx2")).toMatch(/^--cpu v2,avx2: "avx2" is no feature behind \+ or -/);
  expect(complaint("run", "--trace", "port")).toBe("unknown value for --trace: port; did you mean ports?");
});

test("what resembles nothing is answered with what there is", () => {
  expect(complaint("frobnicate")).toBe("unknown command frobnicate; known: run, help");
});

test("a stray argument is answered with the option it may have meant", () => {
  expect(complaint("run", "vmlinuz")).toBe(
    'unexpected argument "vmlinuz"; a kernel is given with --kernel vmlinuz',
  );
  expect(complaint("--kernel", "vmlinuz")).toBe(
    "--kernel belongs behind a command: ringfence run --kernel ...",
  );
});

test.each([
  ["31M", "--memory 31M: a guest can have from 32M to 3G"],
  ["3.1G", "--memory 3.1G: a guest can have from 32M to 3G"],
  ["512", "--memory 512: expected a number with a unit, from 32M to 3G, such as 512M"],
  ["-1G", "--memory -1G: expected a number with a unit, from 32M to 3G, such as 512M"],
  ["lots", "--memory lots: expected a number with a unit, from 32M to 3G, such as 512M"],
  ["40001K", "--memory 40001K: not a whole number of pages of 4K"],
])("memory of %s is refused", (size, message) => {
  expect(complaint("run", "--memory", size)).toBe(message);
});

test("memory is taken from 32M to 3G", () => {
  expect(parseRun("--memory", "32M").memoryBytes).toBe(32 * 1024 * 1024);
  expect(parseRun("--memory", "3GiB").memoryBytes).toBe(3 * 1024 * 1024 * 1024);
  expect(parseRun("--memory", "65536k").memoryBytes).toBe(64 * 1024 * 1024);
});

test("wrong ports, serial targets, doubles and lone initial RAM disks are refused", () => {
  expect(complaint("run", "--debug-exit", "0x10000")).toContain("expected an I/O port from 0 to 0xffff");
  expect(complaint("run", "--debug-exit", "")).toBe("--debug-exit needs a value: --debug-exit PORT");
  expect(complaint("run", "--serial", "tcp:1")).toBe("--serial tcp:1: expected stdio or file:PATH");
  expect(complaint("run", "--stats", "--stats")).toBe("--stats is given twice");
  expect(complaint("run", "--stats=1")).toBe("--stats takes no value");
  expect(complaint("run", "--initrd", "x")).toContain("--initrd needs --kernel");
});
