import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { VmError } from "../../../layout/vm-error.ts";
import { CopyCount } from "../../copy-count.ts";
import { folderSize, nameOfCopy, packFolder } from "./pack-folder.ts";
import { unpackTarget } from "./unpack-target.ts";

const hasTar = spawnSync("tar", ["--version"]).stdout?.toString().includes("GNU tar") ?? false;
const tarTest = test.skipIf(!hasTar);

let base: string;
let source: string;
let count: CopyCount;

beforeEach(() => {
  base = fs.mkdtempSync(path.join(tmpdir(), "ringfence-packing-"));
  source = path.join(base, "source");
  fs.mkdirSync(source);
  count = new CopyCount();
});

afterEach(() => {
  fs.rmSync(base, { recursive: true, force: true });
});

function pack(withFolder = true, pieceBytes = 1000): AsyncGenerator<Uint8Array> {
  return packFolder(source, { count, withFolder, pieceBytes });
}

async function packed(withFolder = true): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of pack(withFolder)) pieces.push(piece);
  return Buffer.concat(pieces);
}

function listed(archive: Buffer): string[] {
  const options = ["-tv", "--numeric-owner", "--utc", "--quoting-style=escape"];
  const { stdout, stderr } = spawnSync("tar", options, { input: archive, encoding: "utf8" });
  expect(stderr).toBe("");
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => line.replace(/ +/g, " "));
}

function sample(): void {
  fs.writeFileSync(path.join(source, "b"), "b".repeat(513), { mode: 0o640 });
  fs.chmodSync(path.join(source, "b"), 0o4640);
  fs.writeFileSync(path.join(source, "a"), "");
  fs.linkSync(path.join(source, "b"), path.join(source, "c"));
  fs.mkdirSync(path.join(source, "d"));
  fs.symlinkSync("/etc", path.join(source, "d", "etc"));
  for (const name of ["a", "b", "d", ""]) fs.utimesSync(path.join(source, name), 86400, 86400);
  fs.lutimesSync(path.join(source, "d", "etc"), 86400, 86400);
  for (const [name, mode] of [
    ["a", 0o600],
    ["d", 0o2750],
    ["", 0o1777],
  ] as const)
    fs.chmodSync(path.join(source, name), mode);
}

tarTest("all belongs to root, links are not followed, and set-user-ID does not come along", async () => {
  sample();
  expect(listed(await packed())).toEqual([
    "drwxrwxrwt 0/0 0 1970-01-02 00:00 ./",
    "-rw------- 0/0 0 1970-01-02 00:00 ./a",
    "-rw-r----- 0/0 513 1970-01-02 00:00 ./b",
    "-rw-r----- 0/0 513 1970-01-02 00:00 ./c",
    "drwxr-x--- 0/0 0 1970-01-02 00:00 ./d/",
    "lrwxrwxrwx 0/0 0 1970-01-02 00:00 ./d/etc -> /etc",
    "drwxr-x--- 0/0 0 1970-01-02 00:00 ./d/",
    "drwxrwxrwt 0/0 0 1970-01-02 00:00 ./",
  ]);
  expect(count).toMatchObject({ files: 4, bytes: 1026, leftOut: 0 });
  expect(await folderSize(source)).toBe(1026);
});

tarTest("of contents alone the folder itself is no member", async () => {
  fs.writeFileSync(path.join(source, "a"), "");
  expect(listed(await packed(false)).map((line) => line.split(" ").at(-1))).toEqual(["./a"]);
});

tarTest("pipes are left out by name, and do not keep us waiting", async () => {
  fs.mkdirSync(path.join(source, "d"));
  spawnSync("mkfifo", [path.join(source, "d", "pipe")]);
  const names = listed(await packed()).map((line) => line.split(" ").at(-1));
  expect(names).toEqual(["./", "./d/", "./d/", "./"]);
  expect([count.leftOut, count.leftOutNames]).toEqual([1, ["d/pipe"]]);
});

