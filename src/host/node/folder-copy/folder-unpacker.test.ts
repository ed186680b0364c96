import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BLOCK_BYTES, headerSum, paddingBytes, type TarHeader, tarHeader } from "../../tar/tar-header.ts";
import { NodeSharedFolder } from "../shared-folder/node-shared-folder.ts";
import { FolderUnpacker } from "./folder-unpacker.ts";

const GUEST = "/guest";
const hasTar = spawnSync("tar", ["--version"]).stdout?.toString().includes("GNU tar") ?? false;
/** Of a second folder's name, so that GNU tar can say where a hard link leads. */
const LONGEST: Record<string, number> = { ustar: 30, v7: 30 };
/** For the user who may do everything, permissions keep nobody out. */
const isRoot = process.geteuid?.() === 0;

let base: string;
let inside: string;
let secret: string;
let folder: NodeSharedFolder;

beforeEach(() => {
  base = fs.mkdtempSync(path.join(tmpdir(), "ringfence-unpacking-"));
  inside = path.join(base, "inside");
  secret = path.join(base, "secret");
  fs.mkdirSync(inside);
  fs.writeFileSync(secret, "secret", { mode: 0o600 });
  folder = new NodeSharedFolder(inside);
});

afterEach(() => {
  folder.dispose();
  spawnSync("chmod", ["-R", "u+rwx", base]);
  fs.rmSync(base, { recursive: true, force: true });
});

type Sent = Partial<TarHeader> &
  Pick<TarHeader, "kind"> & { name: string | Buffer; to?: string; text?: string };

/** A member as a guest may send it. */
function member({ name, to, text = "", ...header }: Sent): Buffer {
  const permissions = header.kind === "directory" ? 0o755 : 0o644;
  const target = to === undefined ? undefined : Buffer.from(to);
  const sizeBytes = text.length;
  const block = tarHeader({
    permissions,
    sizeBytes,
    modified: 1e9,
    target,
    ...header,
    path: Buffer.from(name),
  });
  return Buffer.concat([block, Buffer.from(text), new Uint8Array(paddingBytes(sizeBytes))]);
}

const END = new Uint8Array(2 * BLOCK_BYTES);
const top = member({ kind: "directory", name: "./" });
const file = (name: string | Buffer, text = "from the guest", more: Partial<Sent> = {}) =>
  member({ kind: "file", name, text, ...more });
const symlink = (name: string, to: string) => member({ kind: "symlink", name, to });
const hardLink = (name: string, to: string) => member({ kind: "link", name, to });
const directory = (name: string, more: Partial<Sent> = {}) => member({ kind: "directory", name, ...more });

/** An extended header of POSIX' format, with one record. */
function pax(record: string): Buffer {
  let lengthBytes = record.length + 3;
  while (`${lengthBytes} ${record}\n`.length !== lengthBytes) lengthBytes++;
  const header = file("PaxHeader", `${lengthBytes} ${record}\n`);
  return changed(header, 156, "x");
}

/** A member with other bytes in its header, whose sum is right. */
function changed(header: Buffer, at: number, text: string): Buffer {
  header.write(text, at, "latin1");
  const sum = headerSum(header.subarray(0, BLOCK_BYTES));
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}

function unpacker(name?: string): FolderUnpacker {
  return new FolderUnpacker(folder, { name, hostPath: "host", guestPath: GUEST });
}

/** Unpacks in pieces that begin and end anywhere. */
function unpack(members: readonly Uint8Array[], name?: string): FolderUnpacker {
  const target = unpacker(name);
  const archive = Buffer.concat([...members, END]);
  try {
    for (let at = 0; at < archive.length; at += 300) target.write(archive.subarray(at, at + 300));
    target.end();
  } catch (error) {
    target.abandon();
    throw error;
  }
  return target;
}

