import { expect, test } from "vitest";
import { type Command, parseCommandLine, type RunOptions } from "../../src/cli/command-line.ts";
import { optionLines } from "../../src/cli/option-lines.ts";
import { COMMANDS } from "../../src/cli/options.ts";
import { checkDetachable } from "../../src/cli/program-options.ts";
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
    image: undefined,
    name: undefined,
    detach: false,
    json: false,
    kernelPath: undefined,
    initrdPath: undefined,
    append: undefined,
    memoryBytes: 0x2000_0000,
    engine: "auto",
    features: parseCpuModel("default"),
    learn: false,
    deterministic: false,
    debugExitPort: undefined,
    noReboot: false,
    serial: { to: "stdio" },
    stats: false,
    statsPath: undefined,
    trace: [],
    disks: [],
    rng: false,
    balloon: false,
    networks: [
      {
        kind: "user",
        mac: undefined,
        bytesPerSecond: undefined,
        allow: [],
        deny: [],
        nameServers: [],
        ipv6: true,
      },
    ],
    forwards: [],
    capturePath: undefined,
    vsock: [],
    shares: [],
  });
});

test("every option of run is read, with its value behind it or behind an equals sign", () => {
  const argv =
    "-d --name box --kernel k --initrd=i --append=a=b --memory 1.5G --engine interpreter --deterministic";
  const more =
    "--cpu v2,+avx2 --network none --capture c --rng --balloon --disk d,,1,format=qcow2,readonly,serial=x --debug-exit 0xf4 --no-reboot --serial file:out.txt --stats --stats-file s.json --trace ports,faults";
  const vsock = ["--vsock", "5000:/run/a:b", "--vsock=in.sock:22"];
  const shares = ["--share", "/a,,b/c", "--share", "d e,tag=x.y,protocol=9p,readonly,owner=1000:100,xattrs"];
  expect(parseRun(...argv.split(" "), ...more.split(" "), ...shares, ...vsock)).toEqual({
    image: undefined,
    name: "box",
    detach: true,
    json: false,
    kernelPath: "k",
    initrdPath: "i",
    append: "a=b",
    memoryBytes: 0x6000_0000,
    engine: "interpreter",
    features: parseCpuModel("x86-64-v2,+avx2"),
    learn: false,
    deterministic: true,
    debugExitPort: 0xf4,
    noReboot: true,
    serial: { to: "file", path: "out.txt" },
    stats: true,
    statsPath: "s.json",
    trace: ["ports", "faults"],
    disks: [{ path: "d,1", format: "qcow2", readOnly: true, snapshot: false, serial: "x" }],
    rng: true,
    balloon: true,
    networks: [],
    forwards: [],
    capturePath: "c",
    vsock: [
      { from: "guest", port: 5000, path: "/run/a:b" },
      { from: "host", path: "in.sock", port: 22 },
    ],
    shares: [
      {
        path: "/a,b/c",
        tag: "c",
        protocol: "virtiofs",
        readOnly: false,
        xattrs: false,
        owner: undefined,
      },
      {
        path: "d e",
        tag: "x.y",
        protocol: "9p",
        readOnly: true,
        xattrs: true,
        owner: { owner: 1000, group: 100 },
      },
    ],
  });
});

test("stats takes files, and where to draw them", () => {
  expect(parseCommandLine(["stats", "a.json", "b.json", "--plot=c.svg"])).toEqual({
    command: "stats",
    options: { files: ["a.json", "b.json"], plotPath: "c.svg", json: false },
  });
  expect(parseCommandLine(["stats", "a.json"])).toMatchObject({ options: { plotPath: undefined } });
  expect(complaint("stats", "a", "--json", "--plot", "b")).toContain("--json and --plot");
  expect(complaint("stats")).toBe("stats needs a file that `ringfence run --stats-file FILE` wrote");
  expect(complaint("stats", "a.json", "--plott", "c.svg")).toContain("did you mean --plot?");
});

test("a value may begin with a dash, but the next option is not a value", () => {
  expect(parseRun("--append", "-s single").append).toBe("-s single");
  expect(complaint("run", "--kernel", "--initrd", "x")).toBe("--kernel needs a value: --kernel FILE");
  expect(complaint("run", "--memory")).toBe("--memory needs a value: --memory SIZE");
});

