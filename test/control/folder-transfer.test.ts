import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  checkHasTar,
  lookAtPath,
  type RunInGuest,
  receiveFolder,
  sendFolder,
} from "../../src/control/folder-transfer.ts";
import { runPiped } from "../../src/control/piped-command.ts";
import { runStreamed } from "../../src/control/streamed-command.ts";
import { localControl } from "./local-shell.ts";

const hasTar = spawnSync("tar", ["--version"]).stdout?.toString().includes("GNU tar") ?? false;
const tarTest = test.skipIf(!hasTar);
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "folder transfer's "));
  mkdirSync(path.join(folder, "in"));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** This host in the place of a guest. */
const run: RunInGuest = (script, { piped, ...command }) =>
  piped ? runPiped(localControl, script, command) : runStreamed(localControl, script, command);

test("a path is a folder, something else, nothing yet, or nowhere", async () => {
  writeFileSync(path.join(folder, "file"), "");
  symlinkSync("in", path.join(folder, "link"));
  symlinkSync("nowhere", path.join(folder, "dangling"));
  const kinds: Record<string, string> = {};
  for (const name of ["in", "in/", "link", "file", "dangling", "new", "new/", "new/further"])
    kinds[name] = await lookAtPath(run, `${folder}/${name}`);
  expect(kinds).toEqual({
    ...{ in: "folder", "in/": "folder", link: "folder", file: "file", dangling: "file" },
    ...{ new: "absent", "new/": "absent", "new/further": "nowhere" },
  });
  expect([await lookAtPath(run, "/"), await lookAtPath(run, "no-such-name")]).toEqual(["folder", "absent"]);
});

test("a guest without tar is told of, with what to do", async () => {
  const bare: RunInGuest = (script, command) => run(`PATH=/nonexistent\n${script}`, command);
  await expect(checkHasTar(bare, "/tree")).rejects.toThrow(
    "/tree in the guest: a folder is copied by the guest's tar",
  );
});

tarTest("sockets are named, and are no failure", async () => {
  const server = createServer().listen(path.join(folder, "in", "socket"));
  await new Promise((resolve) => server.on("listening", resolve));
  let archive = Buffer.alloc(0);
  try {
    const names = await receiveFolder(run, path.join(folder, "in"), (bytes) => {
      archive = Buffer.concat([archive, bytes]);
    });
    expect(names).toEqual(["socket"]);
  } finally {
    server.close();
  }
  expect(spawnSync("tar", ["-t"], { input: archive, encoding: "utf8" }).stdout).toBe("./\n");
});

tarTest("what tar complains of is the error, without what a terminal would obey", async () => {
  const complaining: RunInGuest = (_script, command) =>
    run("printf 'tar: \\033[2J: file changed as we read it\\n' >&2; exit 1", command);
  const received = receiveFolder(complaining, "/tree", () => {});
  await expect(received).rejects.toThrow("/tree in the guest: tar: ?[2J: file changed as we read it");
});

tarTest("what cannot be taken ends the archiver, and is the error", async () => {
  writeFileSync(path.join(folder, "in", "file"), Buffer.alloc(3 << 20));
  const received = receiveFolder(run, path.join(folder, "in"), () => {
    throw new Error("the disk is full");
  });
  await expect(received).rejects.toThrow("the disk is full");
});

tarTest("an archive goes into a folder, which is made where it is not there", async () => {
  writeFileSync(path.join(folder, "in", "file"), "here");
  const archive = spawnSync("tar", ["-c", "-C", path.join(folder, "in"), "."]).stdout;
  async function* pieces() {
    for (let at = 0; at < archive.length; at += 4000) yield archive.subarray(at, at + 4000);
  }
  await sendFolder(run, pieces(), path.join(folder, "out"));
  expect(readFileSync(path.join(folder, "out", "file"), "utf8")).toBe("here");
  await expect(sendFolder(run, pieces(), path.join(folder, "no", "where"))).rejects.toThrow(
    /mkdir: .*No such file/,
  );
});

tarTest("when the pieces fail, the archiver does not take them for all", async () => {
  let isReleased = false;
  async function* pieces() {
    try {
      yield new Uint8Array(10240);
      throw new Error("it changed while it was read");
    } finally {
      isReleased = true;
    }
  }
  await expect(sendFolder(run, pieces(), path.join(folder, "out"))).rejects.toThrow("it changed while");
  expect(isReleased).toBe(true);
  expect(statSync(path.join(folder, "out")).isDirectory()).toBe(true);
});
