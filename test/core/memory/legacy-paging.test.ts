import { beforeEach, describe, expect, test } from "vitest";
import { CR0, CR3, CR4, MSR_EFER, SEG_CS, SEG_SS } from "../../../src/layout/cpu-state.ts";
import { CoreMachine } from "./core-machine.ts";
import { CR4_PAE, CR4_PGE, G, setPrivilege } from "./long-mode-paging.ts";

const DIRECTORY = 0x10_0000;
const TABLE = 0x10_1000;
const P = 1;
const RW = 2;
const US = 4;
const A = 0x20;
const D = 0x40;
const PS = 0x80;
const CR4_PSE = 0x10n;
const CR4_SMEP = 0x10_0000n;

let machine: CoreMachine;
beforeEach(() => {
  machine = new CoreMachine();
  machine.set64(CR0, 0x8001_0011n);
  machine.set64(CR3, BigInt(DIRECTORY));
  machine.setSegment(SEG_CS, 0x08, 0n, 0xffff_ffff, 0xc09b);
  machine.setSegment(SEG_SS, 0x10, 0n, 0xffff_ffff, 0xc093);
  machine.core.flushTlb(0);
  machine.core.updateMode();
});

describe("32-bit paging", () => {
  beforeEach(() => {
    machine.write32(DIRECTORY + 4, TABLE | P | RW | US);
  });

  test("maps 4 KiB pages and sets A and D", () => {
    machine.write32(TABLE + 4 * 3, 0x20000 | P | RW);
    machine.core.writeLinear32(0x40_3010n, 0xaan);
    expect(machine.read32(0x20010)).toBe(0xaa);
    expect(machine.read32(DIRECTORY + 4)).toBe(TABLE | P | RW | US | A);
    expect(machine.read32(TABLE + 12)).toBe(0x20000 | P | RW | A | D);
  });

  const rows: [name: string, pte: number, cpl: number, read: string, write: string, fetch: string][] = [
    ["supervisor page for the user", P | RW, 3, "14(5) at 403000", "14(7) at 403000", "14(5) at 403000"],
    ["read-only user page", P | US, 3, "none", "14(7) at 403000", "none"],
    ["read-only page for the supervisor", P | US, 0, "none", "14(3) at 403000", "none"],
    ["absent", 0, 3, "14(4) at 403000", "14(6) at 403000", "14(4) at 403000"],
  ];
  test.each(rows)("%s", (_name, pte, cpl, read, write, fetch) => {
    machine.write32(TABLE + 12, 0x20000 | pte);
    setPrivilege(machine, cpl);
    machine.core.readLinear8(0x40_3000n);
    expect(machine.takeFault()).toBe(read);
    machine.core.writeLinear8(0x40_3000n, 1n);
    expect(machine.takeFault()).toBe(write);
    machine.core.translateExecute(0x40_3000n);
    expect(machine.fault()).toBe(fetch);
  });

  test("SMEP works and makes I/D reported", () => {
    machine.set64(CR4, CR4_SMEP);
    machine.write32(TABLE + 12, 0x20000 | P | US);
    expect(machine.core.translateExecute(0x40_3000n)).toBe(-1n);
    expect(machine.fault()).toBe("14(11) at 403000");
  });

  test("4 MiB pages need PSE", () => {
    machine.write32(DIRECTORY + 8, 0x40_0000 | P | RW | PS);
    machine.write32(0x40_0000 + 4 * 1, 0x30000 | P);
    machine.write32(0x30000, 0x11);
    machine.write32(0x40_1000, 0x22);
    expect(machine.core.readLinear32(0x80_1000n)).toBe(0x11n);
    machine.set64(CR4, CR4_PSE);
    machine.core.flushTlb(0);
    expect(machine.core.readLinear32(0x80_1000n)).toBe(0x22n);
  });

  test("a 4 MiB page may lie above 4 GiB", () => {
    machine.set64(CR4, CR4_PSE);
    // Bits 20..13 are address bits 39..32.
    machine.write32(DIRECTORY + 8, 0x2000 | P | RW | PS);
    expect(machine.core.translateExecute(0x80_0123n)).toBe(0x1_0000_0123n);
  });

  test("INVLPG in one half of a 4 MiB page forgets the other half", () => {
    machine.set64(CR4, CR4_PSE);
    machine.write32(DIRECTORY + 8, P | RW | PS);
    machine.core.readLinear8(0xb0_0000n);
    machine.write32(DIRECTORY + 8, 0);
    machine.core.invalidatePage(0x80_0000n);
    machine.core.readLinear8(0xb0_0000n);
    expect(machine.fault()).toBe("14(0) at b00000");
  });

  test("bit 21 of a 4 MiB page is reserved", () => {
    machine.set64(CR4, CR4_PSE);
    machine.write32(DIRECTORY + 8, 0x20_0000 | P | RW | PS);
    machine.core.readLinear8(0x80_0000n);
    expect(machine.fault()).toBe("14(9) at 800000");
  });

  test("an access across 4 GiB wraps to 0", () => {
    machine.write32(DIRECTORY + 4 * 1023, TABLE | P | RW);
    machine.write32(DIRECTORY, TABLE | P | RW);
    machine.write32(TABLE + 4 * 1023, 0x20000 | P | RW);
    machine.write32(TABLE, 0x30000 | P | RW);
    machine.core.writeLinear32(0xffff_fffen, 0x4433_2211n);
    expect(machine.read16(0x20ffe)).toBe(0x2211);
    expect(machine.read16(0x30000)).toBe(0x4433);
  });
});

