import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import * as memoryMap from "../../src/layout/memory-map.ts";

const ARCHITECTURE = path.join(import.meta.dirname, "../../docs/architecture.md");
const SOURCE = path.join(import.meta.dirname, "../../src/layout/memory-map.ts");

const constants: Readonly<Record<string, number>> = memoryMap;
const numberOf = (text: string): number => Number(text.replaceAll("_", ""));

test("the memory map in docs/architecture.md has the addresses of src/layout/memory-map.ts", () => {
  const lines = [...readFileSync(ARCHITECTURE, "utf8").matchAll(/^ {4}(0x[0-9a-f_]+) {2}([A-Z_]{3,})/gm)];
  const drawn = lines.map(([, address = "", name = ""]) => [name, numberOf(address)]);
  expect(drawn.length).toBeGreaterThan(8);
  expect(drawn).toEqual(drawn.map(([name]) => [name, constants[name as string]]));
});

test("the picture in src/layout/memory-map.ts has the addresses of the constants below it", () => {
  const lines = [...readFileSync(SOURCE, "utf8").matchAll(/^\/\/ +(0x[0-9a-f_]+) +\+-+\+ +([A-Z_]+)/gm)];
  const drawn = lines.map(([, address = "", name = ""]) => [name, numberOf(address)]);
  expect(drawn.length).toBeGreaterThan(8);
  expect(drawn).toEqual(drawn.map(([name]) => [name, constants[name as string]]));
});
