// One file for all string instructions: the rows of one share their set-up with those of the others.
import { beforeEach, describe, expect, test } from "vitest";
import {
  CPL,
  FLAG_C,
  FLAG_R,
  RAX,
  RCX,
  RDI,
  RDX,
  RFLAGS_SYSTEM,
  RSI,
  SEG_ES,
  SEG_FS,
  SEGMENT_ATTRIBUTES,
  SEGMENT_BASE,
  SEGMENT_EFFECTIVE_BASE,
  SEGMENT_LIMIT,
  STATUS_AGAIN,
  STATUS_FAULT,
  STATUS_OK,
} from "../../../src/layout/cpu-state.ts";
import { type Core, startCore } from "../system/core-fixture.ts";

const NONE = 0;
const REP = 1;
const REPNE = 2;
const DS = 3;
const FS = 4;
const DIRECTION = 0x402n;
const TRAP = 0x102n;

let core: Core;
beforeEach(() => {
  core = startCore();
  core.enter64Bit();
});

function setRegisters(rsi: bigint, rdi: bigint, rcx: bigint): void {
  core.set64(RSI, rsi);
  core.set64(RDI, rdi);
  core.set64(RCX, rcx);
}

const registers = (): bigint[] => [core.get64(RSI), core.get64(RDI), core.get64(RCX)];
const put = (address: number, text: string): void => core.ram.set(new TextEncoder().encode(text), address);
const text = (address: number, length: number): string =>
  new TextDecoder().decode(core.ram.slice(address, address + length));

describe("MOVS", () => {
  test("without a prefix it moves one element and leaves RCX alone", () => {
    put(0x1000, "abcdefgh");
    setRegisters(0x1000n, 0x2000n, 5n);
    expect(core.call("stringMovs", 32, NONE, 64, DS)).toBe(STATUS_OK);
    expect(text(0x2000, 5)).toBe("abcd\0");
    expect(registers()).toEqual([0x1004n, 0x2004n, 5n]);
  });

  test("REP with RCX zero changes nothing", () => {
    setRegisters(0xdead_0000_0000_0000n, 0x2000n, 0n);
    expect(core.call("stringMovs", 8, REP, 64, DS)).toBe(STATUS_OK);
    expect(registers()).toEqual([0xdead_0000_0000_0000n, 0x2000n, 0n]);
  });

  test("REP crosses page boundaries of source and target, aligned or not", () => {
    for (let i = 0; i < 10_000; i++) core.ram[0x1ffd + i] = i % 251;
    setRegisters(0x1ffdn, 0x8ff9n, 1250n);
    expect(core.call("stringMovs", 64, REP, 64, DS)).toBe(STATUS_OK);
    expect(core.ram.slice(0x8ff9, 0x8ff9 + 10_000)).toEqual(core.ram.slice(0x1ffd, 0x1ffd + 10_000));
    expect(registers()).toEqual([0x1ffdn + 10_000n, 0x8ff9n + 10_000n, 0n]);
  });

  test("a target that begins inside of the source repeats the bytes between", () => {
    put(0x1000, "abc.........");
    setRegisters(0x1000n, 0x1003n, 9n);
    core.call("stringMovs", 8, REP, 64, DS);
    expect(text(0x1000, 12)).toBe("abcabcabcabc");
  });

  test("a target less than an element above the source: each element is read after the last was written", () => {
    put(0x1000, "abcdefgh........");
    setRegisters(0x1000n, 0x1002n, 3n);
    core.call("stringMovs", 32, REP, 64, DS);
    expect(text(0x1000, 16)).toBe("ababcdcdghgh....");
  });

  test("backward, a target below the source repeats too", () => {
    put(0x1000, "......xyz");
    core.set64(RFLAGS_SYSTEM, DIRECTION);
    setRegisters(0x1008n, 0x1005n, 6n);
    core.call("stringMovs", 8, REP, 64, DS);
    expect(text(0x1000, 9)).toBe("xyzxyzxyz");
    expect(registers()).toEqual([0x1002n, 0xfffn, 0n]);
  });

  test("backward, a target above the source keeps every byte", () => {
    put(0x1000, "abcdef..");
    core.set64(RFLAGS_SYSTEM, DIRECTION);
    setRegisters(0x1004n, 0x1006n, 3n);
    core.call("stringMovs", 16, REP, 64, DS);
    expect(text(0x1000, 8)).toBe("ababcdef");
  });

  test("the source's segment base is added, for FS in 64-bit code", () => {
    core.set64(SEG_FS + SEGMENT_EFFECTIVE_BASE, 0x3000n);
    put(0x3010, "thread");
    setRegisters(0x10n, 0x2000n, 6n);
    core.call("stringMovs", 8, REP, 64, FS);
    expect(text(0x2000, 6)).toBe("thread");
  });

  test("a 32-bit address size uses and zero-extends the lower halves", () => {
    put(0x1000, "ab");
    setRegisters(0xffff_ffff_0000_1000n, 0xffff_ffff_0000_2000n, 0xffff_ffff_0000_0002n);
    expect(core.call("stringMovs", 8, REP, 32, DS)).toBe(STATUS_OK);
    expect(text(0x2000, 2)).toBe("ab");
    expect(registers()).toEqual([0x1002n, 0x2002n, 0n]);
  });

  test("after 64 KiB it returns so that interrupts get in", () => {
    setRegisters(0x10_0000n, 0x20_0000n, 0x1_8000n);
    expect(core.call("stringMovs", 8, REP, 64, DS)).toBe(STATUS_AGAIN);
    expect(registers()).toEqual([0x11_0000n, 0x21_0000n, 0x8000n]);
    expect(core.call("stringMovs", 8, REP, 64, DS)).toBe(STATUS_OK);
    expect(registers()).toEqual([0x11_8000n, 0x21_8000n, 0n]);
  });

  test("with TF set every iteration returns", () => {
    core.set64(RFLAGS_SYSTEM, TRAP);
    setRegisters(0x1000n, 0x2000n, 3n);
    expect(core.call("stringMovs", 8, REP, 64, DS)).toBe(STATUS_AGAIN);
    expect(registers()).toEqual([0x1001n, 0x2001n, 2n]);
  });
});

