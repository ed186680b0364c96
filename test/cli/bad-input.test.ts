import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";

const BIN = path.resolve(import.meta.dirname, "../../bin/ringfence");
const folder = mkdtempSync(path.join(os.tmpdir(), "ringfence-cli-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

function ringfence(parameters: string[], environment: NodeJS.ProcessEnv = process.env): Outcome {
  const options = { cwd: folder, encoding: "utf8", env: environment, input: "" } as const;
  const { status, stdout, stderr } = spawnSync(BIN, parameters, options);
  return { status, stdout, stderr };
}

test("--version prints one line, and --help the commands", () => {
  expect(ringfence(["--version"])).toEqual({
    status: 0,
    stdout: expect.stringMatching(/^ringfence \d+\.\d+\.\d+\n$/),
    stderr: "",
  });
  expect(ringfence(["--help"])).toEqual({ status: 0, stdout: expect.stringContaining("run"), stderr: "" });
  expect(ringfence(["run", "--help"]).stdout).toContain("--debug-exit PORT");
});

test("no command prints help on standard error and fails", () => {
  expect(ringfence([])).toEqual({
    status: 2,
    stdout: "",
    stderr: expect.stringContaining("usage: ringfence"),
  });
});

test("the program runs through a symbolic link, from another folder", () => {
  const link = path.join(folder, "link");
  symlinkSync(BIN, link);
  const { status, stdout } = spawnSync(link, ["--version"], { cwd: "/", encoding: "utf8" });
  expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringContaining("ringfence ") });
});

test.each([
  [["rnu"], "ringfence: unknown command rnu; did you mean run?\n"],
  [["run", "--kernal", "x"], "ringfence: unknown option --kernal; did you mean --kernel?\n"],
  [["run", "--memory", "8M"], "ringfence: --memory 8M: a guest can have from 32M to 3G\n"],
  [["run", "--memory", "99999G"], "ringfence: --memory 99999G: a guest can have from 32M to 3G\n"],
  [["run", "--kernel", "absent"], "ringfence: absent: no such file; check the path after --kernel\n"],
  [
    ["run", "--kernel", BIN, "--initrd", "absent"],
    "ringfence: absent: no such file; check the path after --initrd\n",
  ],
  [["run", "--share", "absent"], "ringfence: --share absent: there is no such folder; check the path\n"],
  [
    ["run", "--share", BIN, "--network", "none"],
    `ringfence: --share ${BIN}: it is not a folder; name the folder that holds it\n`,
  ],
  [
    ["run", "--stats-file", "no/such/file"],
    "ringfence: no/such/file: cannot be written: no such file or folder\n",
  ],
  [
    ["run", "--snapshot", "no/such/file"],
    "ringfence: no/such/file: cannot be written: no such file or folder\n",
  ],
  [
    ["run", "--capture", "no/such/file"],
    "ringfence: no/such/file: cannot be written: no such file or folder\n",
  ],
])("%j is answered with one line and status 2", (parameters, line) => {
  expect(ringfence(parameters)).toEqual({ status: 2, stdout: "", stderr: line });
});

test("a folder or an empty file in place of a kernel is named with what is wrong", () => {
  mkdirSync(path.join(folder, "a-folder"));
  writeFileSync(path.join(folder, "empty"), "");
  expect(ringfence(["run", "--kernel", "a-folder"]).stderr).toBe(
    "ringfence: a-folder: cannot be read: it is a folder; check the path after --kernel\n",
  );
  expect(ringfence(["run", "--kernel", "empty"]).stderr).toBe(
    "ringfence: empty: cannot be read: it is empty; check the path after --kernel\n",
  );
});

test("a serial file that cannot be made is named, before the guest starts", () => {
  const { status, stderr } = ringfence(["run", "--kernel", BIN, "--serial", "file:no/such/folder"]);
  expect({ status, stderr }).toEqual({
    status: 2,
    stderr: "ringfence: no/such/folder: cannot be written: no such file or folder\n",
  });
});

test("without a package client, the default guest's error says what to pass instead", () => {
  // A PATH on which there is a shell's bare minimum, but no apt-get.
  const programs = path.join(folder, "programs");
  mkdirSync(programs);
  for (const name of ["sh", "dirname", "readlink"])
    symlinkSync(`/usr/bin/${name}`, path.join(programs, name));
  const { status, stdout, stderr } = ringfence(["run"], { PATH: programs, HOME: folder });
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toBe(
    "ringfence: apt-cache is not on this machine; the default guest needs Debian's apt-get and dpkg-deb; " +
      "elsewhere pass --kernel FILE and --initrd FILE\n",
  );
});

test("a Node.js that is too old is refused in one line when the pinned one is missing", () => {
  const copy = path.join(folder, "copy");
  mkdirSync(path.join(copy, "bin"), { recursive: true });
  const root = path.dirname(path.dirname(BIN));
  symlinkSync(path.join(root, "tools"), path.join(copy, "tools"));
  const script = path.join(copy, "bin", "ringfence");
  writeFileSync(script, spawnSync("cat", [BIN]).stdout);
  const programs = path.join(folder, "old");
  mkdirSync(programs);
  writeFileSync(path.join(programs, "node"), "#!/bin/sh\necho v20.20.2\n");
  chmodSync(path.join(programs, "node"), 0o755);
  const environment = { PATH: `${programs}:/usr/bin:/bin` };
  const { status, stderr } = spawnSync("sh", [script, "--version"], { encoding: "utf8", env: environment });
  expect({ status, lines: stderr.split("\n").length }).toEqual({ status: 8, lines: 2 });
  expect(stderr).toContain("Node.js 24 or newer is needed");
  expect(stderr).toContain("v20.20.2");
});
