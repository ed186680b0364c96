import { expect, test } from "vitest";
import { ConsoleKeys } from "../../src/cli/console-keys.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

test("what is typed goes to the guest, Ctrl-C and Ctrl-Z included", () => {
  expect(new ConsoleKeys().read(bytes("ls\r\x03\x1a"))).toEqual({
    forGuest: bytes("ls\r\x03\x1a"),
    requests: [],
  });
});

test("Ctrl-A X quits and Ctrl-A H asks for help, in either case of the letter", () => {
  expect(new ConsoleKeys().read(bytes("\x01x"))).toEqual({ forGuest: bytes(""), requests: ["quit"] });
  expect(new ConsoleKeys().read(bytes("a\x01Hb"))).toEqual({ forGuest: bytes("ab"), requests: ["help"] });
});

test("Ctrl-A Ctrl-A and Ctrl-A A send one Ctrl-A", () => {
  expect(new ConsoleKeys().read(bytes("\x01\x01")).forGuest).toEqual(bytes("\x01"));
  expect(new ConsoleKeys().read(bytes("\x01a")).forGuest).toEqual(bytes("\x01"));
});

test("a sequence may arrive in two pieces", () => {
  const keys = new ConsoleKeys();
  expect(keys.read(bytes("a\x01"))).toEqual({ forGuest: bytes("a"), requests: [] });
  expect(keys.read(bytes("xb"))).toEqual({ forGuest: bytes("b"), requests: ["quit"] });
});

test("an unknown key behind Ctrl-A is swallowed with it", () => {
  expect(new ConsoleKeys().read(bytes("\x01qa"))).toEqual({ forGuest: bytes("a"), requests: [] });
});
