import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { ConsoleLog } from "../../src/cli/machines/console-log.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "ringfence-test-"));
afterAll(() => rmSync(folder, { recursive: true }));
const bytes = (text: string) => new TextEncoder().encode(text);

test("a full log becomes the earlier one, and a new one begins", () => {
  const log = new ConsoleLog(folder, "box", { mostBytes: 10, report: expect.unreachable });
  for (const text of ["12345", "67890", "abc", "defghij", "k"]) log.write(bytes(text));
  log.close();
  expect(readFileSync(`${log.path}.1`, "utf8")).toBe("abcdefghij");
  expect(readFileSync(log.path, "utf8")).toBe("k");
});

test("a log that cannot go on says so once, and the machine goes on", () => {
  const told: string[] = [];
  const log = new ConsoleLog(folder, "stuck", { mostBytes: 4, report: (line) => told.push(line) });
  // Where the earlier log is to go, there is a folder.
  mkdirSync(`${log.path}.1`);
  for (let i = 0; i < 5; i++) log.write(bytes("1234"));
  expect(told).toEqual([`${log.path}: the log ends here: EISDIR`]);
});
