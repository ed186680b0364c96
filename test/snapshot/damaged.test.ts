import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import zlib from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { snapshotHost } from "../../src/host/node/snapshot-files.ts";
import { GUEST_RAM } from "../../src/layout/memory-map.ts";
import { VmError } from "../../src/layout/vm-error.ts";
import type { SavedMachine } from "../../src/machine/machine-state.ts";
import { FORMAT_VERSION } from "../../src/machine/snapshot/format.ts";
import { GuestPages } from "../../src/machine/snapshot/guest-pages.ts";
import { decodePlainData, encodePlainData } from "../../src/machine/snapshot/plain-data.ts";
import { openSnapshot } from "../../src/machine/snapshot/read-snapshot.ts";
import { restoreMachine } from "../../src/machine/snapshot/restore-machine.ts";
import { saveSnapshot } from "../../src/machine/snapshot/write-snapshot.ts";
import { AbsentPages } from "../../src/memory/absent-pages.ts";
import { BUSY_KERNEL, bootSmall, hashOf, runTo, smallMachine } from "./small-machine.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "ringfence-test-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string) => path.join(folder, name);

// biome-ignore lint/suspicious/noExplicitAny: what is written here is meant to be wrong.
type AnyHead = any;

let good: Buffer;
let expectedHash: string;

beforeAll(async () => {
  const { machine } = bootSmall(BUSY_KERNEL);
  runTo(machine, 3_000_000);
  await saveSnapshot(machine, snapshotHost, file("parent"));
  machine.memory.fill(0x300000, 4096, 0x33);
  await saveSnapshot(machine, snapshotHost, file("child"), { parentPath: file("parent") });
  good = readFileSync(file("parent"));
  runTo(machine, 3_000_000);
  expectedHash = hashOf(smallMachine(await savedFrom("parent")).machine);
});

async function savedFrom(name: string): Promise<SavedMachine> {
  let found: SavedMachine | undefined;
  await restoreMachine(snapshotHost, file(name), (saved) => {
    found = saved;
    return smallMachine({ ...saved, state: structuredClone(saved.state) }).machine;
  });
  return found!;
}

/** The message with which a file is refused, and the code; "restored" when it is not. Everything in it is read. */
async function refusal(name: string, bytes?: Uint8Array): Promise<{ code: string; message: string }> {
  if (bytes !== undefined) writeFileSync(file(name), bytes);
  try {
    const snapshot = await openSnapshot(snapshotHost, file(name));
    try {
      const { ramBytes } = snapshot.configuration;
      const buffer = new ArrayBuffer(GUEST_RAM + ramBytes);
      const absent = new AbsentPages(buffer, ramBytes);
      await snapshot.loadMemory(new GuestPages(buffer, ramBytes), absent);
      absent.bringInAll();
      await snapshot.loadCode();
      snapshot.readBootPlan();
    } finally {
      await snapshot.close();
    }
  } catch (error) {
    if (!(error instanceof VmError)) throw error;
    expect(error.message).toContain(file(name));
    return { code: error.detail.code, message: error.message };
  }
  return { code: "restored", message: "" };
}

const headAt = () => Number(good.readBigUInt64LE(16));

/** The good snapshot with another head, whose checksum is right. */
function withHead(change: (head: AnyHead) => void, version = FORMAT_VERSION): Buffer {
  const head = decodePlainData(good.subarray(headAt()).toString());
  change(head);
  const headBytes = Buffer.from(encodePlainData(head));
  const bytes = Buffer.concat([good.subarray(0, headAt()), headBytes]);
  bytes.writeUInt32LE(version, 8);
  bytes.writeBigUInt64LE(BigInt(headBytes.length), 24);
  createHash("sha256").update(bytes.subarray(0, 32)).update(headBytes).digest().copy(bytes, 32);
  return bytes;
}