test.each([
  [["a,tag=b/c"], "--share a,tag=b/c: tag is 1 to 36 letters, digits and any of . _ -"],
  [[`a,tag=${"x".repeat(37)}`], "tag is 1 to 36 letters"],
  [["a,tag=.."], "tag is 1 to 36 letters"],
  [["a,protocol=nfs"], "protocol is one of virtiofs, 9p"],
  [["a,owner=root"], "owner is the guest's UID:GID, such as 1000:1000"],
  [["a,read-only"], "unknown option read-only; did you mean readonly?"],
  [[",readonly"], "no folder is named"],
  [["a/x", "b/x"], "--share b/x: the tag x is taken; give another with tag=NAME"],
  [["a,protocol=9p"], "the default guest's kernel has no 9p"],
])("--share %j is refused", (values, message) => {
  expect(complaint("run", ...values.flatMap((value) => ["--share", value]))).toContain(message);
});

test("9p is for any guest but the default one", () => {
  for (const guest of [["debian"], ["--kernel", "vmlinuz"], ["--restore", "a.snapshot"]])
    expect(parseRun(...guest, "--share", "a,protocol=9p").shares[0]?.protocol).toBe("9p");
});

test("a shared folder's own name is its tag, where it can be one", () => {
  const tags = parseRun("--share", "a/project", "--share", "/").shares.map(({ tag }) => tag);
  expect(tags).toEqual(["project", "share"]);
});

test("help and version are found in front of a command and behind it", () => {
  expect(parseCommandLine(["--version"])).toEqual({ command: "version" });
  expect(parseCommandLine(["--help"])).toEqual({ command: "help", topic: "general", asked: true });
  expect(parseCommandLine(["help", "run"])).toEqual({ command: "help", topic: "run", asked: true });
  expect(parseCommandLine(["run", "--help"])).toEqual({ command: "help", topic: "run", asked: true });
  for (const { name } of COMMANDS.filter((command) => command.name !== "help")) {
    expect(parseCommandLine(["help", name])).toEqual({ command: "help", topic: name, asked: true });
    expect(parseCommandLine([name, "--help"])).toEqual({ command: "help", topic: name, asked: true });
    expect(parseCommandLine([name, "-h"])).toEqual({ command: "help", topic: name, asked: true });
  }
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
  expect(complaint("frobnicate")).toMatch(/^unknown command frobnicate; known: run, pull, .*, help$/);
});

test("run takes the name of an image, what becomes of its changes, and which options were given", () => {
  expect(parseRun("debian", "--memory", "1G").image).toEqual({
    name: "debian",
    changes: "keep",
    program: {
      command: [],
      entryPoint: undefined,
      environment: new Map(),
      user: undefined,
      workingFolder: undefined,
    },
    given: new Set(["memory"]),
  });
  expect(parseRun("--ephemeral", "debian").image?.changes).toBe("ephemeral");
  expect(parseRun("debian", "--reset").image?.changes).toBe("reset");
  expect(complaint("run", "--reset")).toBe("--reset needs the name of an image");
  expect(complaint("run", "x", "--reset", "--ephemeral")).toBe("--reset and --ephemeral exclude each other");
  expect(complaint("run", "x", "--restore", "y")).toContain("--restore with an image needs --ephemeral");
  expect(parseRun("x", "--restore", "y", "--ephemeral").restorePath).toBe("y");
});

test.each([
  ["ls", "ls"],
  ["--memory 1G ls -l --memory 2G --detach", "ls -l --memory 2G --detach"],
  ["--memory=1G -- --memory 2G", "--memory 2G"],
  ["-- -l", "-l"],
  ["ls -- -l", "ls -- -l"],
  ["-- -- ls", "-- ls"],
  ["- --no-such-option", "- --no-such-option"],
])("what follows on an image from its first word or -- on is its command: %s", (typed, command) => {
  const { image, memoryBytes, detach } = parseRun("-d", "alpine", ...typed.split(" "));
  expect(image?.name).toBe("alpine");
  expect(image?.program.command).toEqual(command.split(" "));
  expect(memoryBytes).toBe(typed.startsWith("--memory") ? 2 ** 30 : 2 ** 29);
  expect(detach).toBe(true);
});

