import { execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { afterEach, beforeEach, expect, test } from "vitest";
import { decodePlainData, encodePlainData } from "../../../machine/snapshot/plain-data.ts";
import { errnoOf } from "../../linux-errors.ts";
import { type FolderEntry, ROOT, TYPE_MASK } from "../../shared-folder.ts";
import { NodeSharedFolder } from "./node-shared-folder.ts";

const READ = { read: true, write: false, truncate: false, synchronous: false };
const WRITE = { read: true, write: true, truncate: false, synchronous: false };
const BY = { owner: 0, group: 0 };

let base: string;
let inside: string;
let folder: NodeSharedFolder;

beforeEach(() => {
  base = fs.mkdtempSync(path.join(tmpdir(), "ringfence-sharing-"));
  inside = path.join(base, "inside");
  fs.mkdirSync(inside);
  fs.writeFileSync(path.join(base, "secret"), "secret");
  folder = new NodeSharedFolder(inside);
});

afterEach(() => {
  folder.dispose();
  fs.rmSync(base, { recursive: true, force: true });
});

function failure(action: () => unknown): number {
  try {
    action();
  } catch (error) {
    return errnoOf(error);
  }
  return 0;
}

function found(parent: number, name: string): FolderEntry {
  const entry = folder.lookup(parent, name);
  if (entry === undefined) throw new Error(`no ${name}`);
  return entry;
}

function readAll(node: number): string {
  const handle = folder.open(node, READ);
  const bytes = new Uint8Array(100);
  const length = folder.read(handle, 0, [bytes]);
  folder.close(handle);
  return new TextDecoder().decode(bytes.subarray(0, length));
}

const ENOENT = 2;
const ENXIO = 6;
const EEXIST = 17;
const ENOTDIR = 20;
const EINVAL = 22;
const EROFS = 30;
const ENAMETOOLONG = 36;
const ELOOP = 40;
const ESTALE = 116;

test("a file is made, written, read, renamed, linked and removed", () => {
  const options = { ...WRITE, permissions: 0o640, exclusive: false, by: BY };
  const { node, handle, attributes } = folder.create(ROOT, "a", options);
  expect(attributes.mode).toBe(0o100640);
  expect(folder.write(handle, 3, [new TextEncoder().encode("text")])).toBe(4);
  expect(folder.attributes(node).sizeBytes).toBe(7n);
  folder.close(handle);
  folder.rename(ROOT, "a", ROOT, "b", false);
  expect(readAll(node)).toBe("\0\0\0text");
  expect(folder.link(node, ROOT, "c").node).toBe(node);
  folder.removeFile(ROOT, "b");
  expect(readAll(node)).toBe("\0\0\0text");
  folder.removeFile(ROOT, "c");
  expect(failure(() => folder.attributes(node))).toBe(ESTALE);
  expect(fs.readdirSync(inside)).toEqual([]);
});

test.each([
  ["", EINVAL],
  [".", EINVAL],
  ["..", EINVAL],
  ["a/b", EINVAL],
  ["../secret", EINVAL],
  ["/etc/passwd", EINVAL],
  ["a\0b", EINVAL],
  ["x".repeat(256), ENAMETOOLONG],
])("the name %j is refused by every operation", (name, errno) => {
  const file = folder.makeFile(ROOT, "file", 0o600, BY).node;
  const create = { ...WRITE, permissions: 0o600, exclusive: false, by: BY };
  const operations = [
    () => folder.lookup(ROOT, name),
    () => folder.create(ROOT, name, create),
    () => folder.makeFile(ROOT, name, 0o600, BY),
    () => folder.makeFolder(ROOT, name, 0o700, BY),
    () => folder.makeLink(ROOT, name, "target", BY),
    () => folder.link(file, ROOT, name),
    () => folder.rename(ROOT, name, ROOT, "x", false),
    () => folder.rename(ROOT, "file", ROOT, name, false),
    () => folder.removeFile(ROOT, name),
    () => folder.removeFolder(ROOT, name),
  ];
  expect(operations.map(failure)).toEqual(operations.map(() => errno));
  expect(fs.readdirSync(base).sort()).toEqual(["inside", "secret"]);
});

test("a link to a file outside is a link, and nothing opens, empties or changes what it names", () => {
  const secret = path.join(base, "secret");
  const { node } = folder.makeLink(ROOT, "link", secret, BY);
  expect(folder.readLink(node)).toBe(secret);
  const create = { ...WRITE, truncate: true, permissions: 0o777, exclusive: false, by: BY };
  expect(failure(() => folder.open(node, READ))).toBe(ELOOP);
  expect(failure(() => folder.create(ROOT, "link", create))).toBe(ELOOP);
  expect(failure(() => folder.change(node, { sizeBytes: 0 }))).toBe(ELOOP);
  expect(failure(() => folder.change(node, { mode: 0o777 }))).toBe(95);
  const before = fs.statSync(secret);
  folder.change(node, { modifiedNs: 0n, accessedNs: 0n });
  expect(fs.statSync(secret).mtimeMs).toBe(before.mtimeMs);
  expect(fs.statSync(secret).mode).toBe(before.mode);
  expect(fs.readFileSync(secret, "utf8")).toBe("secret");
});

test("a link to a folder outside is no way there", () => {
  const { node } = folder.makeLink(ROOT, "link", base, BY);
  expect(failure(() => folder.lookup(node, "secret"))).toBe(ENOTDIR);
  expect(failure(() => folder.openFolder(node))).toBe(ENOTDIR);
  expect(failure(() => folder.makeFile(node, "new", 0o600, BY))).toBe(ENOTDIR);
  expect(fs.existsSync(path.join(base, "new"))).toBe(false);
});

test("a folder that the host replaces by a link is not followed, before or after it was used", () => {
  fs.mkdirSync(path.join(inside, "fresh"));
  fs.mkdirSync(path.join(inside, "used"));
  const fresh = found(ROOT, "fresh").node;
  const used = found(ROOT, "used").node;
  expect(folder.lookup(used, "x")).toBeUndefined();
  for (const name of ["fresh", "used"]) {
    fs.rmdirSync(path.join(inside, name));
    fs.symlinkSync(base, path.join(inside, name));
  }
  expect(failure(() => folder.lookup(fresh, "secret"))).toBe(ENOTDIR);
  // Its descriptor is still that of the folder, which is gone.
  expect(folder.lookup(used, "secret")).toBeUndefined();
  expect(failure(() => folder.makeFile(used, "new", 0o600, BY))).toBe(ENOENT);
  expect(fs.readdirSync(base).sort()).toEqual(["inside", "secret"]);
});

test("a file that the host replaces by another, or by a link, is stale", () => {
  fs.writeFileSync(path.join(inside, "file"), "one");
  const { node } = found(ROOT, "file");
  fs.writeFileSync(path.join(inside, "other"), "two");
  fs.renameSync(path.join(inside, "other"), path.join(inside, "file"));
  expect(failure(() => folder.open(node, WRITE))).toBe(ESTALE);
  const again = found(ROOT, "file").node;
  expect(readAll(again)).toBe("two");
  fs.rmSync(path.join(inside, "file"));
  fs.symlinkSync(path.join(base, "secret"), path.join(inside, "file"));
  expect(failure(() => folder.open(again, READ))).toBe(ESTALE);
  expect(failure(() => folder.change(again, { mode: 0 }))).toBe(ESTALE);
});

test("a link that gets the inode of a file which is gone is not that file", (context) => {
  const file = path.join(inside, "file");
  for (let tries = 0; tries < 100; tries++) {
    fs.writeFileSync(file, "one");
    const { node } = found(ROOT, "file");
    const { ino } = fs.lstatSync(file, { bigint: true });
    fs.rmSync(file);
    fs.symlinkSync(path.join(base, "secret"), file);
    const isReused = fs.lstatSync(file, { bigint: true }).ino === ino;
    if (isReused) {
      expect(failure(() => folder.attributes(node))).toBe(ESTALE);
      expect(failure(() => folder.open(node, READ))).toBe(ESTALE);
      expect(failure(() => folder.change(node, { mode: 0 }))).toBe(ESTALE);
      return;
    }
    fs.rmSync(file);
  }
  context.skip("this file system gives no inode out again at once");
});

/** Puts a folder and a link out of the shared one in each other's place, as fast as a process can. */
const SWAP = `
const { mkdirSync, renameSync, symlinkSync } = require("node:fs");
process.chdir(process.argv[1]);
mkdirSync("aside");
symlinkSync("../outside", "aside/link");
for (;;) {
  renameSync("place", "aside/folder");
  renameSync("aside/link", "place");
  renameSync("place", "aside/link");
  renameSync("aside/folder", "place");
}`;

test.skipIf(process.platform !== "linux")(
  "another process that swaps a folder for a link all the time leads no call outside",
  { timeout: 30_000 },
  async () => {
    const outside = path.join(base, "outside");
    fs.mkdirSync(outside);
    fs.writeFileSync(path.join(outside, "victim"), "untouched");
    fs.mkdirSync(path.join(inside, "place"));
    const swapper = spawn(process.execPath, ["-e", SWAP, inside], { stdio: "ignore" });
    const create = { ...WRITE, truncate: true, permissions: 0o666, exclusive: false, by: BY };
    let reached = 0;
    let refused = 0;
    const end = Date.now() + 2000;
    while (Date.now() < end) {
      // Descriptors are forgotten, so that each round walks anew.
      folder.reset();
      const errno = failure(() => {
        const { node } = found(ROOT, "place");
        const { node: victim, handle } = folder.create(node, "victim", create);
        folder.write(handle, 0, [new TextEncoder().encode("reached")]);
        folder.change(victim, { mode: 0o600, modifiedNs: 0n });
        folder.removeFile(node, "victim");
      });
      if (errno === 0) reached++;
      else refused++;
    }
    swapper.kill("SIGKILL");
    await new Promise((resolve) => swapper.on("close", resolve));
    expect(fs.readdirSync(outside)).toEqual(["victim"]);
    expect(fs.readFileSync(path.join(outside, "victim"), "utf8")).toBe("untouched");
    expect(fs.statSync(path.join(outside, "victim")).mode & 0o777).toBe(0o644);
    expect(reached).toBeGreaterThan(10);
    expect(refused).toBeGreaterThan(10);
  },
);

test("folders moved into each other by the host make no endless path", () => {
  fs.mkdirSync(path.join(inside, "a/b"), { recursive: true });
  const a = found(ROOT, "a").node;
  const b = found(a, "b").node;
  fs.renameSync(path.join(inside, "a/b"), path.join(inside, "b"));
  fs.renameSync(path.join(inside, "a"), path.join(inside, "b/a"));
  expect(found(ROOT, "b").node).toBe(b);
  expect(found(b, "a").node).toBe(a);
  expect(folder.lookup(a, "b")).toBeUndefined();
  folder.makeFile(a, "file", 0o600, BY);
  expect(fs.existsSync(path.join(inside, "b/a/file"))).toBe(true);
});

test("pipes and sockets of the host are seen and not opened", () => {
  execFileSync("mkfifo", [path.join(inside, "pipe")]);
  const { node, attributes } = found(ROOT, "pipe");
  expect(attributes.mode & TYPE_MASK).toBe(0o010000);
  expect(failure(() => folder.open(node, READ))).toBe(ENXIO);
  const create = { ...WRITE, permissions: 0o600, exclusive: false, by: BY };
  expect(failure(() => folder.create(ROOT, "pipe", create))).toBe(ENXIO);
});

test("a read-only folder refuses every change", () => {
  fs.writeFileSync(path.join(inside, "file"), "text");
  folder.dispose();
  folder = new NodeSharedFolder(inside, { readOnly: true });
  const { node } = found(ROOT, "file");
  const create = { ...READ, permissions: 0o600, exclusive: false, by: BY };
  const changes = [
    () => folder.open(node, WRITE),
    () => folder.open(node, { ...READ, truncate: true }),
    () => folder.create(ROOT, "new", create),
    () => folder.makeFile(ROOT, "new", 0o600, BY),
    () => folder.makeFolder(ROOT, "new", 0o700, BY),
    () => folder.makeLink(ROOT, "new", "x", BY),
    () => folder.link(node, ROOT, "new"),
    () => folder.rename(ROOT, "file", ROOT, "new", false),
    () => folder.removeFile(ROOT, "file"),
    () => folder.removeFolder(ROOT, "file"),
    () => folder.change(node, { sizeBytes: 0 }),
  ];
  expect(changes.map(failure)).toEqual(changes.map(() => EROFS));
  expect(readAll(node)).toBe("text");
});

test("names that are no UTF-8 pass unchanged", () => {
  const name = "caf\xe9\xff";
  folder.makeFile(ROOT, name, 0o600, BY);
  const handle = folder.openFolder(ROOT);
  folder.rewind(handle);
  expect([...folder.list(handle, 0)]).toEqual([{ name, type: 0o100000 }]);
  expect(fs.readdirSync(inside, "buffer")).toEqual([Buffer.from(name, "latin1")]);
});

test("a listing stays as it is while names come and go, until it is read from the start", () => {
  for (const name of ["a", "b", "c"]) folder.makeFile(ROOT, name, 0o600, BY);
  const handle = folder.openFolder(ROOT);
  const names = (from: number) => [...folder.list(handle, from)].map(({ name }) => name).sort();
  folder.rewind(handle);
  expect(names(0)).toEqual(["a", "b", "c"]);
  folder.removeFile(ROOT, "a");
  expect(names(1)).toHaveLength(2);
  folder.rewind(handle);
  expect(names(0)).toEqual(["b", "c"]);
});

test("permissions are the guest's, and no file of the host becomes set-user-ID", () => {
  const { node } = folder.makeFile(ROOT, "file", 0o6777, BY);
  expect(folder.attributes(node).mode).toBe(0o100777);
  expect(folder.change(node, { mode: 0o6711 }).mode).toBe(0o100711);
  const made = folder.makeFolder(ROOT, "folder", 0o1777, BY);
  expect(made.attributes.mode).toBe(0o041777);
});

test("times are kept to a microsecond", () => {
  const { node } = folder.makeFile(ROOT, "file", 0o600, BY);
  const { modifiedNs, accessedNs } = folder.change(node, { modifiedNs: 1_700_000_000_123_456_789n });
  expect(Math.abs(Number(modifiedNs - 1_700_000_000_123_456_789n))).toBeLessThan(1000);
  expect(accessedNs).toBeGreaterThan(modifiedNs);
});

test.skipIf(process.geteuid?.() === 0)(
  "an ordinary user's files are root's in the guest, and stay so",
  () => {
    const { node, attributes } = folder.makeFile(ROOT, "file", 0o600, { owner: 1000, group: 1000 });
    expect(attributes).toMatchObject({ owner: 0, group: 0 });
    expect(failure(() => folder.change(node, { owner: 1 }))).toBe(1);
    expect(failure(() => folder.change(node, { owner: 0, group: 0 }))).toBe(0);
  },
);

test.skipIf(process.geteuid?.() !== 0)(
  "root of the host passes owners as they are, or as one who was named",
  () => {
    const { node, attributes } = folder.makeFile(ROOT, "file", 0o600, { owner: 1000, group: 100 });
    expect(attributes).toMatchObject({ owner: 1000, group: 100 });
    expect(folder.change(node, { owner: 5 })).toMatchObject({ owner: 5, group: 100 });
    fs.chownSync(path.join(inside, "file"), 0, 0);
    folder.dispose();
    folder = new NodeSharedFolder(inside, { owner: { owner: 7, group: 8 } });
    expect(found(ROOT, "file").attributes).toMatchObject({ owner: 7, group: 8 });
    const mine = folder.makeFile(ROOT, "mine", 0o600, { owner: 1000, group: 100 });
    expect(mine.attributes).toMatchObject({ owner: 7, group: 8 });
  },
);

test("rename keeps what is there when it is told to", () => {
  folder.makeFile(ROOT, "a", 0o600, BY);
  folder.makeFile(ROOT, "b", 0o600, BY);
  expect(failure(() => folder.rename(ROOT, "a", ROOT, "b", true))).toBe(EEXIST);
  folder.rename(ROOT, "a", ROOT, "b", false);
  expect(fs.readdirSync(inside)).toEqual(["b"]);
});

test("what a guest forgets is forgotten, and a file that is open lives until it is closed", () => {
  fs.mkdirSync(path.join(inside, "x/y/z"), { recursive: true });
  const x = found(ROOT, "x").node;
  const y = found(x, "y").node;
  const z = found(y, "z").node;
  folder.forget(x, 1);
  folder.forget(y, 1);
  expect(folder.counts).toEqual({ nodes: 4, handles: 0 });
  folder.forget(z, 1);
  expect(folder.counts).toEqual({ nodes: 1, handles: 0 });
  const { node, handle } = folder.create(ROOT, "f", {
    ...WRITE,
    permissions: 0o600,
    exclusive: true,
    by: BY,
  });
  folder.removeFile(ROOT, "f");
  expect(folder.attributes(node).links).toBe(0);
  folder.forget(node, 1);
  folder.write(handle, 0, [new Uint8Array(5)]);
  expect(folder.counts).toEqual({ nodes: 2, handles: 1 });
  folder.close(handle);
  expect(folder.counts).toEqual({ nodes: 1, handles: 0 });
});

test.skipIf(process.platform !== "linux")("no descriptor is left open", async () => {
  const descriptors = () => fs.readdirSync("/proc/self/fd").length;
  const before = descriptors();
  let parent = ROOT;
  for (let depth = 0; depth < 600; depth++) parent = folder.makeFolder(parent, "d", 0o700, BY).node;
  const { handle } = folder.create(parent, "f", { ...WRITE, permissions: 0o600, exclusive: true, by: BY });
  const flushed = folder.flush(handle, false);
  expect(descriptors() - before).toBeLessThan(300);
  folder.reset();
  await flushed;
  expect(descriptors()).toBe(before);
  execFileSync("rm", ["-rf", inside]);
});

test("names deep in the folder are reached when their descriptors were closed meanwhile", () => {
  const chains = [0, 1].map((chain) => {
    let parent = folder.makeFolder(ROOT, `chain${chain}`, 0o700, BY).node;
    for (let depth = 0; depth < 300; depth++) parent = folder.makeFolder(parent, "d", 0o700, BY).node;
    return parent;
  });
  const [first = 0, second = 0] = chains;
  folder.makeFile(first, "file", 0o600, BY);
  folder.rename(first, "file", second, "moved", false);
  expect(folder.lookup(first, "file")).toBeUndefined();
  expect(folder.lookup(second, "moved")).toBeDefined();
  execFileSync("rm", ["-rf", inside]);
});

test.skipIf(process.platform !== "linux")("extended attributes of users pass, and no others", () => {
  folder.dispose();
  folder = new NodeSharedFolder(inside, { extendedAttributes: true });
  const { node } = folder.makeFile(ROOT, "file", 0o600, BY);
  const { extended } = folder;
  extended?.set(node, "user.a", Uint8Array.of(1, 0, 2), "create");
  expect(extended?.get(node, "user.a")).toEqual(Buffer.of(1, 0, 2));
  expect(failure(() => extended?.set(node, "user.a", Uint8Array.of(), "create"))).toBe(EEXIST);
  expect(failure(() => extended?.set(node, "user.b", Uint8Array.of(), "replace"))).toBe(61);
  expect(failure(() => extended?.set(node, "security.capability", Uint8Array.of(), "either"))).toBe(95);
  expect(failure(() => extended?.get(node, "trusted.a"))).toBe(95);
  expect(extended?.list(node)).toEqual(["user.a"]);
  extended?.set(ROOT, "user.root", Uint8Array.of(3), "either");
  expect(extended?.list(ROOT)).toEqual(["user.root"]);
  extended?.remove(node, "user.a");
  expect(failure(() => extended?.get(node, "user.a"))).toBe(61);
  const link = folder.makeLink(ROOT, "link", path.join(base, "secret"), BY).node;
  expect(failure(() => extended?.set(link, "user.a", Uint8Array.of(1), "either"))).toBe(1);
});

/** The folder's state as a snapshot has it, in another process and with other inodes: a copy of what is there now. */
function restoredElsewhere(): { copy: NodeSharedFolder; base: string; outcome: string | undefined } {
  const state = decodePlainData(encodePlainData(folder.saveState()));
  const base = fs.mkdtempSync(path.join(tmpdir(), "ringfence-restored-"));
  fs.cpSync(inside, base, { recursive: true, verbatimSymlinks: true });
  const copy = new NodeSharedFolder(base);
  return { copy, base, outcome: copy.restoreState(state) };
}

test("a saved folder's nodes, files and listings are found again by their names", () => {
  fs.mkdirSync(path.join(inside, "a/b"), { recursive: true });
  fs.writeFileSync(path.join(inside, "a/b/file"), "content");
  const b = found(found(ROOT, "a").node, "b");
  const file = found(b.node, "file");
  const handle = folder.open(file.node, { ...WRITE, read: true });
  const listing = folder.openFolder(b.node);
  folder.rewind(listing);
  const { copy, base, outcome } = restoredElsewhere();
  try {
    expect(outcome).toBeUndefined();
    expect(copy.attributes(file.node).sizeBytes).toBe(7n);
    expect(copy.write(handle, 7, [new TextEncoder().encode(" more")])).toBe(5);
    expect(fs.readFileSync(path.join(base, "a/b/file"), "utf8")).toBe("content more");
    expect([...copy.list(listing, 0)].map(({ name }) => name)).toEqual(["file"]);
    expect(copy.openFolder(ROOT)).toBeGreaterThan(listing);
    copy.close(handle);
    copy.forget(file.node, 1);
    expect(() => copy.attributes(file.node)).toThrow(expect.objectContaining({ errno: ESTALE }));
  } finally {
    copy.dispose();
    fs.rmSync(base, { recursive: true });
  }
});

test("what has vanished since a folder was saved is stale, and nothing else breaks", () => {
  fs.mkdirSync(path.join(inside, "gone"));
  fs.writeFileSync(path.join(inside, "gone/file"), "1");
  fs.writeFileSync(path.join(inside, "other"), "2");
  fs.writeFileSync(path.join(inside, "becomes-folder"), "3");
  const gone = found(found(ROOT, "gone").node, "file");
  const [other, changed] = [found(ROOT, "other"), found(ROOT, "becomes-folder")];
  const [lost, kept] = [folder.open(gone.node, READ), folder.open(other.node, READ)];
  fs.rmSync(path.join(inside, "gone"), { recursive: true });
  fs.rmSync(path.join(inside, "becomes-folder"));
  fs.mkdirSync(path.join(inside, "becomes-folder"));
  const { copy, base, outcome } = restoredElsewhere();
  try {
    const stale = expect.objectContaining({ errno: ESTALE });
    const bytes = new Uint8Array(10);
    expect(outcome).toBeUndefined();
    expect(() => copy.attributes(gone.node)).toThrow(stale);
    expect(() => copy.attributes(changed.node)).toThrow(stale);
    expect(() => copy.read(lost, 0, [bytes])).toThrow(stale);
    expect(copy.read(kept, 0, [bytes])).toBe(1);
    copy.close(lost);
    copy.forget(gone.node, 1);
    expect(copy.lookup(ROOT, "becomes-folder")?.attributes.mode ?? 0).toBeGreaterThan(0o40000);
  } finally {
    copy.dispose();
    fs.rmSync(base, { recursive: true });
  }
});

test("a state that names what is outside, or is none, is refused", () => {
  const node = { id: 2, references: 1, type: 0o040000, places: [{ parent: ROOT, name: ".." }] };
  const state = { nodes: [node], nextNode: 3, handles: [], nextHandle: 1 };
  expect(folder.restoreState(state)).toBe("a shared folder whose state is damaged (EINVAL)");
  expect(folder.restoreState({ ...state, nodes: [{ ...node, id: -1 }] })).toBe(
    "a shared folder of another version",
  );
  expect(folder.restoreState(undefined)).toBe("a shared folder of another version");
  expect(folder.counts).toEqual({ nodes: 1, handles: 0 });
});
