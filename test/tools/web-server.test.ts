import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { serve, type WebServer } from "../../tools/web/serve.ts";

const MAIN = path.resolve(import.meta.dirname, "..", "..", "tools", "web", "main.ts");
let folder = "";
let server: WebServer;

beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), "ringfence-web-"));
  writeFileSync(path.join(folder, "index.html"), "<p>the page</p>");
  server = await serve(folder, 0);
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

test("the page comes with the headers that shared memory needs", async () => {
  const response = await fetch(server.url);
  expect(await response.text()).toContain("the page");
  expect(response.headers.get("cross-origin-opener-policy")).toBe("same-origin");
  expect(response.headers.get("cross-origin-embedder-policy")).toBe("require-corp");
});

test("what is not there is 404, and nothing outside the folder is served", async () => {
  expect((await fetch(`${server.url}guest/guest.json`)).status).toBe(404);
  expect((await fetch(`${server.url}..%2f..%2f..%2f..%2fetc/passwd`)).status).not.toBe(200);
});

test("a port that is in use is refused in words", async () => {
  await expect(serve(folder, Number(new URL(server.url).port))).rejects.toThrow(/in use/);
});

test.each([
  ["--help", 0, /--port PORT/],
  ["--port=x", 2, /^ringfence: --port x: expected a number from 0 to 65535\n$/],
  ["--port=65536", 2, /^ringfence: --port 65536: expected a number from 0 to 65535\n$/],
  ["--prot=1", 2, /^ringfence: Unknown option '--prot'/],
])("npm run web -- %s ends with status %i", (argument, status, text) => {
  const run = spawnSync(process.execPath, [MAIN, argument], { encoding: "utf8" });
  expect(run.stdout + run.stderr).toMatch(text);
  expect(run.status).toBe(status);
});
