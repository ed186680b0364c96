import { beforeEach, describe, expect, test } from "vitest";
import { RIP } from "../../../src/layout/cpu-state.ts";
import { CODE_INDEX, CODE_INDEX_ENTRIES, CODE_INDEX_ENTRY_BYTES } from "../../../src/layout/memory-map.ts";
import { HANDLER, HANDLER_FORWARD, LINK } from "../../../src/layout/record.ts";
import type { CoreMachine } from "./core-machine.ts";
import { longModeMachine, mapPage, P, RW } from "./long-mode-paging.ts";

const ORDINARY = 400;
// Both have the index that the upper half of their product with 0x9e3779b1 is, and the same as each other.
const FIRST = 0x5000;
const SECOND = 0x1_1575;

let machine: CoreMachine;
let records: number;
beforeEach(() => {
  machine = longModeMachine();
  mapPage(machine, 0x5, 0x5, P | RW);
  mapPage(machine, 0x11, 0x11, P | RW);
  machine.core.forgetCode();
  // Records of its own, in guest RAM.
  records = machine.core.hostForWrite(0x5000n) + 0x800;
  for (let n = 0; n < 3; n++) setRecord(n, ORDINARY);
});

const recordAt = (n: number): number => records + n * 32;

function setRecord(n: number, handler: number, link = 0): void {
  machine.setHost32(recordAt(n) + HANDLER, handler);
  machine.setHost32(recordAt(n) + LINK, link);
}

function enter(place: number, record: number): void {
  machine.set64(RIP, BigInt(place));
  machine.core.enterCode(place, -1, record);
}

function found(place: number): number {
  machine.set64(RIP, BigInt(place));
  return machine.core.findCode();
}

describe("the code index", () => {
  test("has two places of one index, whichever was entered first", () => {
    enter(FIRST, recordAt(0));
    enter(SECOND, recordAt(1));
    expect([found(FIRST), found(SECOND)]).toEqual([recordAt(0), recordAt(1)]);
    enter(FIRST, recordAt(2));
    expect([found(FIRST), found(SECOND)]).toEqual([recordAt(2), recordAt(1)]);
  });

  test("has a place in one entry only, however often it is entered", () => {
    const keys = (): bigint[] =>
      Array.from({ length: CODE_INDEX_ENTRIES }, (_, n) =>
        machine.host64(CODE_INDEX + n * CODE_INDEX_ENTRY_BYTES),
      ).filter((key) => key !== 0n);
    for (const place of [FIRST, SECOND, FIRST, FIRST, SECOND, SECOND]) enter(place, recordAt(0));
    expect(keys().sort()).toEqual([(64n << 32n) | BigInt(FIRST), (64n << 32n) | BigInt(SECOND)].sort());
  });

  test("leads to the record that has taken another's place, however many lie between, and keeps that", () => {
    enter(FIRST, recordAt(0));
    setRecord(0, HANDLER_FORWARD, recordAt(1));
    setRecord(1, HANDLER_FORWARD, recordAt(2));
    expect(found(FIRST)).toBe(recordAt(2));
    setRecord(0, ORDINARY);
    expect(found(FIRST)).toBe(recordAt(2));
  });

  test("has nothing after all code was forgotten", () => {
    enter(FIRST, recordAt(0));
    machine.core.forgetCode();
    expect(found(FIRST)).toBe(0);
  });
});