test("a command is taken word by word, and empty ones too", () => {
  const words = ["", " ", "a 'b'", "$HOME", "\n"];
  expect(parseRun("alpine", ...words).image?.program.command).toEqual(words);
  expect(parseRun("alpine", "--").image?.program.command).toEqual([]);
});

test("a command needs the image's own start, and its options may need --", () => {
  expect(complaint("run", "x", "--restore", "y", "--ephemeral", "ls")).toBe(
    "--restore takes no command (ls): what the snapshot has runs already",
  );
  expect(complaint("run", "--kernel", "y", "x", "ls")).toContain("--kernel takes no command (ls)");
  expect(complaint("run", "x", "--initrd", "y", "ls")).toContain("--initrd takes no command (ls)");
  for (const argv of [["run"], ["run", "--memory", "1G"], ["exec"]])
    expect(complaint(...argv, "--", "x", "ls")).toBe(
      "-- begins a command for a guest, whose name stands before it",
    );
  expect(complaint("run", "x", "--ephemerol")).toBe(
    "unknown option --ephemerol; did you mean --ephemeral? (behind -- it is the guest's own)",
  );
});

test("a container's program has docker's options, before the image and behind it", () => {
  const program = {
    command: ["-c", "--env", "D=4"],
    entryPoint: "/bin/sh",
    environment: new Map([
      ["A", "1=2"],
      ["B", ""],
      ["C", "a b"],
    ]),
    user: "app:33",
    workingFolder: "/srv/a b",
  };
  const before = ["-e", "A=1=2", "--env=B=", "--env", "C=a b", "-u", "app:33", "-w", "/srv/a b"];
  const command = ["--", "-c", "--env", "D=4"];
  const options = [...before, "--entrypoint", "/bin/sh"];
  expect(parseRun(...options, "alpine", ...command).image?.program).toEqual(program);
  expect(parseRun("alpine", ...options, ...command).image?.program).toEqual(program);
  const long = ["--user=app:33", "--workdir=/srv/a b", "--entrypoint=/bin/sh", ...before.slice(0, 5)];
  expect(parseRun("alpine", ...long, ...command).image?.program).toEqual(program);
});

test("an entry point may be empty, where a command is given", () => {
  expect(parseRun("x", "--entrypoint", "", "ls").image?.program).toMatchObject({
    entryPoint: "",
    command: ["ls"],
  });
  expect(parseRun("--entrypoint=", "x", "ls").image?.program.entryPoint).toBe("");
  expect(complaint("run", "x", "--entrypoint", "")).toBe(
    '--entrypoint "" takes the image\'s command away too; give a COMMAND behind the image',
  );
});

test.each([
  [["x", "--env", "=1"], "--env =1: expected NAME=VALUE, or the NAME of a variable of this process"],
  [["x", "--env", ""], "--env needs a value"],
  [["x", "--user", "a:b:c"], "--user a:b:c: expected USER or USER:GROUP"],
  [["x", "--user", ":0"], "--user :0: expected USER or USER:GROUP"],
  [["x", "-u", "0", "--user", "1"], "--user is given twice"],
  [["x", "--workdir", "srv"], "--workdir srv: expected a path from the guest's root, such as /srv"],
  [["--env", "A=1"], "--env needs an imported container image: ringfence run IMAGE --env NAME[=VALUE]"],
  [["--kernel", "y", "-u", "0"], "--user needs an imported container image"],
  [["x", "--kernel", "y", "--env", "A=1"], "--kernel takes no --env: the image's own initrd"],
  [["x", "--initrd", "y", "--workdir", "/"], "--initrd takes no --workdir"],
  [["x", "--ephemeral", "--restore", "y", "--entrypoint", "z"], "--restore takes no --entrypoint: what the"],
])("run %j is refused: %s", (argv, expected) => {
  expect(complaint("run", ...argv)).toContain(expected);
});

