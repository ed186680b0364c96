import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { GuestCache } from "../../src/host/node/guest-cache.ts";

let folder = "";
let made = 0;

beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "ringfence-cache-"));
  made = 0;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function make(staging: string): Promise<void> {
  made++;
  writeFileSync(path.join(staging, "kernel"), "some bytes");
}

test("a folder is made once and found afterwards", async () => {
  const first = await new GuestCache(folder).ensure("guest", "1", make);
  const second = await new GuestCache(folder).ensure("guest", "1", make);
  expect(second).toBe(first);
  expect(made).toBe(1);
  expect(readFileSync(path.join(first, "kernel"), "utf8")).toBe("some bytes");
});

test("a truncated file, a changed byte and a missing manifest are each made again", async () => {
  const cache = new GuestCache(folder);
  const guest = await cache.ensure("guest", "1", make);
  truncateSync(path.join(guest, "kernel"), 4);
  await cache.ensure("guest", "1", make);
  writeFileSync(path.join(guest, "kernel"), "same bytes");
  await cache.ensure("guest", "1", make);
  rmSync(path.join(guest, "manifest.json"));
  await cache.ensure("guest", "1", make);
  expect(made).toBe(4);
  expect(readFileSync(path.join(guest, "kernel"), "utf8")).toBe("some bytes");
});

test("another recipe makes the folder anew", async () => {
  await new GuestCache(folder).ensure("guest", "1", make);
  await new GuestCache(folder).ensure("guest", "2", make);
  expect(made).toBe(2);
});

test("a failure leaves nothing behind", async () => {
  const failing = new GuestCache(folder).ensure("guest", "1", async () => {
    throw new Error("no network");
  });
  await expect(failing).rejects.toThrow("no network");
  expect(readdirSync(folder)).toEqual([]);
});

test("two that make the same folder at once both get it whole", async () => {
  const both = await Promise.all([1, 2].map(() => new GuestCache(folder).ensure("guest", "1", make)));
  expect(both[0]).toBe(both[1]);
  expect(readdirSync(folder)).toEqual(["guest"]);
});