test("the snapshot that the other tests damage is good", async () => {
  const { machine } = smallMachine(await savedFrom("parent"));
  expect(hashOf(machine)).toBe(expectedHash);
  expect(
    (
      await refusal(
        "same",
        withHead(() => {}),
      )
    ).code,
  ).toBe("restored");
});

test("every bit that is turned is noticed, wherever it is", async () => {
  const places = Array.from({ length: 120 }, (_, i) => Math.floor((i * (good.length - 1)) / 119));
  for (const place of [...Array.from({ length: 64 }, (_, i) => i), ...places]) {
    const bytes = Buffer.from(good);
    bytes[place] = (bytes[place] ?? 0) ^ (1 << (place % 8));
    const { code } = await refusal("turned", bytes);
    expect([place, code]).toEqual([place, expect.stringMatching(/^snapshot-(damaged|foreign|truncated)$/)]);
  }
});

test.each([0, 1, 7, 63, 64, 65, 1000])("a snapshot that ends after %i bytes is refused", async (length) => {
  const { code, message } = await refusal("short", good.subarray(0, length));
  expect(code).toBe(length < 64 ? "snapshot-foreign" : "snapshot-truncated");
  expect(message).toMatch(length < 64 ? /check the path/ : /copy it again, or take a new one/);
});

test("a snapshot without its last byte, and one with a byte too much, are refused", async () => {
  expect((await refusal("short", good.subarray(0, -1))).code).toBe("snapshot-truncated");
  expect((await refusal("long", Buffer.concat([good, Buffer.of(0)]))).code).toBe("snapshot-damaged");
});

test("a damaged chunk is named by its place", async () => {
  const bytes = Buffer.from(good);
  bytes[100] = (bytes[100] ?? 0) ^ 1;
  const { code, message } = await refusal("chunk", bytes);
  expect(code).toBe("snapshot-damaged");
  expect(message).toMatch(/\(bytes 64 to \d+\); copy it again, or take a new one/);
});

test("files of other kinds are refused", async () => {
  const others = {
    text: "a text that is longer than the first part of a snapshot, so that is not why\n",
    gzip: "\x1f\x8b",
  };
  for (const [name, content] of Object.entries(others)) {
    const { code, message } = await refusal(name, Buffer.from(content.padEnd(100), "latin1"));
    expect(code).toBe("snapshot-foreign");
    expect(message).toContain("not a snapshot of Ringfence: it does not begin as one; check the path");
  }
  await expect(openSnapshot(snapshotHost, folder)).rejects.toMatchObject({
    detail: { code: "file-unreadable" },
  });
  expect((await refusal("absent")).code).toBe("file-not-found");
});

test("a snapshot of a later format is refused with what to do, even where its head makes no sense here", async () => {
  const { code, message } = await refusal(
    "newer",
    withHead((head) => Object.assign(head, { memory: "elsewhere" }), 4),
  );
  expect(code).toBe("snapshot-too-new");
  expect(message).toMatch(
    /has format 4, and this Ringfence knows formats up to 3; use the Ringfence that made it/,
  );
});

test.each<[string, (head: AnyHead) => void]>([
  ["memory[0]", (head) => head.memory[0].pages.splice(0, 1, 1024)],
  ["memory[0]", (head) => Object.assign(head.memory[0], { at: 2 ** 40 })],
  ["memory[0]", (head) => Object.assign(head.memory[0], { sizeBytes: 2 ** 40 })],
  ["memory[0]", (head) => Object.assign(head.memory[0], { codec: "lzw" })],
  ["zeroPages", (head) => head.zeroPages.push(5)],
  ["configuration.ramBytes", (head) => Object.assign(head.configuration, { ramBytes: 12345 })],
  ["configuration.debugExitPort", (head) => Object.assign(head.configuration, { debugExitPort: -1 })],
  ["state.processor", (head) => Object.assign(head.state, { processor: new Uint8Array(5) })],
  ["state.random", (head) => Object.assign(head.state, { random: null })],
  [
    "state.board.secondUart",
    (head) => Object.assign(head.state.board, { secondUart: head.state.board.uart }),
  ],
  [
    "state.board.hpet.timers[1].comparator",
    (head) => Object.assign(head.state.board.hpet.timers[1], { comparator: 5 }),
  ],
  ["state.board.pit.newField", (head) => Object.assign(head.state.board.pit, { newField: 1 })],
  ["state.board.rtc", (head) => delete head.state.board.rtc],
  ["bootPlan", (head) => Object.assign(head.bootPlan.images[0], { address: 2 ** 33 })],
])("a head whose %s is wrong is refused although its checksum is right", async (place, change) => {
  const { code, message } = await refusal("head", withHead(change));
  expect(code).toBe("snapshot-foreign");
  expect(message).toContain(`: ${place} is not as this version has it`);
});

