import { beforeEach, expect, test } from "vitest";
import {
  COUNT_DEVICE_ACCESS,
  CPL,
  CR0,
  RFLAGS_SYSTEM,
  SEG_TR,
  SEGMENT_ATTRIBUTES,
  SEGMENT_BASE,
  SEGMENT_LIMIT,
  STATUS_FAULT,
  STATUS_OK,
} from "../../../src/layout/cpu-state.ts";
import { type Core, startCore } from "./core-fixture.ts";

const TSS = 0x5000;
const IO_MAP = 0x68;

let core: Core;
beforeEach(() => {
  core = startCore();
  core.set64(CR0, 0x11n);
  core.set32(CPL, 3);
  core.set64(SEG_TR + SEGMENT_BASE, BigInt(TSS));
  core.set32(SEG_TR + SEGMENT_LIMIT, IO_MAP + 32);
  core.set32(SEG_TR + SEGMENT_ATTRIBUTES, 0x8b);
  core.ramView.setUint16(TSS + 102, IO_MAP, true);
  core.ram.fill(0xff, TSS + IO_MAP, TSS + IO_MAP + 33);
});

const allow = (port: number): void => {
  core.ram[TSS + IO_MAP + (port >> 3)]! &= ~(1 << (port & 7));
};

test("real mode may access every port", () => {
  core.set64(CR0, 0x10n);
  expect(core.call("checkPort", 0x3f8, 1)).toBe(STATUS_OK);
});

test("CPL up to IOPL may access every port", () => {
  core.set64(RFLAGS_SYSTEM, 0x3002n);
  expect(core.call("checkPort", 0x3f8, 1)).toBe(STATUS_OK);
});

test("virtual-8086 mode looks at the map even with IOPL 3", () => {
  core.set64(RFLAGS_SYSTEM, 0x2_3002n);
  expect(core.call("checkPort", 0x80, 1)).toBe(STATUS_FAULT);
});

test("each port of the access must be allowed, across a byte of the map too", () => {
  allow(0x87);
  expect(core.call("checkPort", 0x87, 1)).toBe(STATUS_OK);
  expect(core.call("checkPort", 0x87, 2)).toBe(STATUS_FAULT);
  core.clearFault();
  allow(0x88);
  expect(core.call("checkPort", 0x87, 2)).toBe(STATUS_OK);
});

test("ports whose bits lie behind the TSS limit are refused", () => {
  core.ram.fill(0, TSS + IO_MAP, TSS + IO_MAP + 40);
  expect(core.call("checkPort", 0xf8, 1)).toBe(STATUS_OK);
  expect(core.call("checkPort", 0x100, 1)).toBe(STATUS_FAULT);
  expect(core.fault()).toBe("13(0)");
});

test("a 16-bit TSS has no map", () => {
  core.set32(SEG_TR + SEGMENT_ATTRIBUTES, 0x83);
  allow(0x80);
  expect(core.call("checkPort", 0x80, 1)).toBe(STATUS_FAULT);
});

test("accesses are counted", () => {
  core.host.portValue = () => 0x5a;
  expect(core.call("portIn", 0x64, 1)).toBe(0x5a);
  core.call("portOut", 0x64, 1, 0xd1);
  expect(core.host.log).toEqual(["in 64 1", "out 64 1 d1"]);
  expect(core.get64(COUNT_DEVICE_ACCESS)).toBe(2n);
});
