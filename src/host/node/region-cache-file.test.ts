import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CompiledRegionFile } from "./compiled-region-file.ts";
import { RegionCacheFile } from "./region-cache-file.ts";

let folder = "";
let file = "";
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "regions-"));
  file = path.join(folder, "a.regions");
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Without V8's code. */
const open = (): RegionCacheFile =>
  new RegionCacheFile(file, new CompiledRegionFile(`${file}.code`, undefined));

const region = (content: number): Uint8Array<ArrayBuffer> => new Uint8Array(40).fill(content);

/** A cache with regions of keys from `first` on, saved. */
function saved(first: number): RegionCacheFile {
  const cache = open();
  for (let key = first; key < first + 10; key++) cache.add(key, region(key));
  cache.save();
  return cache;
}

const found = (cache: RegionCacheFile, key: number): Uint8Array[] =>
  [...cache.find(key)].flatMap((known) => known.read() ?? []);

describe("a file of regions", () => {
  test("gives another process what was saved, and leaves no other file behind", () => {
    saved(1).close();
    const next = open();
    expect(found(next, 3)).toEqual([region(3)]);
    expect(found(next, 99)).toEqual([]);
    expect(readdirSync(folder)).toEqual(["a.regions"]);
  });

  test("keeps what another process has saved meanwhile", () => {
    const mine = open();
    saved(1).close();
    for (let key = 20; key < 30; key++) mine.add(key, region(key));
    mine.save();
    const next = open();
    expect([...found(next, 5), ...found(next, 25)]).toEqual([region(5), region(25)]);
  });

  test("has several regions of a key, the newest first, and each once", () => {
    const cache = open();
    for (const content of [1, 2, 1]) cache.add(7, region(content));
    expect(found(cache, 7)).toEqual([region(2), region(1)]);
  });

  test("takes a damaged region, a damaged index and another file for nothing", () => {
    saved(1).close();
    const bytes = readFileSync(file);
    const last = Buffer.from(bytes);
    last[last.length - 1]! ^= 1;
    writeFileSync(file, last);
    expect(found(open(), 10)).toEqual([]);
    expect(found(open(), 9)).toEqual([region(9)]);
    const index = Buffer.from(bytes);
    index[20]! ^= 1;
    writeFileSync(file, index);
    expect(found(open(), 9)).toEqual([]);
    writeFileSync(file, "something else altogether");
    expect(found(open(), 9)).toEqual([]);
    writeFileSync(file, bytes.subarray(0, 100));
    expect(found(open(), 9)).toEqual([]);
  });

  test("keeps no more than 48 MB of one run in memory", () => {
    const cache = open();
    const large = (): Uint8Array<ArrayBuffer> => new Uint8Array(4 << 20);
    for (let key = 0; key < 13; key++) cache.add(key, large());
    expect(found(cache, 11)).toEqual([large()]);
    expect(found(cache, 12)).toEqual([]);
  });

  test("is written by nobody who has added little", () => {
    const cache = open();
    cache.add(1, region(1));
    cache.save();
    expect(readdirSync(folder)).toEqual([]);
  });
});
