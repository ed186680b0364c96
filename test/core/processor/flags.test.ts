import { beforeEach, describe, expect, test } from "vitest";
import { FLAG_C, FLAG_R, FLAG_X, FLAG_Y, RFLAGS_SYSTEM } from "../../../src/layout/cpu-state.ts";
import { CoreMachine } from "../memory/core-machine.ts";

let machine: CoreMachine;
beforeEach(() => {
  machine = new CoreMachine();
});

const CF = 0x1n;
const PF = 0x4n;
const AF = 0x10n;
const ZF = 0x40n;
const SF = 0x80n;
const OF = 0x800n;

describe("the lazy words", () => {
  const rows: [name: string, c: number, r: bigint, x: bigint, y: bigint, flags: bigint][] = [
    ["add 1 + 2", 0, 3n, 1n, 2n, PF],
    ["add al: 0x7f + 1", 0, ~0x7fn, 0x7fn, 1n, AF | SF | OF],
    ["add al: 0xff + 1", 1, 0n, -1n, 1n, CF | PF | AF | ZF],
    ["sub 1 - 2", 1, -1n, 1n, ~2n ^ 0x10n, CF | PF | AF | SF],
    ["sub al: 0x80 - 1", 0, 0x7fn, -0x80n, ~1n ^ 0x10n, AF | OF],
    ["sub 5 - 5", 0, 0n, 5n, ~5n ^ 0x10n, PF | ZF],
    ["parity inverted", 4, 3n, 1n, 2n, 0n],
    ["sign inverted", 2, 3n, 1n, 2n, PF | SF],
  ];
  test.each(rows)("%s", (_name, c, r, x, y, flags) => {
    machine.set32(FLAG_C, c);
    machine.set64(FLAG_R, r);
    machine.set64(FLAG_X, x);
    machine.set64(FLAG_Y, y);
    expect(machine.core.readFlags()).toBe(flags | 2n);
  });
});

test("all 64 sets of status flags survive writing and reading", () => {
  const flags = [CF, PF, AF, ZF, SF, OF];
  const sets = Array.from({ length: 64 }, (_, set) =>
    flags.reduce((sum, flag, bit) => sum | (set & (1 << bit) ? flag : 0n), 0n),
  );
  const read = sets.map((set) => {
    machine.core.writeFlags(set, 0x8d5n);
    return machine.core.readFlags();
  });
  expect(read).toEqual(sets.map((set) => set | 2n));
});

test("writeStatusFlags takes carry, parity, adjust, zero, sign, overflow", () => {
  machine.core.writeStatusFlags(1, 0, 0, 0, 0, 1);
  expect(machine.core.readFlags()).toBe(CF | OF | 2n);
  machine.core.writeStatusFlags(0, 1, 1, 1, 1, 0);
  expect(machine.core.readFlags()).toBe(PF | AF | ZF | SF | 2n);
});

describe("writeFlags", () => {
  test("changes only what the mask names", () => {
    machine.set64(RFLAGS_SYSTEM, 0x202n);
    machine.core.writeStatusFlags(1, 1, 0, 0, 0, 0);
    machine.core.writeFlags(0x4_0040n, 0x4_0041n);
    expect(machine.core.readFlags()).toBe(0x4_0246n);
  });

  test("keeps bit 1 set and undefined bits clear", () => {
    machine.core.writeFlags(0xffff_ffff_ffff_ffffn, 0xffff_ffff_ffff_ffffn);
    expect(machine.core.readFlags()).toBe(0x3f_7fd7n);
    expect(machine.get64(RFLAGS_SYSTEM)).toBe(0x3f_7702n);
    machine.core.writeFlags(0n, 0xffff_ffff_ffff_ffffn);
    expect(machine.core.readFlags()).toBe(2n);
  });
});