test.each([
  ["-e", "A=\udcff"],
  ["-w", "/\udcff"],
  ["--entrypoint", "\udcff"],
  ["-u", "\udcff"],
  ["--", "\udcff"],
])("a machine in the background takes no words but text: %s", (...words) => {
  const program = (...argv: string[]) => parseRun("-d", "x", ...argv).image!.program;
  expect(() => checkDetachable(program(...words))).toThrow(
    "--detach takes words and variables in UTF-8 only",
  );
  checkDetachable(program("-e", "A=é😀\ufffd", "-w", "/é", "ls"));
});

test("pull takes a release, a mirror and packages, and refuses what cannot be meant", () => {
  const words =
    "pull debian --suite trixie --mirror http://mirror.example/debian --include gcc,make --include vim";
  expect(parseCommandLine([...words.split(" "), "--size", "4G", "--name", "dev"])).toEqual({
    command: "image",
    options: {
      action: "pull",
      name: "dev",
      suite: "trixie",
      mirror: "http://mirror.example/debian",
      include: ["gcc", "make", "vim"],
      kernel: "linux-image-cloud-amd64",
      diskBytes: 4 * 2 ** 30,
      memoryBytes: 2 ** 30,
      json: false,
    },
  });
  expect(complaint("pull")).toBe("usage: ringfence pull debian");
  expect(complaint("pull", "fedora")).toBe("pull fedora: only debian can be pulled");
  expect(complaint("pull", "debian", "--mirror", "http://a b")).toContain("expected an address");
  expect(complaint("pull", "debian", "--include", "gcc;reboot")).toContain("not the name of a package");
  expect(complaint("pull", "debian", "--kernel", "vmlinuz")).toContain("such as linux-image-amd64");
  expect(complaint("pull", "debian", "--size", "100M")).toContain("at least 1G");
  expect(complaint("rm")).toBe("usage: ringfence rm NAME...");
});

test("learning is for the engine that keeps what it learns", () => {
  expect(parseRun("--learn", "--engine", "auto").learn).toBe(true);
  expect(complaint("run", "--learn", "--engine", "interpreter")).toContain("--learn needs --engine auto");
});

test("JSON is for what ends, or for a machine in the background", () => {
  expect(parseRun("--detach", "--json").json).toBe(true);
  expect(complaint("run", "--json")).toContain("--json needs --detach");
});

test("help gives options with their letters, and what is long a line of its own", () => {
  const options = [
    { name: "follow", short: "f", help: "go on" },
    { name: "format", value: "FORMAT", choices: ["raw", "qcow2"], help: "of the image" },
    { name: "forward", value: "tcp|udp:[ADDR:]PORT:PORT", help: `lead ${"a port ".repeat(12)}away` },
    { name: "help", help: "this text" },
  ];
  expect(optionLines(options)).toEqual([
    "  -f, --follow            go on",
    "      --format FORMAT     of the image; one of raw, qcow2",
    "      --forward tcp|udp:[ADDR:]PORT:PORT",
    "                          lead a port a port a port a port a port a port a port a port a port a port",
    "                          a port a port away",
    "  -h, --help              this text",
  ]);
});

test("a stray argument is answered with the option it may have meant", () => {
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

test("--disk may be given several times, and its options are checked", () => {
  expect(parseRun("--disk", "a", "--disk=b,snapshot").disks).toEqual([
    { path: "a", format: undefined, readOnly: false, snapshot: false, serial: undefined },
    { path: "b", format: undefined, readOnly: false, snapshot: true, serial: undefined },
  ]);
  expect(() => parseRun("--disk", ",readonly")).toThrow("no file is named");
  expect(() => parseRun("--disk", "a,format=vmdk")).toThrow("format is one of raw, qcow2");
  expect(() => parseRun("--disk", "a,readnoly")).toThrow("did you mean readonly?");
  expect(() => parseRun("--disk", "a,readonly,snapshot")).toThrow("exclude each other");
  expect(() => parseRun("--disk", "a,serial=123456789012345678901")).toThrow("1 to 20 ASCII characters");
});

test.each(["5000", "a:b", "4294967295:/run/a"])("--vsock %s is refused", (text) => {
  expect(() => parseRun("--vsock", text)).toThrow(/^--vsock /);
});
