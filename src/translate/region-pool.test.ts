import { expect, test } from "vitest";
import { RegionPool } from "./region-pool.ts";

/** A module of which is told how often it was loaded and let go of. */
function fakeModule() {
  const counts = { loads: 0, releases: 0 };
  return { counts, load: () => undefined, release: () => void counts.releases++ };
}

function poolOf(available = true) {
  let loads = 0;
  const exports = { "0": () => 10, "1": () => 11 } as unknown as WebAssembly.Exports;
  const pool = new RegionPool(() => {
    loads++;
    return available ? exports : undefined;
  });
  return { pool, loads: () => loads };
}

const places = { slots: 0, cells: 0 };

test("a region is in one place at a time", () => {
  const { pool, loads } = poolOf();
  const module = fakeModule();
  const region = { module, index: 1, ...places };
  const taken = pool.take(region);
  expect(taken?.run(0)).toBe(11);
  expect(pool.take(region)).toBeUndefined();
  expect(pool.take({ ...region, index: 0 })?.run(0)).toBe(10);
  taken!.release();
  expect(pool.take(region)).toBeDefined();
  expect(loads()).toBe(1);
});

test("a module that cannot be had has no regions", () => {
  const { pool } = poolOf(false);
  expect(pool.take({ module: fakeModule(), index: 0, ...places })).toBeUndefined();
});

test("of modules that are not in use those are let go of that have been idle longest", () => {
  const { pool } = poolOf();
  const modules = Array.from({ length: 130 }, fakeModule);
  const taken = modules.map((module) => pool.take({ module, index: 0, ...places }));
  for (const region of taken.slice(1)) region!.release();
  expect(modules.map(({ counts }) => counts.releases)).toEqual([0, 1, ...Array(128).fill(0)]);
});
