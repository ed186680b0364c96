import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { ChangedBlocks } from "../../src/disk/changed-blocks.ts";
import { RawDisk } from "../../src/disk/raw-disk.ts";
import { type BlockDevice, LAYER_BLOCK_BYTES } from "../../src/host/block-device.ts";
import type { BytePieces } from "../../src/host/byte-pieces.ts";
import { FileStore } from "../../src/host/node/file-store.ts";
import { moveInGroups } from "../../src/host/node/move-in-groups.ts";
import { QuickCalls } from "../../src/host/node/quick-calls.ts";

/** As promises. */
const written = (to: RawDisk | ChangedBlocks | FileStore, offset: number, pieces: BytePieces) =>
  new Promise<void>((done, failed) => void to.writeInPlace(offset, pieces, done, failed));
const filled = (from: RawDisk | ChangedBlocks, offset: number, into: BytePieces) =>
  new Promise<void>((done, failed) => void from.readInPlace(offset, into, done, failed));
const never = () => {
  throw new Error("called");
};

const wait = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

test("after a call that took long, others go another way for a while", () => {
  const calls = new QuickCalls();
  expect(calls.make(() => 1)).toBe(1);
  calls.make(() => wait(20));
  const made = Array.from({ length: 12 }, () => calls.make(() => true));
  expect(made.indexOf(true)).toBe(8);
});

test("a file is read and written in pieces at once, and zeroes lie behind its end", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "ringfence-quick-"));
  try {
    const file = path.join(folder, "disk");
    writeFileSync(file, new Uint8Array(1536).fill(1));
    const disk = await RawDisk.open(await FileStore.open(file, { readOnly: false }));
    expect(disk.writeNow(512, [new Uint8Array(100).fill(2), new Uint8Array(412).fill(3)])).toBe(true);
    const pieces = [new Uint8Array(600).fill(9), new Uint8Array(936).fill(9)];
    expect(disk.readNow(0, pieces)).toBe(true);
    expect([pieces[0]?.[511], pieces[0]?.[512], pieces[1]?.[11], pieces[1]?.[12]]).toEqual([1, 2, 2, 3]);
    expect([pieces[1]?.[423], pieces[1]?.[424], pieces[1]?.[935]]).toEqual([3, 1, 1]);
    expect(() => disk.readNow(1024, [new Uint8Array(1024)])).toThrow("not sectors");
    await disk.close();
    writeFileSync(file, new Uint8Array(700).fill(4));
    const odd = await RawDisk.open(await FileStore.open(file, { readOnly: true }), true);
    const tail = [new Uint8Array(300).fill(9), new Uint8Array(212).fill(9)];
    expect(odd.readNow(512, tail)).toBe(true);
    expect([tail[0]?.[187], tail[0]?.[188], tail[1]?.[0]]).toEqual([4, 0, 0]);
    expect(() => odd.writeNow(0, [new Uint8Array(512)])).toThrow("read-only");
    await odd.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("another thread reads and writes in memory that threads share, as many pieces as there are", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "ringfence-in-place-"));
  try {
    const file = path.join(folder, "disk");
    writeFileSync(file, new Uint8Array(1 << 20));
    const disk = await RawDisk.open(await FileStore.open(file, { readOnly: false }));
    const shared = new Uint8Array(new SharedArrayBuffer(1 << 20)).map((_, i) => i % 251);
    const pieces = Array.from({ length: 2048 }, (_, i) => shared.subarray(i * 256, (i + 1) * 256));
    await written(disk, 512, pieces);
    expect(
      readFileSync(file)
        .subarray(512, 512 + 524288)
        .equals(shared.slice(0, 524288)),
    ).toBe(true);
    await filled(disk, 512, pieces.toReversed());
    expect([shared[2047 * 256 + 1], shared[0], shared[1]]).toEqual([
      1,
      (2047 * 256) % 251,
      (2047 * 256 + 1) % 251,
    ]);
    expect(() => disk.writeInPlace(512, [new Uint8Array(100)], never, never)).toThrow("not sectors");
    await disk.close();
    writeFileSync(file, new Uint8Array(700).fill(4));
    const odd = await RawDisk.open(await FileStore.open(file, { readOnly: true }), true);
    const tail = [new Uint8Array(300).fill(9), new Uint8Array(212).fill(9)];
    await filled(odd, 512, tail);
    expect([tail[0]?.[187], tail[0]?.[188], tail[1]?.[0]]).toEqual([4, 0, 0]);
    await odd.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a disk that notes its changes moves bytes in every way of the disk below it, which may have few", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "ringfence-changes-"));
  try {
    const file = path.join(folder, "disk");
    writeFileSync(file, new Uint8Array(4 * LAYER_BLOCK_BYTES));
    const raw = await RawDisk.open(await FileStore.open(file, { readOnly: false }));
    const disk = new ChangedBlocks(raw, "file");
    const byte = (value: number) => [new Uint8Array(512).fill(value)];
    expect(disk.writeNow(0, byte(5))).toBe(true);
    await written(disk, 2 * LAYER_BLOCK_BYTES + 512, byte(6));
    const [now, inPlace] = [byte(0), byte(0)];
    expect(disk.readNow(2 * LAYER_BLOCK_BYTES + 512, now)).toBe(true);
    await filled(disk, 0, inPlace);
    expect([now, inPlace, disk.changedBlocks]).toEqual([byte(6), byte(5), [0, 2]]);
    const { sizeBytes, readOnly, format } = raw;
    const plain = new ChangedBlocks({ sizeBytes, readOnly, format } as BlockDevice, "file");
    expect([plain.readNow(0, now), plain.writeNow(0, now)]).toEqual([false, false]);
    expect([plain.readInPlace(0, now, never, never), plain.writeInPlace(0, now, never, never)]).toEqual([
      false,
      false,
    ]);
    await disk.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("more pieces than one call of the host takes are moved by several, up to the first that moves less", () => {
  const groups: [number, number][] = [];
  const pieces = Array.from({ length: 2500 }, () => new Uint8Array(2));
  const moved = moveInGroups(pieces, 7, (group, at) => groups.push([group.length, at]) && group.length * 2);
  expect([moved, groups]).toEqual([
    5000,
    [
      [1024, 7],
      [1024, 2055],
      [452, 4103],
    ],
  ]);
  expect(moveInGroups(pieces, 0, (group, at) => (at === 0 ? group.length * 2 : 5))).toBe(2053);
  const failing = (at: number) => {
    if (at > 0) throw new Error("failed");
    return 2048;
  };
  expect(moveInGroups(pieces, 0, (_, at) => failing(at))).toBe(2048);
  expect(() => moveInGroups(pieces, 1, (_, at) => failing(at))).toThrow("failed");
});

test("a file is closed behind what threads are doing with it, and takes no more calls", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "ringfence-close-"));
  try {
    const file = path.join(folder, "disk");
    writeFileSync(file, new Uint8Array(1 << 20));
    const store = await FileStore.open(file, { readOnly: false });
    const order: string[] = [];
    const write = written(store, 0, [new Uint8Array(1 << 20).fill(7)]).then(() => order.push("written"));
    await store.close().then(() => order.push("closed"));
    await write;
    expect([order, readFileSync(file)[1048575]]).toEqual([["written", "closed"], 7]);
    await expect(store.write(0, new Uint8Array(512))).rejects.toThrow("it is closed");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
