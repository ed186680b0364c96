import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { writePieces } from "../../src/host/node/file-pieces.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "rf-"));
afterAll(() => rmSync(folder, { recursive: true }));
const bytes = (text: string) => new TextEncoder().encode(text);

async function* breakingOff(): AsyncGenerator<Uint8Array> {
  yield bytes("half");
  throw new Error("the guest has gone");
}

async function* whole(): AsyncGenerator<Uint8Array> {
  yield bytes("new ");
  yield bytes("content");
}

test("a copy that breaks off leaves the old file and no half of a new one", async () => {
  const file = path.join(folder, "file");
  writeFileSync(file, "old", { mode: 0o640 });
  await expect(writePieces(file, breakingOff())).rejects.toThrow("the guest has gone");
  await expect(writePieces(path.join(folder, "other"), breakingOff())).rejects.toThrow("the guest has gone");
  expect(readdirSync(folder)).toEqual(["file"]);
  expect(readFileSync(file, "utf8")).toBe("old");

  await writePieces(file, whole());
  expect(readFileSync(file, "utf8")).toBe("new content");
  expect(statSync(file).mode & 0o777).toBe(0o640);
});

test("the file that a symbolic link leads to is written, and the link stays", async () => {
  const target = path.join(folder, "target");
  const link = path.join(folder, "link");
  symlinkSync("target", link);
  await writePieces(link, whole());
  expect(readFileSync(target, "utf8")).toBe("new content");
});

test("what guards the file under way is told of it, and when it is over", async () => {
  const file = path.join(folder, "guarded");
  const seen: string[] = [];
  await writePieces(file, whole(), (part) => {
    seen.push(`begun ${path.dirname(part) === folder} ${part !== file}`);
    return () => seen.push(`over ${existsSync(part)}`);
  });
  expect(seen).toEqual(["begun true true", "over false"]);
});

test("a folder that is not there is told", async () => {
  const file = path.join(folder, "no", "file");
  await expect(writePieces(file, whole())).rejects.toThrow(
    `${file}: cannot be written: no such file or folder`,
  );
});