describe("PAE paging", () => {
  const POINTERS = 0x10_0020;
  const PAE_DIRECTORY = 0x10_2000;
  const PAE_TABLE = 0x10_3000;

  beforeEach(() => {
    machine.set64(CR4, CR4_PAE | CR4_PGE);
    machine.set64(CR3, BigInt(POINTERS));
    // The fourth gigabyte.
    machine.write64(POINTERS + 24, BigInt(PAE_DIRECTORY) | 1n);
    machine.write64(PAE_DIRECTORY + 8, BigInt(PAE_TABLE) | 7n);
  });

  test("maps 4 KiB pages", () => {
    machine.write64(PAE_TABLE + 16, 0x20000n | 3n | G);
    machine.write32(0x20004, 0x77);
    expect(machine.core.readLinear32(0xc020_2004n)).toBe(0x77n);
    expect(machine.read64(PAE_TABLE + 16)).toBe(0x20000n | 3n | G | 0x20n);
    expect(machine.read64(POINTERS + 24)).toBe(BigInt(PAE_DIRECTORY) | 1n);
  });

  test("maps 2 MiB pages", () => {
    machine.write64(PAE_DIRECTORY + 16, 0x40_0000n | 0x83n);
    machine.write32(0x40_5004, 0x78);
    expect(machine.core.readLinear32(0xc040_5004n)).toBe(0x78n);
  });

  test("NX works with NXE", () => {
    machine.set64(MSR_EFER, 0x800n);
    machine.write64(PAE_TABLE + 16, 0x20000n | 3n | (1n << 63n));
    expect(machine.core.readLinear8(0xc020_2000n)).toBe(0n);
    expect(machine.core.translateExecute(0xc020_2000n)).toBe(-1n);
    expect(machine.fault()).toBe("14(11) at c0202000");
  });

  test("bits 62 to 52 are reserved", () => {
    machine.write64(PAE_TABLE + 16, 0x20000n | 3n | (1n << 52n));
    machine.core.readLinear8(0xc020_2000n);
    expect(machine.fault()).toBe("14(9) at c0202000");
  });

  test("rights bits in a page-directory pointer are reserved", () => {
    machine.write64(POINTERS + 24, BigInt(PAE_DIRECTORY) | 3n);
    machine.core.readLinear8(0xc020_2000n);
    expect(machine.fault()).toBe("14(9) at c0202000");
  });
});
