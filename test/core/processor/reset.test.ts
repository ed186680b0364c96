import { describe, expect, test } from "vitest";
import {
  CODE_BITS,
  CPL,
  CR0,
  CR4,
  DR6,
  DR7,
  GDTR_LIMIT,
  IDTR_LIMIT,
  MSR_EFER,
  MXCSR,
  RAX,
  RDX,
  RIP,
  RIP_MASK,
  SEG_CS,
  SEG_DS,
  SEG_TR,
  SEGMENT_EFFECTIVE_BASE,
  STACK_BITS,
  TLB_BASE,
  X87_FCW,
  XMM,
} from "../../../src/layout/cpu-state.ts";
import { TLB_BANK_SUPERVISOR_AC } from "../../../src/layout/memory-map.ts";
import { CoreMachine } from "../memory/core-machine.ts";
import { enterUser, longModeSystem } from "./long-mode-system.ts";

describe("RESET", () => {
  test("leads to the last paragraph below 4 GiB", () => {
    const machine = new CoreMachine();
    expect(machine.segment(SEG_CS)).toEqual({
      selector: 0xf000,
      base: 0xffff_0000n,
      limit: 0xffff,
      attributes: 0x9b,
    });
    expect(machine.get64(RIP)).toBe(0xfff0n);
    expect(machine.get64(SEG_CS + SEGMENT_EFFECTIVE_BASE)).toBe(0xffff_0000n);
    expect(machine.core.translateExecute(0xffff_fff0n)).toBe(0xffff_fff0n);
  });

  test("sets the registers of the manual's table", () => {
    const machine = new CoreMachine();
    expect(machine.core.readFlags()).toBe(2n);
    expect(machine.get64(CR0)).toBe(0x6000_0010n);
    expect(machine.get64(CR4)).toBe(0n);
    expect(machine.segment(SEG_DS)).toEqual({ selector: 0, base: 0n, limit: 0xffff, attributes: 0x93 });
    expect(machine.get64(RAX)).toBe(0n);
    expect(machine.get64(RDX)).toBe(0x80_0f11n);
    expect(machine.get32(GDTR_LIMIT)).toBe(0xffff);
    expect(machine.get32(IDTR_LIMIT)).toBe(0xffff);
    expect(machine.segment(SEG_TR).limit).toBe(0xffff);
    expect(machine.get64(DR6)).toBe(0xffff_0ff0n);
    expect(machine.get64(DR7)).toBe(0x400n);
    expect(machine.get32(MXCSR)).toBe(0x1f80);
    expect(machine.get32(X87_FCW)).toBe(0x40);
    expect(machine.fault()).toBe("none");
  });

  test("derives 16-bit code and stack at CPL 0", () => {
    const machine = new CoreMachine();
    expect(machine.get32(CODE_BITS)).toBe(16);
    expect(machine.get32(RIP_MASK)).toBe(0xffff);
    expect(machine.get32(STACK_BITS)).toBe(16);
    expect(machine.get32(CPL)).toBe(0);
    expect(machine.get32(TLB_BASE)).toBe(TLB_BANK_SUPERVISOR_AC);
  });

  test("ends whatever ran before", () => {
    const machine = longModeSystem();
    enterUser(machine);
    machine.core.deliverNmi();
    machine.set64(XMM, 0x1234n);
    machine.core.readLinear8(0x5000n);
    machine.core.reset();
    expect(machine.get32(CPL)).toBe(0);
    expect(machine.get64(MSR_EFER)).toBe(0n);
    expect(machine.get64(XMM)).toBe(0n);
    expect(machine.core.nmiBlocked()).toBe(0);
    expect(machine.get32(CODE_BITS)).toBe(16);
  });
});