test("what unpacks to another size is refused, also when it would be endless", async () => {
  const bomb = zlib.zstdCompressSync(Buffer.alloc(64 << 20));
  const bytes = Buffer.from(good);
  bomb.copy(bytes, 64);
  const damaged = withHead((head: AnyHead) => {
    const { sizeBytes } = head.memory[0];
    head.memory[0] = {
      ...head.memory[0],
      codec: "zstd",
      packedBytes: bomb.length,
      crc32: zlib.crc32(bomb),
      sizeBytes,
    };
  });
  damaged.set(bytes.subarray(64, 64 + bomb.length), 64);
  expect((await refusal("bomb", damaged)).code).toBe("snapshot-damaged");
});

test("chunks packed by deflate, as browsers can, are read", async () => {
  const head = JSON.parse(good.subarray(headAt()).toString());
  const [chunk] = head.memory;
  const packed = good.subarray(chunk.at, chunk.at + chunk.packedBytes);
  const plain = chunk.codec === "zstd" ? zlib.zstdDecompressSync(packed) : packed;
  const deflated = zlib.deflateRawSync(plain, { level: 9 });
  const room = headAt();
  const other = withHead((changed: AnyHead) => {
    const crc32 = zlib.crc32(deflated);
    Object.assign(changed.memory[0], { codec: "deflate", at: room, packedBytes: deflated.length, crc32 });
  });
  const headBytes = other.subarray(room);
  const bytes = Buffer.concat([good.subarray(0, room), deflated, headBytes]);
  bytes.writeBigUInt64LE(BigInt(room + deflated.length), 16);
  bytes.writeBigUInt64LE(BigInt(headBytes.length), 24);
  createHash("sha256").update(bytes.subarray(0, 32)).update(headBytes).digest().copy(bytes, 32);
  writeFileSync(file("deflate"), bytes);
  expect(hashOf(smallMachine(await savedFrom("deflate")).machine)).toBe(expectedHash);
});

test("a differential snapshot whose parent is absent, or another one, or damaged, is refused", async () => {
  const child = readFileSync(file("child"));
  const elsewhere = mkdtempSync(path.join(folder, "elsewhere-"));
  const childPath = path.join(elsewhere, "child");
  writeFileSync(childPath, child);
  const build = (saved: Parameters<typeof smallMachine>[0]) => smallMachine(saved).machine;
  await expect(restoreMachine(snapshotHost, childPath, build)).rejects.toThrow(
    /child: this snapshot holds only what changed since parent: that file is not there; put that snapshot beside it/,
  );
  writeFileSync(
    path.join(elsewhere, "parent"),
    withHead((head) => Object.assign(head, { madeBy: "another" })),
  );
  await expect(restoreMachine(snapshotHost, childPath, build)).rejects.toThrow(
    /of that name is another snapshot/,
  );
  const broken = Buffer.from(good);
  broken[100] = (broken[100] ?? 0) ^ 1;
  writeFileSync(path.join(elsewhere, "parent"), broken);
  await expect(restoreMachine(snapshotHost, childPath, build)).rejects.toThrow(
    /elsewhere-\w+\/parent: this snapshot is damaged/,
  );
});
