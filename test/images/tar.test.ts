import { spawnSync } from "node:child_process";
import { createReadStream, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { readTar, type TarEntry, wholeContents } from "../../src/images/tar-reader.ts";
import { TarWriter } from "../../src/images/tar-writer.ts";
import { inFolder } from "../disk/qemu-img.ts";

const LONG = `${"a-folder-with-a-name/".repeat(12)}file`;
const hasTar = spawnSync("tar", ["--version"]).stdout?.toString().includes("GNU tar") ?? false;
const hasBusybox = spawnSync("busybox", ["tar", "--help"]).status === 0;

function writeSample(file: string): void {
  const archive = new TarWriter(file);
  archive.begin({ kind: "directory", path: "folder", permissions: 0o1777 });
  archive.begin({ kind: "directory", path: "folder", permissions: 0o700 });
  archive.file("folder/tool", Buffer.from("x".repeat(1000)), 0o4755);
  archive.begin({ kind: "file", path: LONG, owner: 65534, group: 42, modified: 86400, sizeBytes: 0 });
  archive.begin({ kind: "symlink", path: "link", target: `/${LONG}` });
  archive.begin({ kind: "link", path: "other", target: "folder/tool" });
  archive.begin({ kind: "character-device", path: "null", device: { major: 1, minor: 3 } });
  archive.file("large-owner", Buffer.from("y"));
  archive.begin({ kind: "file", path: "big", owner: 0o7777777 + 1, sizeBytes: 1 });
  archive.data(Buffer.from("z"));
  archive.close();
}

test.skipIf(!hasTar)(
  "GNU tar reads what TarWriter writes: long names, links, devices, owners, modes",
  async () => {
    await inFolder(async (folder) => {
      const file = path.join(folder, "a.tar");
      writeSample(file);
      const options = ["--numeric-owner", "--utc", "-tvf", file];
      const { stdout, stderr, status } = spawnSync("tar", options, { encoding: "utf8" });
      expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
      expect(
        stdout
          .trimEnd()
          .split("\n")
          .map((line) => line.replace(/ +/g, " ")),
      ).toEqual([
        "drwxrwxrwt 0/0 0 1970-01-01 00:00 folder",
        "-rwsr-xr-x 0/0 1000 1970-01-01 00:00 folder/tool",
        `-rw-r--r-- 65534/42 0 1970-01-02 00:00 ${LONG}`,
        `lrw-r--r-- 0/0 0 1970-01-01 00:00 link -> /${LONG}`,
        "hrw-r--r-- 0/0 0 1970-01-01 00:00 other link to folder/tool",
        "crw-r--r-- 0/0 1,3 1970-01-01 00:00 null",
        "-rw-r--r-- 0/0 1 1970-01-01 00:00 large-owner",
        "-rw-r--r-- 2097152/0 1 1970-01-01 00:00 big",
      ]);
    });
  },
);

test.skipIf(!hasBusybox)("busybox, which unpacks it in the builder, reads it too", async () => {
  await inFolder(async (folder) => {
    const file = path.join(folder, "a.tar");
    writeSample(file);
    const { stdout, status } = spawnSync("busybox", ["tar", "-tf", file], { encoding: "utf8" });
    expect(status).toBe(0);
    expect(stdout.split("\n")).toContain(LONG);
  });
});

async function read(file: string): Promise<Record<string, string>> {
  const contents: Record<string, string> = {};
  await readTar(createReadStream(file), async (entry: TarEntry) => {
    contents[entry.name] = (await wholeContents(entry)).toString("latin1").slice(0, 3);
  });
  return contents;
}

test("what was written is read back, and an archive that is cut off or damaged is refused", async () => {
  await inFolder(async (folder) => {
    const file = path.join(folder, "a.tar");
    writeSample(file);
    expect(await read(file)).toMatchObject({ "folder/tool": "xxx", [LONG]: "", big: "z" });
    const bytes = readFileSync(file);
    const cut = path.join(folder, "cut.tar");
    writeFileSync(cut, bytes.subarray(0, 1700));
    await expect(read(cut)).rejects.toThrow();
    const wrong = path.join(folder, "wrong.tar");
    writeFileSync(wrong, bytes.with(512, 0x21));
    await expect(read(wrong)).rejects.toThrow();
  });
});

test("members that nobody wants are passed over", async () => {
  await inFolder(async (folder) => {
    const file = path.join(folder, "a.tar");
    writeSample(file);
    const names: string[] = [];
    await readTar(Readable.from([readFileSync(file)]), async ({ name }) => {
      names.push(name);
    });
    expect(names.length).toBe(8);
  });
});
