import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LINK_SLOTS, LINK_SLOTS_END, REGION_CELLS } from "../../layout/memory-map.ts";
import { ModuleWriter } from "../../wasm/module-writer.ts";
import { CompiledRegionFile } from "./compiled-region-file.ts";
import type { PlacedRegion } from "./kept-module.ts";
import type { ModuleCode } from "./module-code.ts";

const CODE_BYTES = 100_000;

let folder = "";
let file = "";
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "compiled-"));
  file = path.join(folder, "a.code");
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Stands for V8: code of a module is so many bytes of a value, and no others are taken. */
function fakeCode(value: number, bytes = CODE_BYTES): ModuleCode {
  return {
    serialize: () => new Uint8Array(bytes).fill(value),
    deserialize: (wire, code) =>
      code[0] === value ? new WebAssembly.Module(new Uint8Array(wire)) : undefined,
    version: "a fake",
  };
}

const wire = new ModuleWriter().finish();
const module = new WebAssembly.Module(wire);

/** Regions with the places from some slot and cell on. */
const regionAt = (key: number, slot: number): PlacedRegion => ({
  key,
  digest: `${key}`.padStart(32, "0"),
  slots: LINK_SLOTS + slot,
  slotBytes: 32,
  cells: REGION_CELLS + slot,
  cellBytes: 8,
});

const always = (): boolean => true;

/** The file with one module of two regions. */
function saved(): void {
  const made = new CompiledRegionFile(file, fakeCode(1));
  made.add(wire, module, [regionAt(1, 0), regionAt(2, 32)]);
  made.save(always);
  made.close();
}

describe("a file of compiled regions", () => {
  test("gives another process the module, the function and the places of a region", () => {
    saved();
    const next = new CompiledRegionFile(file, fakeCode(1));
    const found = next.find(regionAt(2, 0));
    expect(found).toMatchObject({ index: 1, slots: LINK_SLOTS + 32, cells: REGION_CELLS + 32 });
    expect(found?.module.load()).toBeInstanceOf(WebAssembly.Module);
    expect(next.hasKey(2)).toBe(true);
    expect(next.hasKey(3)).toBe(false);
    expect(next.find({ key: 2, digest: "f".repeat(32) })).toBeUndefined();
    expect(next.freePlaces).toEqual({ slots: LINK_SLOTS + 64, cells: REGION_CELLS + 40 });
  });

  test("does without code that V8 does not take, and without a damaged file", () => {
    saved();
    const other = new CompiledRegionFile(file, fakeCode(2));
    const found = other.find(regionAt(1, 0));
    expect(found?.module.load()).toBeUndefined();
    expect(other.find(regionAt(1, 0))).toBeUndefined();
    const bytes = readFileSync(file);
    for (const at of [bytes.length - 1, 20, 90]) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 1;
      writeFileSync(file, damaged);
      const next = new CompiledRegionFile(file, fakeCode(1));
      expect(next.find(regionAt(1, 0))?.module.load()).toBeUndefined();
    }
  });

  test("keeps what others have saved meanwhile, but not in the same places", () => {
    const mine = new CompiledRegionFile(file, fakeCode(1));
    mine.add(wire, module, [regionAt(5, 16)]);
    const other = new CompiledRegionFile(file, fakeCode(1));
    other.add(wire, module, [regionAt(6, 0)]);
    other.add(wire, module, [regionAt(7, 64)]);
    other.save(always);
    mine.save(always);
    const next = new CompiledRegionFile(file, fakeCode(1));
    expect([5, 6, 7].map((key) => next.hasKey(key))).toEqual([true, false, true]);
  });

  test("takes no region whose places are another's", () => {
    const made = new CompiledRegionFile(file, fakeCode(1));
    made.add(wire, module, [regionAt(1, 0)]);
    made.add(wire, module, [regionAt(2, 16)]);
    expect([1, 2].map((key) => made.find(regionAt(key, 0)) !== undefined)).toEqual([true, false]);
  });

  test("begins anew where half of the places are taken", () => {
    saved();
    const made = new CompiledRegionFile(file, fakeCode(1));
    made.add(wire, module, [regionAt(3, (LINK_SLOTS_END - LINK_SLOTS) / 2)]);
    made.save(always);
    const next = new CompiledRegionFile(file, fakeCode(1));
    expect(next.freePlaces).toEqual({ slots: LINK_SLOTS, cells: REGION_CELLS });
  });

  test("is written again for more code only", () => {
    saved();
    const before = statSync(file).size;
    const less = new CompiledRegionFile(file, fakeCode(1, CODE_BYTES - 1000));
    less.find(regionAt(1, 0))?.module.load();
    less.save(always);
    expect(statSync(file).size).toBe(before);
    const more = new CompiledRegionFile(file, fakeCode(1, 2 * CODE_BYTES));
    more.find(regionAt(1, 0))?.module.load();
    more.save(always);
    expect(statSync(file).size).toBe(before + CODE_BYTES);
  });

  test("lets go of modules that nobody needs, but for their code, which is bounded", () => {
    const made = new CompiledRegionFile(file, fakeCode(1, 5 << 20));
    const kept = [0, 1, 2, 3].map((i) => made.add(wire, module, [regionAt(i, 32 * i)]));
    for (const one of kept) one.release();
    expect([0, 1, 2, 3].map((key) => made.find(regionAt(key, 0)) !== undefined)).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect(kept[0]!.load()).toBeInstanceOf(WebAssembly.Module);
  });
});
