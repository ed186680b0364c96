import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { writeCpio } from "../../src/host/cpio.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (archive: Uint8Array) => new TextDecoder("latin1").decode(archive);
const hasCpio = spawnSync("cpio", ["--version"]).status === 0;

test("an empty archive is its trailer", () => {
  expect(text(writeCpio([]))).toBe(
    "07070100000000000000000000000000000000000000010000000000000000000000000000000000000000000000000000000B00000000" +
      "TRAILER!!!\0\0\0\0",
  );
});

test("a file is a header, its path and its bytes, each padded to four", () => {
  const archive = writeCpio([{ kind: "file", path: "init", bytes: bytes("hello"), permissions: 0o755 }]);
  const header = [
    "070701",
    "00000001",
    "000081ED",
    "00000000",
    "00000000",
    "00000001",
    "00000000",
    "00000005",
  ].join("");
  expect(text(archive.slice(0, 124))).toBe(
    `${header}${"00000000".repeat(4)}0000000500000000init\0\0hello\0\0\0`,
  );
  expect(archive.length % 4).toBe(0);
});

test.skipIf(!hasCpio)("GNU cpio lists what was written (skipped where there is no cpio)", () => {
  const archive = writeCpio([
    { kind: "folder", path: "dev" },
    { kind: "character-device", path: "dev/console", major: 5, minor: 1 },
    { kind: "folder", path: "tmp", permissions: 0o1777 },
    { kind: "file", path: "tmp/a", bytes: bytes("12345") },
    { kind: "link", path: "sh", target: "/bin/busybox" },
  ]);
  const { stdout } = spawnSync("cpio", ["-itv", "--quiet"], { input: archive, encoding: "utf8" });
  const lines = stdout.split("\n").map((line) => line.replace(/\s+/g, " ").replace(/Jan 1 1970 /, ""));
  expect(lines).toEqual([
    "drwxr-xr-x 2 root root 0 dev",
    "crw------- 1 root root 5, 1 dev/console",
    "drwxrwxrwt 2 root root 0 tmp",
    "-rw-r--r-- 1 root root 5 tmp/a",
    "lrwxrwxrwx 1 root root 12 sh -> /bin/busybox",
    "",
  ]);
});