describe("faults", () => {
  test("a fault of the source's second page leaves the registers at that element", () => {
    core.enterPaged([0x11]);
    setRegisters(0x10ff0n, 0x20000n, 100n);
    expect(core.call("stringMovs", 8, REP, 64, DS)).toBe(STATUS_FAULT);
    expect(core.fault()).toBe("14(0)");
    expect(core.faultAddress()).toBe(0x11000n);
    expect(registers()).toEqual([0x11000n, 0x20010n, 84n]);
  });

  test("a fault of the target counts no element that was only read", () => {
    core.enterPaged([], [0x21]);
    setRegisters(0x10000n, 0x20ffcn, 10n);
    expect(core.call("stringMovs", 32, REP, 64, DS)).toBe(STATUS_FAULT);
    expect(core.fault()).toBe("14(3)");
    expect(core.faultAddress()).toBe(0x21000n);
    expect(registers()).toEqual([0x10004n, 0x21000n, 9n]);
  });

  test("an element across the boundary to an absent page is not written in part", () => {
    core.enterPaged([0x21]);
    core.set64(RAX, 0x1122_3344_5566_7788n);
    setRegisters(0n, 0x20ff4n, 2n);
    expect(core.call("stringStos", 64, REP, 64, DS)).toBe(STATUS_FAULT);
    expect(core.faultAddress()).toBe(0x21000n);
    expect(registers()).toEqual([0n, 0x20ffcn, 1n]);
    expect(core.ramView.getUint32(0x20ffc, true)).toBe(0);
  });

  test("a non-canonical address is #GP(0)", () => {
    core.enterPaged([]);
    setRegisters(0x8000_0000_0000_0000n, 0x20000n, 1n);
    expect(core.call("stringMovs", 8, NONE, 64, DS)).toBe(STATUS_FAULT);
    expect(core.fault()).toBe("13(0)");
  });

  test("REPNE SCAS leaves the flags alone when it faults", () => {
    core.enterPaged([0x21]);
    core.set32(FLAG_C, 7);
    core.set64(RAX, 0x41n);
    setRegisters(0n, 0x20ff0n, 100n);
    expect(core.call("stringScas", 8, REPNE, 64, DS)).toBe(STATUS_FAULT);
    expect(core.get32(FLAG_C)).toBe(7);
    expect(registers()).toEqual([0n, 0x21000n, 84n]);
  });

  test("a segment limit stops at the last element that fits", () => {
    core.enter16Bit(0x2fff);
    setRegisters(0x1000n, 0x2ffdn, 3n);
    expect(core.call("stringMovs", 16, REP, 16, DS)).toBe(STATUS_FAULT);
    expect(core.fault()).toBe("13(0)");
    expect(registers()).toEqual([0x1002n, 0x2fffn, 2n]);
  });
});

