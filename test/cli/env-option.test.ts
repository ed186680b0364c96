import { expect, test } from "vitest";
import { parseEnvironment } from "../../src/cli/env-option.ts";

const OWN = new Map([
  ["HERE", "its = value"],
  ["EMPTY", ""],
]);
const parsed = (...texts: string[]) => [...parseEnvironment(texts, (name) => OWN.get(name))];

test("a variable has the value behind the first equals sign, whatever is in it", () => {
  expect(parsed("A=b", "B=", "C==c=\n", "a b=c")).toEqual([
    ["A", "b"],
    ["B", ""],
    ["C", "=c=\n"],
    ["a b", "c"],
  ]);
});

test("a name alone has the value of this process, or none where it has none", () => {
  expect(parsed("HERE", "EMPTY", "ABSENT")).toEqual([
    ["HERE", "its = value"],
    ["EMPTY", ""],
    ["ABSENT", undefined],
  ]);
  process.env["RINGFENCE_TEST_VARIABLE"] = "x";
  expect([...parseEnvironment(["RINGFENCE_TEST_VARIABLE"])]).toEqual([["RINGFENCE_TEST_VARIABLE", "x"]]);
});

test("of several of a name the last counts", () => {
  expect(parsed("A=1", "HERE=2", "A=3", "HERE")).toEqual([
    ["A", "3"],
    ["HERE", "its = value"],
  ]);
});

test.each(["=", "=value", "A=\0", ""])("%j is no variable", (text) => {
  expect(() => parsed(text)).toThrow("expected NAME=VALUE, or the NAME of a variable of this process");
});
