import { beforeEach, expect, test } from "vitest";
import { CR3 } from "../../../src/layout/cpu-state.ts";
import type { CoreMachine } from "./core-machine.ts";
import { longModeMachine, mapPage, P, RW, setPrivilege } from "./long-mode-paging.ts";

const PAGE = 5;
const FRAME = 0x21;

let machine: CoreMachine;
beforeEach(() => {
  machine = longModeMachine();
  mapPage(machine, PAGE, FRAME, P | RW);
  setPrivilege(machine, 0);
  machine.takeAway(FRAME);
  machine.absentByte = 0x5a;
});

test("a read of an absent page brings it in, once", () => {
  expect(machine.host32(machine.core.readSlow(0x5010n, 4))).toBe(0x5a5a5a5a);
  expect(machine.host32(machine.core.readSlow(0x5020n, 4))).toBe(0x5a5a5a5a);
  expect(machine.pagesNeeded).toEqual([FRAME]);
});

test("a write to an absent page comes behind what the page held", () => {
  expect(machine.core.writeSlow(0x5010n, 4, 0x1234_5678n)).toBe(1);
  expect(machine.read64(0x21010)).toBe(0x5a5a5a5a_12345678n);
  expect(machine.pagesNeeded).toEqual([FRAME]);
});

test("an access across two pages brings in both", () => {
  mapPage(machine, PAGE + 1, FRAME + 8, P | RW);
  machine.takeAway(FRAME + 8);
  expect(machine.host64(machine.core.readSlow(0x5ffcn, 8))).toBe(0x5a5a5a5a_5a5a5a5an);
  expect(machine.pagesNeeded).toEqual([FRAME, FRAME + 8]);
});

test("code on an absent page is brought in before it is decoded", () => {
  expect(machine.core.translateExecute(0x5010n)).toBe(0x21010n);
  expect(machine.pagesNeeded).toEqual([FRAME]);
});

test("a page table that is absent is brought in for the walk", () => {
  const tables = Number(machine.get64(CR3)) >> 12;
  machine.takeAway(tables);
  // All its entries are 0: nothing is present.
  machine.absentByte = 0;
  expect(machine.core.readSlow(0x5010n, 4)).toBe(0);
  expect(machine.pagesNeeded).toEqual([tables]);
  expect(machine.fault()).toMatch(/^14/);
});