describe("16-bit addresses", () => {
  test("wrap at 64 KiB and leave the upper register bits alone", () => {
    core.enter16Bit(0xffff);
    core.set64(SEG_ES + SEGMENT_BASE, 0x2_0000n);
    core.set64(RAX, 0x5an);
    setRegisters(0n, 0xabcd_fffen, 0x1234_0004n);
    expect(core.call("stringStos", 8, REP, 16, DS)).toBe(STATUS_OK);
    expect([...core.ram.slice(0x2_fffe, 0x3_0001)]).toEqual([0x5a, 0x5a, 0]);
    expect([...core.ram.slice(0x2_0000, 0x2_0003)]).toEqual([0x5a, 0x5a, 0]);
    expect(registers()).toEqual([0n, 0xabcd_0002n, 0x1234_0000n]);
  });

  test("a word at offset 0xffff violates the limit", () => {
    core.enter16Bit(0xffff);
    setRegisters(0n, 0xffffn, 1n);
    expect(core.call("stringStos", 16, NONE, 16, DS)).toBe(STATUS_FAULT);
    expect(core.fault()).toBe("13(0)");
  });

  test("backward from offset 0 wraps to the end", () => {
    core.enter16Bit(0xffff);
    core.set64(RFLAGS_SYSTEM, DIRECTION);
    core.set64(RAX, 0x77n);
    setRegisters(0n, 1n, 3n);
    expect(core.call("stringStos", 8, REP, 16, DS)).toBe(STATUS_OK);
    expect([core.ram[0], core.ram[1], core.ram[2], core.ram[0xffff]]).toEqual([0x77, 0x77, 0, 0x77]);
  });

  test("an expand-down segment begins above its limit", () => {
    core.enter16Bit(0xffff);
    core.set32(SEG_ES + SEGMENT_ATTRIBUTES, 0x97);
    core.set32(SEG_ES + SEGMENT_LIMIT, 0x1fff);
    core.set64(RAX, 0x11n);
    setRegisters(0n, 0x2000n, 4n);
    expect(core.call("stringStos", 8, REP, 16, DS)).toBe(STATUS_OK);
    setRegisters(0n, 0x1fffn, 4n);
    expect(core.call("stringStos", 8, REP, 16, DS)).toBe(STATUS_FAULT);
  });
});

describe("STOS and LODS", () => {
  test.each([
    [8, [0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0, 0, 0]],
    [16, [0x88, 0x77, 0x88, 0x77, 0x88, 0x77, 0x88, 0x77, 0x88, 0x77, 0x88, 0x77]],
    [32, [0x88, 0x77, 0x66, 0x55, 0x88, 0x77, 0x66, 0x55, 0x88, 0x77, 0x66, 0x55]],
    [64, [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x88, 0x77, 0x66, 0x55]],
  ])("REP STOS repeats the low %i bits of RAX", (bits, expected) => {
    core.set64(RAX, 0x1122_3344_5566_7788n);
    setRegisters(0n, 0x1ffcn, 9n);
    expect(core.call("stringStos", bits, REP, 64, DS)).toBe(STATUS_OK);
    expect([...core.ram.slice(0x1ffc, 0x1ffc + 12)]).toEqual(expected);
    expect(core.get64(RDI)).toBe(0x1ffcn + BigInt((9 * bits) / 8));
  });

  test.each([
    [8, 0xffff_ffff_ffff_ff08n],
    [16, 0xffff_ffff_ffff_0908n],
    [32, 0x0b0a_0908n],
    [64, 0x0f0e_0d0c_0b0a_0908n],
  ])("LODS of %i bits replaces as much of RAX as a MOV would", (bits, expected) => {
    for (let i = 0; i < 16; i++) core.ram[0x1000 + i] = i;
    core.set64(RAX, 0xffff_ffff_ffff_ffffn);
    setRegisters(0x1008n, 0n, 0n);
    core.call("stringLods", bits, NONE, 64, DS);
    expect(core.get64(RAX)).toBe(expected);
    expect(core.get64(RSI)).toBe(0x1008n + BigInt(bits / 8));
  });

  test("REP LODS leaves the last element", () => {
    for (let i = 0; i < 16; i++) core.ram[0x1000 + i] = i;
    setRegisters(0x1000n, 0n, 3n);
    core.call("stringLods", 16, REP, 64, DS);
    expect(core.get64(RAX)).toBe(0x0504n);
    expect(registers()).toEqual([0x1006n, 0n, 0n]);
  });
});

