import { describe, expect, test } from "vitest";
import { RSP, SEG_SS, STATUS_FAULT, STATUS_OK } from "../../../src/layout/cpu-state.ts";
import { mapPage } from "../memory/long-mode-paging.ts";
import { KERNEL_STACK, longModeSystem } from "./long-mode-system.ts";
import { protectedSystem, realSystem, STACK } from "./protected-system.ts";

describe("64-bit stacks", () => {
  test("push and pop 64 and 16 bits", () => {
    const machine = longModeSystem();
    expect(machine.core.push(0x1122_3344_5566_7788n, 64)).toBe(STATUS_OK);
    expect(machine.core.push(0x9999_aaaan, 16)).toBe(STATUS_OK);
    expect(machine.get64(RSP)).toBe(KERNEL_STACK - 10n);
    expect(machine.read16(Number(KERNEL_STACK) - 10)).toBe(0xaaaa);
    expect(machine.core.pop(16)).toBe(0xaaaan);
    expect(machine.core.pop(64)).toBe(0x1122_3344_5566_7788n);
    expect(machine.get64(RSP)).toBe(KERNEL_STACK);
  });

  test("a fault leaves RSP", () => {
    const machine = longModeSystem();
    mapPage(machine, 0x10, 0, 0n);
    expect(machine.core.push(1n, 64)).toBe(STATUS_FAULT);
    expect(machine.takeFault()).toBe("14(2) at 10ff8");
    expect(machine.get64(RSP)).toBe(KERNEL_STACK);
    machine.set64(RSP, 0x1_0000n);
    machine.core.pop(64);
    expect(machine.fault()).toBe("14(0) at 10000");
    expect(machine.get64(RSP)).toBe(0x1_0000n);
  });

  test("a non-canonical stack is #SS(0)", () => {
    const machine = longModeSystem();
    machine.set64(RSP, (1n << 47n) + 8n);
    expect(machine.core.push(1n, 64)).toBe(STATUS_FAULT);
    expect(machine.takeFault()).toBe("12(0)");
    machine.core.pop(64);
    expect(machine.fault()).toBe("12(0)");
  });
});

describe("32-bit stacks", () => {
  test("push and pop 32 and 16 bits", () => {
    const machine = protectedSystem();
    machine.core.push(0x1234_5678n, 32);
    machine.core.push(0xabcdn, 16);
    expect(machine.get64(RSP)).toBe(BigInt(STACK - 6));
    expect(machine.core.pop(16)).toBe(0xabcdn);
    expect(machine.core.pop(32)).toBe(0x1234_5678n);
  });

  test("the base of SS counts, and its limit is #SS(0)", () => {
    const machine = protectedSystem();
    machine.setSegment(SEG_SS, 0x10, 0x5_0000n, 0xfff, 0x4093);
    machine.set64(RSP, 0x1000n);
    expect(machine.core.push(0x77n, 32)).toBe(STATUS_OK);
    expect(machine.read32(0x5_0ffc)).toBe(0x77);
    machine.set64(RSP, 0x1008n);
    expect(machine.core.push(0x77n, 32)).toBe(STATUS_FAULT);
    expect(machine.fault()).toBe("12(0)");
  });
});

test("16-bit stacks wrap SP and keep the rest of RSP", () => {
  const machine = realSystem();
  machine.set64(RSP, 0x7777_0000n);
  expect(machine.core.push(0x1234n, 16)).toBe(STATUS_OK);
  expect(machine.get64(RSP)).toBe(0x7777_fffen);
  expect(machine.read16(0x2_fffe)).toBe(0x1234);
  expect(machine.core.pop(16)).toBe(0x1234n);
  expect(machine.get64(RSP)).toBe(0x7777_0000n);
});
