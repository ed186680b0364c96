import { expect, test } from "vitest";
import { RECORDS_END } from "../layout/memory-map.ts";
import { RECORD_BYTES } from "../layout/record.ts";
import { FIRST_RECORD, RecordSpace } from "./record-space.ts";

test("records are taken one behind the other, and given back all at once", () => {
  const space = new RecordSpace();
  expect([space.take(3), space.take(1)]).toEqual([FIRST_RECORD, FIRST_RECORD + 3 * RECORD_BYTES]);
  space.reset();
  expect(space.take(1)).toBe(FIRST_RECORD);
});

test("records of entries lie beside each other, whatever is taken in between", () => {
  const space = new RecordSpace();
  const first = space.takeEntry();
  const other = space.take(10);
  expect(space.takeEntry()).toBe(first + RECORD_BYTES);
  expect(other).toBeGreaterThan(first + RECORD_BYTES);
  expect(space.take(1)).toBe(other + 10 * RECORD_BYTES);
});

test("no record is taken twice when the entries' room is used up", () => {
  const space = new RecordSpace();
  const taken = Array.from({ length: 2000 }, () => [space.takeEntry(), space.take(1)]).flat();
  expect(new Set(taken).size).toBe(4000);
});

test("0 says that there is no room", () => {
  const space = new RecordSpace();
  space.takeUpTo(RECORDS_END - RECORD_BYTES);
  expect([space.hasRoom(RECORD_BYTES), space.takeEntry(), space.take(2)]).toEqual([true, 0, 0]);
  expect(space.take(1)).toBe(RECORDS_END - RECORD_BYTES);
  expect(space.take(1)).toBe(0);
  space.reset();
  expect(space.takeEntry()).toBe(FIRST_RECORD);
});