describe("SCAS and CMPS", () => {
  test("REPNE SCASB stops behind the byte it looks for, with ZF", () => {
    put(0x1ff0, "some text across a page: needle\0");
    core.set64(RAX, 0n);
    setRegisters(0n, 0x1ff0n, 0xffff_ffff_ffff_ffffn);
    expect(core.call("stringScas", 8, REPNE, 64, DS)).toBe(STATUS_OK);
    expect(registers()).toEqual([0n, 0x2010n, 0xffff_ffff_ffff_ffdfn]);
    expect(core.get64(FLAG_R)).toBe(0n);
  });

  test("REPE SCASW stops behind the first word that differs", () => {
    put(0x1000, "aaaaaaab");
    core.set64(RAX, 0x6161n);
    setRegisters(0n, 0x1000n, 100n);
    core.call("stringScas", 16, REP, 64, DS);
    expect(registers()).toEqual([0n, 0x1008n, 96n]);
    // 0x6161 - 0x6261 = -0x100: borrow.
    expect([core.get64(FLAG_R), core.get32(FLAG_C)]).toEqual([0xffff_ffff_ffff_ff00n, 1]);
  });

  test("REPE CMPSB of equal strings counts to zero with ZF", () => {
    put(0x1000, "equal");
    put(0x2ffe, "equal");
    setRegisters(0x1000n, 0x2ffen, 5n);
    core.call("stringCmps", 8, REP, 64, DS);
    expect(registers()).toEqual([0x1005n, 0x3003n, 0n]);
    expect(core.get64(FLAG_R)).toBe(0n);
  });

  test("REPE CMPSB compares source minus target", () => {
    put(0x1000, "abcA");
    put(0x2000, "abcB");
    setRegisters(0x1000n, 0x2000n, 10n);
    core.call("stringCmps", 8, REP, 64, DS);
    expect(registers()).toEqual([0x1004n, 0x2004n, 6n]);
    expect([core.get64(FLAG_R), core.get32(FLAG_C)]).toEqual([0xffff_ffff_ffff_ffffn, 1]);
  });

  test("REPE CMPS with RCX zero leaves the flags alone", () => {
    core.set64(FLAG_R, 0x55n);
    setRegisters(0x1000n, 0x2000n, 0n);
    core.call("stringCmps", 8, REP, 64, DS);
    expect(core.get64(FLAG_R)).toBe(0x55n);
  });
});

describe("INS and OUTS", () => {
  test("REP INSW stores what the port gives", () => {
    let next = 0x1000;
    core.host.portValue = () => next++;
    core.set64(RDX, 0x1f0n);
    setRegisters(0n, 0x1ffen, 2n);
    expect(core.call("stringIns", 16, REP, 64, DS)).toBe(STATUS_OK);
    expect([core.ramView.getUint16(0x1ffe, true), core.ramView.getUint16(0x2000, true)]).toEqual([
      0x1000, 0x1001,
    ]);
    expect(core.host.log).toEqual(["in 1f0 2", "in 1f0 2"]);
    expect(registers()).toEqual([0n, 0x2002n, 0n]);
  });

  test("INS does not read the port when the store would fault", () => {
    core.enterPaged([], [0x21]);
    core.set64(RDX, 0x1f0n);
    setRegisters(0n, 0x20fffn, 2n);
    expect(core.call("stringIns", 8, REP, 64, DS)).toBe(STATUS_FAULT);
    expect(core.faultAddress()).toBe(0x21000n);
    expect(core.host.log).toEqual(["in 1f0 1"]);
  });

  test("REP OUTSB writes bytes in order", () => {
    put(0x1000, "ok");
    core.set64(RDX, 0x3f8n);
    setRegisters(0x1000n, 0n, 2n);
    expect(core.call("stringOuts", 8, REP, 64, DS)).toBe(STATUS_OK);
    expect(core.host.log).toEqual(["out 3f8 1 6f", "out 3f8 1 6b"]);
  });

  test("without the right to the port nothing happens", () => {
    core.set32(CPL, 3);
    core.set64(RDX, 0x3f8n);
    setRegisters(0x1000n, 0n, 2n);
    expect(core.call("stringOuts", 8, REP, 64, DS)).toBe(STATUS_FAULT);
    expect(core.fault()).toBe("13(0)");
    expect(core.host.log).toEqual([]);
  });
});