tarTest("long names and names that are no UTF-8 stay the bytes that they are", async () => {
  const odd = Buffer.from([0x62, 0xff, 0xe4, 0x64]);
  const deep = path.join(source, "x".repeat(200));
  fs.mkdirSync(deep);
  fs.writeFileSync(Buffer.concat([Buffer.from(`${deep}/`), odd]), "odd");
  const archive = await packed();
  expect(listed(archive)[2]).toContain(`./${"x".repeat(200)}/b\\377\\344d`);
  const { unpacker, close } = unpackTarget("/guest", path.join(base, "copy"));
  unpacker.write(archive);
  unpacker.end();
  close();
  const [copied] = fs.readdirSync(path.join(base, "copy", "x".repeat(200)), { encoding: "buffer" });
  expect(copied?.equals(odd)).toBe(true);
});

async function failureAfterFirstPiece(change: () => void): Promise<unknown> {
  fs.writeFileSync(path.join(source, "log"), "x".repeat(10_000));
  const pieces = pack();
  await pieces.next();
  change();
  try {
    for await (const _ of pieces);
  } catch (error) {
    return error instanceof VmError ? error.detail : error;
  }
  return "packed";
}

test("a file that changes while it is read is an error", async () => {
  const log = path.join(source, "log");
  const expected = { code: "file-unreadable", path: log, reason: "it changed while it was read" };
  expect(await failureAfterFirstPiece(() => fs.truncateSync(log, 3000))).toEqual(expected);
  expect(await failureAfterFirstPiece(() => fs.appendFileSync(log, "more"))).toEqual(expected);
  const rewrite = () => {
    fs.writeFileSync(log, "y".repeat(10_000));
    fs.utimesSync(log, 1, 1);
  };
  expect(await failureAfterFirstPiece(rewrite)).toEqual(expected);
  expect(await failureAfterFirstPiece(() => {})).toBe("packed");
});

test("a large file comes in pieces, and none is kept", async () => {
  fs.writeFileSync(path.join(source, "large"), Buffer.alloc(5 << 20, 1));
  let largest = 0;
  for await (const piece of pack(true, 1 << 20)) largest = Math.max(largest, piece.length);
  expect(largest).toBeLessThan((2 << 20) + 4096);
});

test.each([
  ["/a/folder", "folder"],
  ["/a/folder/", "folder"],
  ["/a/folder/.", undefined],
  ["/a/folder/./", undefined],
  [".", undefined],
  ["/", undefined],
  ["/a/..hidden", "..hidden"],
  ["/a/b/..", "a"],
])("the copy of %s is called %s", (folder, name) => {
  expect(nameOfCopy(folder)).toBe(name);
});

test.each([
  ["/guest/tree", "there", "there/tree"],
  ["/guest/tree/", "there/", "there/tree"],
  ["/guest/tree/.", "there", "there"],
  ["/", "there", "there"],
  ["/guest/tree", "absent", "absent"],
  ["/guest/tree/.", "absent/", "absent"],
  ["/guest/tree", "there/absent", "there/absent"],
  ["/guest/tree", "link", "link/tree"],
])("%s that is copied to %s becomes %s", (guestPath, hostPath, target) => {
  fs.mkdirSync(path.join(base, "there"));
  fs.symlinkSync("there", path.join(base, "link"));
  const opened = unpackTarget(guestPath, `${base}/${hostPath}`);
  opened.close();
  expect(path.normalize(`${opened.target}/`)).toBe(`${path.join(base, target)}/`);
});

test.each([
  ["file", "a folder cannot take the place of a file"],
  ["dangling", "a folder cannot take the place of a file"],
  ["absent/further", "there is no folder"],
])("a folder that is copied to %s is refused: %s", (hostPath, reason) => {
  fs.writeFileSync(path.join(base, "file"), "");
  fs.symlinkSync("nowhere", path.join(base, "dangling"));
  expect(() => unpackTarget("/guest/tree", path.join(base, hostPath))).toThrow(reason);
});
