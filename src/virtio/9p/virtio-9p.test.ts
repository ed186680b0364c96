import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { NodeSharedFolder } from "../../host/node/shared-folder/node-shared-folder.ts";
import { ByteReader } from "../sharing/byte-reader.ts";
import { ByteWriter } from "../sharing/byte-writer.ts";
import { TestDriver, TestOperations } from "../test-rig.ts";
import { readString, writeString } from "./structures.ts";
import { Virtio9p } from "./virtio-9p.ts";

const REQUEST_AT = 0x40000;
const REPLY_AT = 0x60000;
const LERROR = 7;
const LOPEN = 12;
const READDIR = 40;
const FSYNC = 50;
const LOCK = 52;
const VERSION = 100;
const ATTACH = 104;
const FLUSH = 108;
const WALK = 110;
const READ = 116;
const CLUNK = 120;
const REMOVE = 122;

let base: string;
let folder: NodeSharedFolder;
let driver: TestDriver;
const operations = new TestOperations();

beforeEach(() => {
  base = mkdtempSync(path.join(tmpdir(), "ringfence-virtio-9p-"));
  mkdirSync(path.join(base, "a/b"), { recursive: true });
  writeFileSync(path.join(base, "a/b/file"), "content");
  folder = new NodeSharedFolder(base);
  driver = new TestDriver(new Virtio9p({ tag: "work", folder, operations }));
  driver.initialise({ features: (1n << 32n) | 1n });
});

afterEach(() => {
  folder.dispose();
  rmSync(base, { recursive: true });
});

const body = () => new ByteWriter();

function send(type: number, fields: ByteWriter, tag = 5): void {
  const message = body()
    .u32(7 + fields.length)
    .u8(type)
    .u16(tag)
    .bytes(fields.written).written;
  driver.memory.bytes.set(message, REQUEST_AT);
  driver.add(0, [
    { address: REQUEST_AT, length: message.length },
    { address: REPLY_AT, length: 8192, write: true },
  ]);
  driver.notify(0);
}

/** The last reply: its type, and what comes behind the header. */
function reply(): { type: number; body: ByteReader } {
  const { written } = driver.used(0, driver.usedCount(0) - 1);
  const reader = new ByteReader(driver.memory.bytes.slice(REPLY_AT, REPLY_AT + written));
  expect(reader.u32()).toBe(written);
  const type = reader.u8();
  expect(reader.u16()).toBe(5);
  return { type, body: reader };
}

/** The error number of the last reply; 0 for success. */
function error(): number {
  const { type, body: fields } = reply();
  return type === LERROR ? fields.u32() : 0;
}

/** Version and attach: fid 0 is the root. */
function start(): void {
  send(VERSION, writeString(body().u32(65536), "9P2000.L"));
  send(ATTACH, writeString(writeString(body().u32(0).u32(0xffffffff), "root"), "").u32(0));
}

function walk(from: number, to: number, ...names: string[]): void {
  const fields = body().u32(from).u32(to).u16(names.length);
  for (const name of names) writeString(fields, name);
  send(WALK, fields);
}

test("the configuration has the tag behind its length", () => {
  const bytes = Array.from({ length: 6 }, (_, at) => driver.transport.readMemory(0x2000 + at, 1));
  expect(bytes).toEqual([4, 0, ...new TextEncoder().encode("work")]);
});

test("another protocol is answered with unknown, and nothing works before a version", () => {
  walk(0, 1);
  expect(error()).toBe(5);
  send(VERSION, writeString(body().u32(8192), "9P2000.u"));
  const { body: fields } = reply();
  expect([fields.u32(), readString(fields)]).toEqual([8192, "unknown"]);
});

test("a file is reached by a walk, opened and read", () => {
  start();
  walk(0, 1, "a", "b", "file");
  expect(reply().body.u16()).toBe(3);
  send(LOPEN, body().u32(1).u32(0));
  send(READ, body().u32(1).u64(3).u32(100));
  const { body: data } = reply();
  expect(data.text(data.u32())).toBe("tent");
});

test("a walk that ends early says how far it came, and makes no fid", () => {
  start();
  walk(0, 1, "a", "nothing", "file");
  expect(reply().body.u16()).toBe(1);
  send(CLUNK, body().u32(1));
  expect(error()).toBe(9);
  walk(0, 1, "nothing");
  expect(error()).toBe(2);
});

test("two dots lead up to the root, and no further", () => {
  start();
  walk(0, 1, "a", "b");
  walk(1, 2, "..", "..", "..", "..", "a");
  expect(reply().body.u16()).toBe(5);
  walk(1, 3, "../..");
  expect(error()).toBe(22);
});

test("a listing has the dots, the names and their places, and goes on where it ended", () => {
  start();
  for (let i = 0; i < 300; i++) writeFileSync(path.join(base, `a/${i}`), "");
  walk(0, 1, "a");
  send(LOPEN, body().u32(1).u32(0));
  const names: string[] = [];
  for (let from = 0n; ; ) {
    send(READDIR, body().u32(1).u64(from).u32(4000));
    const { body: lines } = reply();
    if (lines.u32() === 0) break;
    while (lines.left > 0) {
      lines.skip(13);
      from = lines.u64();
      lines.skip(1);
      names.push(readString(lines));
    }
  }
  expect(names.slice(0, 2)).toEqual([".", ".."]);
  expect(names.slice(2).sort()).toEqual(["b", ...Array.from({ length: 300 }, (_, i) => `${i}`)].sort());
});

test("a fid that is given up, or whose file is removed, is nothing any more", () => {
  start();
  walk(0, 1, "a", "b", "file");
  send(REMOVE, body().u32(1));
  expect(error()).toBe(0);
  send(CLUNK, body().u32(1));
  expect(error()).toBe(9);
  walk(0, 2, "a", "b", "file");
  expect(reply().body.u16()).toBe(2);
  send(CLUNK, body().u32(0));
  expect(folder.counts).toEqual({ nodes: 1, handles: 0 });
});

test("Tflush is answered behind what it is about", async () => {
  start();
  walk(0, 1, "a", "b", "file");
  send(LOPEN, body().u32(1).u32(0));
  const before = driver.usedCount(0);
  send(FSYNC, body().u32(1).u32(0), 5);
  send(FLUSH, body().u16(5), 5);
  expect(driver.usedCount(0)).toBe(before);
  await operations.idle();
  expect(driver.usedCount(0)).toBe(before + 2);
  expect(reply().type).toBe(FLUSH + 1);
});

test("a lock is granted: the driver has asked among its own processes", () => {
  start();
  walk(0, 1, "a", "b", "file");
  send(LOCK, writeString(body().u32(1).u8(1).u32(0).u64(0).u64(0).u32(77), "guest"));
  expect(reply().body.u8()).toBe(0);
});

test("a message without a header, or without room for an error, breaks the rules", () => {
  driver.add(0, [
    { address: REQUEST_AT, length: 5 },
    { address: REPLY_AT, length: 100, write: true },
  ]);
  driver.notify(0);
  expect(driver.status & 64).toBe(64);
  driver.initialise();
  driver.memory.bytes.fill(0, 0x10000, 0x20000);
  driver.initialise();
  driver.add(0, [
    { address: REQUEST_AT, length: 50 },
    { address: REPLY_AT, length: 8, write: true },
  ]);
  driver.notify(0);
  expect(driver.status & 64).toBe(64);
});
