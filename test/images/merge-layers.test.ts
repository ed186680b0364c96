import { createReadStream } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { mergeLayers, writeMerged } from "../../src/images/container/merge-layers.ts";
import { readTar, wholeContents } from "../../src/images/tar-reader.ts";
import { type TarMember, TarWriter } from "../../src/images/tar-writer.ts";
import { inFolder } from "../disk/qemu-img.ts";

/** A layer: paths ending in a slash are folders, "a -> b" is a symbolic link, "a => b" a hard one. */
type LayerText = Readonly<Record<string, string>> | readonly string[];

function writeLayer(file: string, layer: LayerText): void {
  const writer = new TarWriter(file);
  const members = Array.isArray(layer) ? layer.map((name) => [name, ""]) : Object.entries(layer);
  for (const [name = "", contents = ""] of members as [string, string][]) {
    const link = /^(.*) ([-=])> (.*)$/.exec(name);
    const kind: TarMember["kind"] = link
      ? link[2] === "-"
        ? "symlink"
        : "link"
      : name.endsWith("/")
        ? "directory"
        : "file";
    const sizeBytes = kind === "file" ? contents.length : 0;
    writer.begin({ kind, path: link?.[1] ?? name, target: link?.[3] ?? "", sizeBytes });
    if (kind === "file") writer.data(Buffer.from(contents));
  }
  writer.close();
}

/** What layers make together, as paths with contents, in the order in which they are written. */
async function merge(...layers: LayerText[]): Promise<string[]> {
  const merged: string[] = [];
  await inFolder(async (folder) => {
    const files = layers.map((layer, index) => {
      const file = path.join(folder, `${index}.tar`);
      writeLayer(file, layer);
      return () => createReadStream(file);
    });
    const tree = await mergeLayers(files, [], "test");
    const target = path.join(folder, "merged.tar");
    const writer = new TarWriter(target);
    await writeMerged(files, tree, writer, "test");
    writer.close();
    await readTar(createReadStream(target), async (entry) => {
      const contents = entry.type === "file" ? `=${await wholeContents(entry)}` : "";
      merged.push(
        `${entry.name}${entry.type === "directory" ? "/" : contents}${entry.target && ` > ${entry.target}`}`,
      );
    });
  });
  return merged;
}

test("a file of a higher layer takes the place of a lower one", async () => {
  expect(await merge({ "etc/": "", "etc/a": "1", "etc/b": "2" }, { "etc/a": "3" })).toEqual([
    "etc/",
    "etc/b=2",
    "etc/a=3",
  ]);
});

test("a whiteout hides a file or a whole folder of lower layers, and nothing of its own", async () => {
  const lower = ["keep", "gone", "folder/", "folder/inside", "folder/deep/", "folder/deep/er"];
  expect(await merge(lower, [".wh.gone", ".wh.folder"])).toEqual(["keep="]);
  expect(await merge(lower, ["folder/new", "gone", ".wh.gone", ".wh.folder"])).toEqual([
    "keep=",
    "folder/new=",
    "gone=",
  ]);
  expect(await merge([".wh.nothing", "a"])).toEqual(["a="]);
});

test("an opaque folder has nothing from below, and its own", async () => {
  const lower = ["d/", "d/a", "d/b/", "d/b/c", "e"];
  expect(await merge(lower, ["d/", "d/new", "d/.wh..wh..opq"])).toEqual(["e=", "d/", "d/new="]);
});

test("a file in place of a folder takes what was in it away", async () => {
  expect(await merge(["d/", "d/a"], { d: "x" })).toEqual(["d=x"]);
  expect(await merge({ d: "x" }, ["d/", "d/a"])).toEqual(["d/", "d/a="]);
});

test("links stay links, and one file twice in a layer is the later one", async () => {
  expect(await merge({ a: "1", "b => a": "", "c -> /etc/passwd": "", "a/": "", x: "1", "./x": "2" })).toEqual(
    ["b > a", "c > /etc/passwd", "a/", "x=2"],
  );
});

test.each(["../outside", "a/../../outside", "/../x", ".."])("%j is refused", async (name) => {
  await expect(merge([name])).rejects.toMatchObject({ detail: { code: "archive-invalid" } });
});

test("a hard link that leads out is refused", async () => {
  await expect(merge(["a => ../../etc/shadow"])).rejects.toMatchObject({
    detail: { code: "archive-invalid" },
  });
});

test("absolute names lie below the root", async () => {
  expect(await merge(["/etc/passwd", "./usr/./bin//x"])).toEqual(["etc/passwd=", "usr/bin/x="]);
});
