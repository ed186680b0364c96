import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { parseCommandLine, type RunOptions } from "../../src/cli/command-line.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "ringfence-config-"));
const file = path.join(folder, "machine.toml");
afterAll(() => rmSync(folder, { recursive: true }));

function parse(config: string, ...more: string[]): RunOptions {
  writeFileSync(file, config);
  const command = parseCommandLine(["run", "--config", file, ...more]);
  if (command.command !== "run") throw new Error(`parsed as ${command.command}`);
  return command.options;
}

const EXAMPLE = `
# A server
name = "server"
memory = "1G"
rng = true
stats = false
disk = ["root.qcow2", "data.raw,readonly"]
forward = "tcp:8080:80"
append = "console=ttyS0 quiet"
kernel = "vmlinuz"
`;

test("a file has the options of the command line, by the same names", () => {
  const options = parse(EXAMPLE);
  expect(options).toMatchObject({
    name: "server",
    memoryBytes: 1 << 30,
    rng: true,
    stats: false,
    append: "console=ttyS0 quiet",
    kernelPath: "vmlinuz",
  });
  expect(options.disks.map((disk) => [disk.path, disk.readOnly])).toEqual([
    ["root.qcow2", false],
    ["data.raw", true],
  ]);
  expect(options.forwards).toHaveLength(1);
});

test("a file names the image too, unless the command line does", () => {
  expect(parse('image = "debian"').image?.name).toBe("debian");
  expect(parse('image = "debian"', "other").image?.name).toBe("other");
  const { image, memoryBytes } = parse('image = "debian"\nmemory = "1G"', "other", "ls", "--memory", "2G");
  expect(image).toMatchObject({ name: "other", program: { command: ["ls", "--memory", "2G"] } });
  expect(memoryBytes).toBe(2 ** 30);
});

test("a file says how a container's program runs, and the command line changes that", () => {
  const config = `
image = "app"
env = ["A=1", "B=x y"]
user = 1000
workdir = "/srv"
entrypoint = ""
`;
  expect(parse(config, "other", "ls").image?.program).toEqual({
    command: ["ls"],
    entryPoint: "",
    environment: new Map([
      ["A", "1"],
      ["B", "x y"],
    ]),
    user: "1000",
    workingFolder: "/srv",
  });
  const typed = ["--env", "C=2", "-u", "root", "-w", "/tmp", "--entrypoint", "/bin/sh"];
  expect(parse(config, ...typed).image?.program).toEqual({
    command: [],
    entryPoint: "/bin/sh",
    environment: new Map([["C", "2"]]),
    user: "root",
    workingFolder: "/tmp",
  });
});

test("the command line has precedence, and replaces a list whole", () => {
  const options = parse(EXAMPLE, "--memory", "64M", "--disk", "other.raw", "--name=mine");
  expect([options.memoryBytes, options.name]).toEqual([64 << 20, "mine"]);
  expect(options.disks.map((disk) => disk.path)).toEqual(["other.raw"]);
});

test.each([
  ['kernal = "x"', "unknown key kernal; did you mean kernel?"],
  ["rng = 1", "rng: expected true or false"],
  ["memory = true", "memory: expected SIZE as text"],
  ['kernel = ["a", "b"]', "kernel: expected FILE as text"],
  ["disk = [3.5, true]", "disk: expected FILE[,OPTION]... as text, or a list of such"],
  ["kernel = 1979-05-27", "kernel: expected FILE as text"],
  ['[run]\nkernel = "x"', "unknown key run"],
  ['config = "x"', "unknown key config"],
  ['engine = "fast"', "unknown value for --engine: fast"],
  ['memory = "1T"', "--memory 1T"],
  ['memory = "1G', ":1:"],
  ['image = "x"\nuser = ""', "user: expected USER[:GROUP] as text"],
  ['image = "x"\nentrypoint = ""', '--entrypoint "" takes the image\'s command away too'],
  ['image = "x"\nentrypoint = "a\\u0000"', "--entrypoint: a program has no zero byte in its name"],
  ['image = "x"\nenv = "A=\\u0000"', "expected NAME=VALUE"],
  ['image = "x"\nworkdir = "/\\u0000"', "expected a path from the guest's root"],
  ['image = "x"\nuser = "a\\u0000"', "expected USER or USER:GROUP"],
])("%s is refused: %s", (config, complaint) => {
  expect(() => parse(config)).toThrow(complaint);
});

test("a file that is not there is named", () => {
  expect(() => parseCommandLine(["run", "--config", "/nowhere.toml"])).toThrow("/nowhere.toml: no such file");
});