function reasonOf(members: readonly Uint8Array[], name?: string): string {
  try {
    unpack(members, name);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "nothing was refused";
}

/** All names in a folder and below. Node's own recursive listing follows links. */
function walk(top: string, below = ""): string[] {
  return fs
    .readdirSync(path.join(top, below), { withFileTypes: true })
    .flatMap((entry) => {
      const name = path.join(below, entry.name);
      return entry.isDirectory() ? [name, ...walk(top, name)] : [name];
    })
    .sort();
}

/** What has come, and that nothing else of this host has changed. */
function listInside(): string[] {
  expect(fs.readFileSync(secret, "utf8")).toBe("secret");
  expect(fs.readdirSync(base).sort()).toEqual(["inside", "secret"]);
  return walk(inside);
}

test.each(["../escaped", "a/../../escaped", "./..", "..", "a/.."])("the name %s is refused", (name) => {
  expect(reasonOf([directory("a"), file(name)])).toContain("a name that leads out of the folder");
  expect(reasonOf([directory("b"), directory(name)])).toContain("a name that leads out of the folder");
  expect(listInside().filter((there) => there.length > 1)).toEqual([]);
});

test("an absolute name is refused, and not taken for one in the folder", () => {
  expect(reasonOf([file(path.join(base, "escaped"))])).toContain("a name that leads out of the folder");
  expect(listInside()).toEqual([]);
});

test("a name with a NUL is refused", () => {
  expect(reasonOf([pax("path=a\0b"), file("x")])).toContain("a name that leads out of the folder: a\\u{0}b");
  expect(listInside()).toEqual([]);
});

test("a link stays a link, and nothing is written through it", () => {
  expect(reasonOf([symlink("out", base), file("out/escaped")])).toMatch(
    /host\/out\/escaped: .*out on its way is a symbolic link, which is not followed/,
  );
  expect(listInside()).toEqual(["out"]);
  expect(fs.readlinkSync(path.join(inside, "out"))).toBe(base);
});

test("no folder is made through a link, nor does a folder take a link's attributes for its own", () => {
  expect(reasonOf([symlink("out", base), directory("out/escaped")])).toContain("is not followed");
  expect(reasonOf([symlink("up", ".."), directory("up", { permissions: 0o777 })])).toContain(
    "is not followed",
  );
  expect(listInside()).toEqual(["out", "up"]);
  expect(fs.statSync(base).mode & 0o777).toBe(0o700);
});

test("a folder that becomes a link on the way is not followed either", () => {
  const members = [directory("a"), file("a/first"), symlink("a", base), file("a/secret")];
  expect(reasonOf(members)).toContain("host/a: cannot be written: it is a folder");
  expect(listInside()).toEqual(["a", "a/first"]);
});

test("a file takes the place of a link of its name, and what the link leads to stays as it is", () => {
  unpack([symlink("x", secret), file("x", "new")]);
  expect(listInside()).toEqual(["x"]);
  expect(fs.readFileSync(path.join(inside, "x"), "utf8")).toBe("new");
  expect(fs.lstatSync(path.join(inside, "x")).isFile()).toBe(true);
});

test("what is there already is replaced and not written into: links, and files with other names", () => {
  fs.symlinkSync(secret, path.join(inside, "link"));
  fs.writeFileSync(path.join(inside, "kept"), "old");
  fs.linkSync(path.join(inside, "kept"), path.join(inside, "file"));
  unpack([file("link", "new"), file("file", "new"), symlink("kept", "file")]);
  expect(listInside()).toEqual(["file", "kept", "link"]);
  expect(["file", "kept", "link"].map((name) => fs.readFileSync(path.join(inside, name), "utf8"))).toEqual([
    "new",
    "new",
    "new",
  ]);
});

test("a hard link reaches no file but those in the folder, and none by a symbolic link", () => {
  expect(reasonOf([hardLink("x", "../secret")])).toContain("a name that leads out of the folder");
  expect(reasonOf([hardLink("x", secret)])).toContain("a name that leads out of the folder");
  expect(reasonOf([symlink("out", base), hardLink("x", "out/secret")])).toContain("which is no file that it");
  expect(reasonOf([symlink("s", secret), hardLink("x", "s")])).toContain("which is no file that it has sent");
  expect(reasonOf([directory("d"), hardLink("x", "d")])).toContain("which is no file that it has sent");
  expect(fs.statSync(secret).nlink).toBe(1);
  expect(listInside()).toEqual(["d", "out", "s"]);
});

test("hard links become the same file again, and a link of a file to itself is harmless", () => {
  const { count } = unpack([top, file("./a", "once"), hardLink("./b", "./a"), hardLink("./a", "./b")], "in");
  expect(listInside()).toEqual(["in", "in/a", "in/b"]);
  expect(fs.readFileSync(path.join(inside, "in/b"), "utf8")).toBe("once");
  expect(count).toMatchObject({ files: 2, bytes: 4 });
});

test("a file cannot take a folder's place, nor a folder a file's", () => {
  expect(reasonOf([directory("a"), file("a")])).toContain("host/a: cannot be written: it is a folder");
  expect(reasonOf([file("b"), directory("b")])).toContain(
    "host/b: cannot be written: b on its way is a file",
  );
  expect(reasonOf([file("b"), file("b/c")])).toContain("b on its way is a file");
  expect(reasonOf([directory("c"), symlink("c", base)])).toContain(
    "host/c: cannot be written: it is a folder",
  );
  expect(listInside()).toEqual(["a", "b", "c"]);
});

test("the copy's own name is not followed where it is a link", () => {
  fs.symlinkSync(base, path.join(inside, "in"));
  expect(reasonOf([top, file("./escaped")], "in")).toContain("in on its way is a symbolic link");
  expect(listInside()).toEqual(["in"]);
});

test("a member whose folder has not come is refused", () => {
  expect(reasonOf([file("a/b")])).toContain("its tar sends a/b before its folder");
  expect(reasonOf([top, file("./"), file("x")])).toContain("a file in place of the folder");
});

test("names are escaped in messages, since a terminal would obey them", () => {
  expect(reasonOf([file("\u001b[2J\u009b/x")])).toContain("sends \\u{1b}[2J\\u{9b}/x before its folder");
  const pipe = member({ kind: "fifo", name: "\u001b[2J" });
  expect(unpack([pipe]).count.leftOutNames).toEqual(["\\u{1b}[2J"]);
});

test("devices, pipes and what they are called are left out, and not all are named", () => {
  const device = (number: number) =>
    member({ kind: "character-device", name: `d${number}`, device: { major: 1, minor: 3 } });
  const { count } = unpack([
    member({ kind: "fifo", name: "./sub/../pipe".replace("/sub/..", "") }),
    member({ kind: "block-device", name: "disk" }),
    ...Array.from({ length: 5000 }, (_, number) => device(number)),
  ]);
  expect(listInside()).toEqual([]);
  expect([count.leftOut, count.leftOutNames.length, count.files]).toEqual([5002, 100, 0]);
  expect(count.leftOutNames.slice(0, 3)).toEqual(["pipe", "disk", "d0"]);
});

test("what is kept of a large archive does not grow with it", () => {
  const target = unpacker();
  for (let number = 0; number < 500; number++) {
    target.write(directory(`d${number}`));
    target.write(file(`d${number}/f`));
    target.write(symlink(`d${number}/s`, "f"));
    target.write(hardLink(`d${number}/h`, `d${number}/f`));
  }
  expect(folder.counts.handles).toBe(0);
  expect(folder.counts.nodes).toBeLessThan(5);
  target.write(END);
  target.end();
  expect(listInside()).toHaveLength(500 * 4);
});

test("what claims to be a name of a gigabyte is refused before it comes", () => {
  const long = changed(file("././@LongLink", ""), 156, "L");
  expect(reasonOf([changed(long, 124, "10000000000\0")])).toContain("a name of 1073741824 bytes");
});

test("a damaged archive is refused", () => {
  const damaged = "the archive of its tar is damaged";
  const flipped = file("a");
  flipped.writeUInt8(flipped[0]! ^ 1, 0);
  expect(reasonOf([flipped])).toContain(damaged);
  expect(reasonOf([changed(file("a"), 124, "0000000-001\0")])).toContain(damaged);
  expect(reasonOf([changed(file("a"), 124, "\xff".repeat(12))])).toContain(damaged);
  expect(reasonOf([pax("size=99999999999999999999"), file("a")])).toContain(damaged);
  expect(reasonOf([changed(file("h", "9999 path=x\n"), 156, "x"), file("a")])).toContain(damaged);
  expect(reasonOf([Buffer.from("Segmentation fault\n".repeat(100))])).toContain(damaged);
  expect(listInside()).toEqual([]);
});

test("kinds of members that are not known are refused, also folders with contents", () => {
  expect(reasonOf([changed(file("a"), 156, "S")])).toContain("a kind of file that is not known: S");
  expect(reasonOf([changed(file("a"), 156, "5")])).toContain("its tar sends a directory with contents");
  expect(reasonOf([pax("GNU.sparse.major=1"), file("a")])).toContain("holes of sparse files");
});

test("an archive that breaks off is refused, and leaves no half file", () => {
  const target = unpacker();
  target.write(file("whole"));
  target.write(file("half", "x".repeat(1000)).subarray(0, 1000));
  expect(listInside()).toHaveLength(2);
  expect(() => target.end()).toThrow("breaks off");
  target.abandon();
  expect(listInside()).toEqual(["whole"]);
});

test("an old file is there until the new one has come", () => {
  fs.writeFileSync(path.join(inside, "a"), "old");
  const target = unpacker();
  target.write(file("a", "x".repeat(1000)).subarray(0, 1000));
  expect(fs.readFileSync(path.join(inside, "a"), "utf8")).toBe("old");
  target.abandon();
  expect(fs.readFileSync(path.join(inside, "a"), "utf8")).toBe("old");
});

test("set-user-ID and set-group-ID do not come along, other permissions do", () => {
  unpack([
    directory("d", { permissions: 0o7755 }),
    file("d/tool", "", { permissions: 0o6711 }),
    directory("e", { permissions: 0o1777 }),
    file("e/closed", "", { permissions: 0 }),
  ]);
  const modes = ["d", "d/tool", "e", "e/closed"].map(
    (name) => fs.statSync(path.join(inside, name)).mode & 0o7777,
  );
  expect(modes).toEqual([0o1755, 0o711, 0o1777, 0]);
});

test("times come along, as far as this host can tell them", () => {
  unpack([
    directory("d", { modified: 86400 }),
    file("d/old", "", { modified: 0 }),
    pax("mtime=Infinity"),
    file("d/never", ""),
    pax("mtime=1234567890.25"),
    file("d/exact", ""),
    changed(file("d/late", ""), 136, `\x80${"\0".repeat(5)}${"\xff".repeat(6)}`),
    changed(file("d/early", ""), 136, "\xff".repeat(12)),
    member({ kind: "symlink", name: "d/link", to: "nowhere", modified: 86400 }),
  ]);
  const time = (name: string) => Math.round(fs.lstatSync(path.join(inside, name)).mtimeMs);
  expect(time("d/late")).toBeGreaterThan(8e12);
  expect(["d", "d/old", "d/exact", "d/early", "d/link"].map(time)).toEqual([
    86400e3, 0, 1234567890250, 0, 86400e3,
  ]);
});

test("folders that are there keep their attributes, and get what is new", () => {
  fs.mkdirSync(path.join(inside, "d"), { mode: 0o750 });
  fs.chmodSync(inside, 0o700);
  fs.writeFileSync(path.join(inside, "d", "mine"), "mine");
  unpack([
    directory("./", { permissions: 0o777 }),
    directory("./d", { permissions: 0o777 }),
    file("./d/new"),
  ]);
  expect(listInside()).toEqual(["d", "d/mine", "d/new"]);
  expect([inside, path.join(inside, "d")].map((name) => fs.statSync(name).mode & 0o777)).toEqual([
    0o700, 0o750,
  ]);
});

test("a folder without write permission gets its files all the same", () => {
  unpack(
    [top, directory("./d", { permissions: 0o555 }), file("./d/a", "a"), directory("./d/e"), file("./b", "b")],
    "in",
  );
  expect(listInside()).toEqual(["in", "in/b", "in/d", "in/d/a", "in/d/e"]);
  expect(fs.statSync(path.join(inside, "in/d")).mode & 0o777).toBe(0o555);
});

test("names are bytes, and up to 255 of them", () => {
  const odd = Buffer.from([0x62, 0xff, 0xe4, 0x0a, 0x64]);
  const long = "x".repeat(255);
  unpack([file(odd, "odd"), directory(long), file(`${long}/${long}`, "long"), symlink("s", "y".repeat(300))]);
  expect(fs.readFileSync(Buffer.concat([Buffer.from(`${inside}/`), odd]), "utf8")).toBe("odd");
  expect(fs.readFileSync(path.join(inside, long, long), "utf8")).toBe("long");
  expect(fs.readlinkSync(path.join(inside, "s"))).toBe("y".repeat(300));
  expect(reasonOf([file("x".repeat(256))])).toMatch(/cannot be written: .*the name is too long/);
});

test.skipIf(isRoot)("a folder of this host that cannot be written says so", () => {
  fs.chmodSync(inside, 0o500);
  expect(reasonOf([file("a")])).toContain("host/a: cannot be written: permission denied");
});

test.skipIf(!hasTar).each(["gnu", "posix", "ustar", "oldgnu", "v7"])(
  "GNU tar's format %s is read",
  (format) => {
    const source = path.join(base, "inside", "source");
    fs.mkdirSync(path.join(source, "empty"), { recursive: true });
    const deep = path.join(source, "a".repeat(60), "b".repeat(LONGEST[format] ?? 200));
    fs.mkdirSync(deep, { recursive: true });
    fs.writeFileSync(path.join(deep, "file"), "deep", { mode: 0o640 });
    fs.linkSync(path.join(deep, "file"), path.join(source, "second"));
    fs.symlinkSync("c".repeat(90), path.join(source, "link"));
    fs.utimesSync(path.join(deep, "file"), 1e9, 1e9);
    const { stdout, stderr } = spawnSync("tar", [`--format=${format}`, "-c", "-C", source, "."]);
    expect(stderr.toString()).toBe("");
    const target = unpacker("copy");
    target.write(stdout);
    target.end();
    const listing = (where: string) => {
      const names = fs.readdirSync(where, { recursive: true, encoding: "utf8" }).sort();
      return names.map((name) => {
        const { mode, mtimeMs, size } = fs.lstatSync(path.join(where, name));
        const isLink = (mode & 0o170000) === 0o120000;
        const time = Math.floor(mtimeMs / 1000);
        return [name, mode, time, size, isLink ? fs.readlinkSync(path.join(where, name)) : ""];
      });
    };
    const copied = listing(path.join(inside, "copy")).map(([name, mode, , ...rest]) => [name, mode, ...rest]);
    expect(copied).toEqual(listing(source).map(([name, mode, , ...rest]) => [name, mode, ...rest]));
    expect(fs.statSync(path.join(inside, "copy", "second")).mtimeMs).toBe(1e12);
  },
);
