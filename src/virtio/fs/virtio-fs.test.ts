import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { NodeSharedFolder } from "../../host/node/shared-folder/node-shared-folder.ts";
import { ROOT } from "../../host/shared-folder.ts";
import { ByteReader } from "../sharing/byte-reader.ts";
import { ByteWriter } from "../sharing/byte-writer.ts";
import { TestDriver, TestOperations } from "../test-rig.ts";
import { VirtioFs } from "./virtio-fs.ts";

const REQUEST_AT = 0x40000;
const REPLY_AT = 0x60000;
const LOOKUP = 1;
const FORGET = 2;
const OPEN = 14;
const READ = 15;
const FSYNC = 20;
const INIT = 26;
const POLL = 40;

let base: string;
let folder: NodeSharedFolder;
let driver: TestDriver;
const operations = new TestOperations();

beforeEach(() => {
  base = mkdtempSync(path.join(tmpdir(), "ringfence-virtio-fs-"));
  writeFileSync(path.join(base, "file"), "content");
  folder = new NodeSharedFolder(base);
  driver = new TestDriver(new VirtioFs({ tag: "work", folder, operations }));
  driver.initialise();
});

afterEach(() => {
  folder.dispose();
  rmSync(base, { recursive: true });
});

const body = () => new ByteWriter();

/** Puts a request into the queue; nothing is written where `room` is 0. */
function send(opcode: number, node: number, fields: ByteWriter, room = 4096): void {
  const header = body()
    .u32(40 + fields.length)
    .u32(opcode)
    .u64(0x1234)
    .u64(node)
    .zeroes(16);
  driver.memory.bytes.set(header.bytes(fields.written).written, REQUEST_AT);
  const reply = { address: REPLY_AT, length: room, write: true };
  driver.add(1, [{ address: REQUEST_AT, length: 40 + fields.length }, ...(room > 0 ? [reply] : [])]);
  driver.notify(1);
}

/** The last reply: its error, and what comes behind the header. */
function reply(): { error: number; body: ByteReader } {
  const { written } = driver.used(1, driver.usedCount(1) - 1);
  const reader = new ByteReader(driver.memory.bytes.slice(REPLY_AT, REPLY_AT + written));
  expect(reader.u32()).toBe(written);
  const error = reader.u32() | 0;
  expect(reader.u64()).toBe(0x1234n);
  return { error, body: reader };
}

function start(minor = 31): void {
  send(INIT, 0, body().u32(7).u32(minor).u32(0x20000).u32(0xffffffff));
}

test("the configuration has the tag and one request queue", () => {
  const bytes = Array.from({ length: 40 }, (_, at) => driver.transport.readMemory(0x2000 + at, 1));
  expect(String.fromCharCode(...bytes.slice(0, 5))).toBe("work\0");
  expect(bytes.slice(36)).toEqual([1, 0, 0, 0]);
});

test("INIT agrees on version 7.38, on transfers of 1 MiB, and leaves locks to the driver", () => {
  start();
  const { error, body: fields } = reply();
  expect([error, fields.left]).toEqual([0, 64]);
  expect([fields.u32(), fields.u32(), fields.u32()]).toEqual([7, 38, 0x20000]);
  expect(fields.u32() & ((1 << 1) | (1 << 10))).toBe(0);
  fields.skip(4);
  expect(fields.u32()).toBe(1 << 20);
});

test("a later major version is answered with ours, an early one is refused, and nothing works before INIT", () => {
  send(LOOKUP, ROOT, body().text("file\0"));
  expect(reply().error).toBe(-5);
  send(INIT, 0, body().u32(8).zeroes(12));
  expect(reply().body.u32()).toBe(7);
  start(12);
  expect(reply().error).toBe(-71);
});

test("a file is looked up, opened, read and flushed", async () => {
  start();
  send(LOOKUP, ROOT, body().text("file\0"));
  const node = reply().body.size();
  send(OPEN, node, body().u32(0).u32(0));
  const handle = reply().body.size();
  send(READ, node, body().u64(handle).u64(3).u32(100).zeroes(20));
  const { body: data } = reply();
  expect(data.text(data.left)).toBe("tent");
  const before = driver.usedCount(1);
  send(FSYNC, node, body().u64(handle).u64(0));
  expect(driver.usedCount(1)).toBe(before);
  await operations.idle();
  expect([driver.usedCount(1), reply().error]).toEqual([before + 1, 0]);
});

test("FORGET has no reply, and the node is gone", () => {
  start();
  send(LOOKUP, ROOT, body().text("file\0"));
  const node = reply().body.size();
  send(FORGET, node, body().u64(1), 0);
  expect(driver.used(1, driver.usedCount(1) - 1).written).toBe(0);
  send(OPEN, node, body().u32(0).u32(0));
  expect(reply().error).toBe(-116);
});

test("what is not offered is ENOSYS, which a driver remembers", () => {
  start();
  send(POLL, ROOT, body().zeroes(24));
  expect(reply().error).toBe(-38);
});

test.each([
  ["too short for a header", 20, 4096],
  ["longer than any request", (1 << 20) - REQUEST_AT, 4096],
  ["without room for a reply", 60, 8],
])("a request %s breaks the rules", (_, length, room) => {
  const pieces = length > 0x10000 ? Array.from({ length: 2 }, () => 0x8c000) : [length];
  const request = pieces.map((piece) => ({ address: REQUEST_AT, length: piece }));
  driver.add(1, [...request, { address: REPLY_AT, length: room, write: true }]);
  driver.notify(1);
  expect(driver.status & 64).toBe(64);
});

test("a reset of the device closes what was open, and what was under way is not answered", async () => {
  start();
  send(LOOKUP, ROOT, body().text("file\0"));
  const node = reply().body.size();
  send(OPEN, node, body().u32(0).u32(0));
  send(FSYNC, node, body().u64(reply().body.size()).u64(0));
  driver.transport.writeMemory(20, 1, 0);
  driver.memory.written.length = 0;
  await operations.idle();
  expect(folder.counts).toEqual({ nodes: 1, handles: 0 });
  expect(driver.memory.written).toEqual([]);
});
