import { beforeEach, expect, test } from "vitest";
import { DR, DR7, FAULT_VECTOR, FAULT_WATCHED, RIP } from "../../../src/layout/cpu-state.ts";
import {
  CODE_MAP,
  TLB_BANK_SUPERVISOR_AC,
  TLB_ENTRY_BYTES,
  TLB_FLAG_TRACED,
  TLB_FLAGS,
  TLB_WRITE,
} from "../../../src/layout/memory-map.ts";
import type { CoreMachine } from "./core-machine.ts";
import { longModeMachine, mapPage, P, RW, setPrivilege } from "./long-mode-paging.ts";

const PAGE = 5;
const FRAME = 0x20;
const RECORD = 0x100_0040;
const WRITE_ENTRY = TLB_BANK_SUPERVISOR_AC + TLB_WRITE + PAGE * TLB_ENTRY_BYTES;
/** L0 with R/W0 of execution, or of data writes. */
const ON_EXECUTION = 0x401n;
const ON_WRITE = 0x1_0401n;

let machine: CoreMachine;
beforeEach(() => {
  machine = longModeMachine();
  mapPage(machine, PAGE, FRAME, P | RW);
  setPrivilege(machine, 0);
  machine.core.forgetCode();
});

function setBreakpoint(va: bigint, control: bigint): void {
  machine.set64(DR, va);
  machine.set64(DR7, control);
  machine.core.flushTlb(0);
}

test("the code index does not find code on a page with an instruction breakpoint", () => {
  machine.set64(RIP, 0x5010n);
  machine.core.enterCode(0x20010, -1, RECORD);
  expect(machine.core.findCode()).toBe(RECORD);
  setBreakpoint(0x5ff0n, ON_EXECUTION);
  expect(machine.core.findCode()).toBe(0);
  setBreakpoint(0x6000n, ON_EXECUTION);
  expect(machine.core.findCode()).toBe(RECORD);
});

test("a page of code with a data breakpoint gets no traced entry in the write TLB", () => {
  const isTraced = () => (machine.host32(WRITE_ENTRY + TLB_FLAGS) & TLB_FLAG_TRACED) !== 0;
  machine.setHost64(CODE_MAP + 8 * FRAME, 1n);
  machine.core.writeLinear8(0x5810n, 1n);
  expect(isTraced()).toBe(true);
  setBreakpoint(0x5ff0n, ON_WRITE);
  machine.core.writeLinear8(0x5810n, 2n);
  expect(machine.read8(0x20810)).toBe(2);
  expect(isTraced()).toBe(false);
  machine.setHost64(CODE_MAP + 8 * FRAME, 0n);
});

test("a store of 32 bytes over a data breakpoint ends its instruction before anything is written", () => {
  setBreakpoint(0x5830n, ON_WRITE);
  expect(machine.core.writeSlow256(0x5811n, 1n, 2n, 3n, 4n)).toBe(0);
  expect(machine.get32(FAULT_VECTOR)).toBe(FAULT_WATCHED);
  expect(machine.read64(0x20811)).toBe(0n);
  machine.core.clearFault();
  expect(machine.core.writeSlow256(0x5810n, 1n, 2n, 3n, 4n)).toBe(1);
  expect(machine.read64(0x20828)).toBe(4n);
});
