import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";

const BIN = path.resolve(import.meta.dirname, "../../bin/ringfence");
const folder = mkdtempSync(path.join(os.tmpdir(), "rf-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function disk(...parameters: string[]): { status: number | null; stdout: string; stderr: string } {
  const options = { cwd: folder, encoding: "utf8", input: "" } as const;
  const { status, stdout, stderr } = spawnSync(BIN, ["disk", ...parameters], options);
  return { status, stdout, stderr };
}

test("what disk commands have made is told as JSON", () => {
  const told = (...parameters: string[]) => JSON.parse(disk(...parameters, "--json").stdout) as unknown;
  expect(told("create", "a.qcow2", "10M")).toMatchObject({
    file: "a.qcow2",
    format: "qcow2",
    sizeBytes: 10 << 20,
  });
  expect(told("resize", "a.qcow2", "+2M")).toMatchObject({ file: "a.qcow2", sizeBytes: 12 << 20 });
  expect(told("convert", "a.qcow2", "b.raw")).toMatchObject({
    file: "b.raw",
    format: "raw",
    sizeBytes: 12 << 20,
  });
  expect(told("info", "a.qcow2")).toEqual(told("info", "a.qcow2"));
});

test.each([
  [["create", "kept", "1M"], "kept: the file exists already; choose another name, or remove it first"],
  [["create", "new"], "usage: ringfence disk create new SIZE"],
  [["create", "no/such/folder", "1M"], "no/such/folder: cannot be written: no such file or folder"],
  [["create", "new", "--backing", "absent"], "absent: no such file; check the path"],
  [["convert", "kept", "kept"], "kept: the file exists already; choose another name, or remove it first"],
  [["convert", "--from-format", "qcow2", "kept", "new"], "kept: not a qcow2 image"],
  [["resize", "kept", "512"], "kept has 1024 bytes; with --shrink it loses those behind 512"],
  [["info", "absent"], "absent: no such file; check the path"],
  [["ifno", "kept"], "unknown command disk ifno; did you mean info?"],
])("disk %j is refused with what to do, and loses nothing", (parameters, line) => {
  const content = "text".repeat(256);
  writeFileSync(path.join(folder, "kept"), content);
  const before = readdirSync(folder);
  expect(disk(...parameters)).toEqual({ status: 2, stdout: "", stderr: `ringfence: ${line}\n` });
  expect(readFileSync(path.join(folder, "kept"), "utf8")).toBe(content);
  expect(readdirSync(folder)).toEqual(before);
});
