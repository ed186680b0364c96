import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { FEATURES } from "../../src/cpu/cpuid-tables.ts";
import { INSTRUCTIONS } from "../../src/isa/instructions/all.ts";
import { checksOf } from "../../tools/support/checks.ts";
import { FEATURE_SUPPORT } from "../../tools/support/features.ts";
import { supportDocument } from "../../tools/support-table.ts";

const SUPPORT = path.join(import.meta.dirname, "../../docs/support.md");
const mnemonics = new Set(INSTRUCTIONS.map((instruction) => instruction.mnemonic));

test("docs/support.md is what the tables say now; npm run docs writes it", () => {
  expect(readFileSync(SUPPORT, "utf8")).toBe(supportDocument());
});

test("some test checks every instruction of the table", () => {
  const unchecked = INSTRUCTIONS.filter((instruction) => checksOf(instruction) === "");
  expect(unchecked.map(({ mnemonic, source }) => `${mnemonic}: ${source}`)).toEqual([]);
});

test.each(FEATURES.map(([name]) => name))(
  "every instruction that CPUID promises with %s is in the table",
  (name) => {
    const missing = FEATURE_SUPPORT[name].instructions.filter((mnemonic) => !mnemonics.has(mnemonic));
    expect(missing).toEqual([]);
  },
);
