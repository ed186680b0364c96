import { beforeEach, describe, expect, test } from "vitest";
import { COUNT_PAGE_WALK, COUNT_TLB_MISS, CR0, CR3, MSR_EFER } from "../../../src/layout/cpu-state.ts";
import { GUEST_RAM } from "../../../src/layout/memory-map.ts";
import type { CoreMachine } from "./core-machine.ts";
import {
  A,
  CR0_PAGING,
  CR4_PAE,
  CR4_PGE,
  CR4_SMAP,
  CR4_SMEP,
  D,
  EFER_LONG,
  FLAG_AC,
  KERNEL,
  longModeMachine,
  mapKernelPage,
  mapPage,
  NX,
  P,
  PD,
  PDPT,
  PML4,
  PS,
  PT,
  RW,
  setControl4,
  setPrivilege,
  setSystemFlags,
  US,
} from "./long-mode-paging.ts";

let machine: CoreMachine;
beforeEach(() => {
  machine = longModeMachine();
});

/** Reads, writes and fetches at linear page 5; "ok" or the fault of each. */
function accessPage5(): { read: string; write: string; fetch: string } {
  const { core } = machine;
  const read = core.readSlow(0x5000n, 1) ? "ok" : machine.takeFault();
  const write = core.writeSlow(0x5008n, 1, 0n) ? "ok" : machine.takeFault();
  const fetch = core.translateExecute(0x5010n) >= 0n ? "ok" : machine.takeFault();
  return { read, write, fetch };
}

describe("4-level paging, access rights of the page at 0x5000", () => {
  const rows: [name: string, bits: bigint, cpl: number, read: string, write: string, fetch: string][] = [
    ["supervisor, user page writable", P | RW | US, 0, "ok", "ok", "ok"],
    ["supervisor, supervisor page writable", P | RW, 0, "ok", "ok", "ok"],
    ["supervisor, read-only page with WP", P, 0, "ok", "14(3) at 5008", "ok"],
    ["supervisor, NX page", P | RW | NX, 0, "ok", "ok", "14(11) at 5010"],
    ["supervisor, absent page", 0n, 0, "14(0) at 5000", "14(2) at 5008", "14(10) at 5010"],
    ["user, user page writable", P | RW | US, 3, "ok", "ok", "ok"],
    ["user, user page read-only", P | US, 3, "ok", "14(7) at 5008", "ok"],
    ["user, user page NX", P | RW | US | NX, 3, "ok", "ok", "14(15) at 5010"],
    ["user, supervisor page", P | RW, 3, "14(5) at 5000", "14(7) at 5008", "14(15) at 5010"],
    ["user, absent page", RW | US, 3, "14(4) at 5000", "14(6) at 5008", "14(14) at 5010"],
  ];
  test.each(rows)("%s", (_name, bits, cpl, read, write, fetch) => {
    mapPage(machine, 5, 0x20, bits);
    setPrivilege(machine, cpl);
    expect(accessPage5()).toEqual({ read, write, fetch });
  });

  test("the supervisor writes read-only pages when CR0.WP is clear", () => {
    mapPage(machine, 5, 0x20, P | US);
    machine.set64(CR0, CR0_PAGING);
    expect(accessPage5().write).toBe("ok");
  });

  test("a right must be given on every level", () => {
    mapPage(machine, 5, 0x20, P | RW | US);
    machine.write64(PD, BigInt(PT) | P | US);
    machine.write64(PDPT, BigInt(PD) | P | RW | US | NX);
    setPrivilege(machine, 3);
    expect(accessPage5()).toEqual({ read: "ok", write: "14(7) at 5008", fetch: "14(15) at 5010" });
  });

  test("an NX bit on any level without NXE is a reserved bit, and I/D is not reported", () => {
    mapPage(machine, 5, 0x20, P | RW | NX);
    machine.set64(MSR_EFER, EFER_LONG);
    expect(accessPage5()).toEqual({ read: "14(9) at 5000", write: "14(b) at 5008", fetch: "14(9) at 5010" });
  });
});

describe("SMEP and SMAP", () => {
  test("SMEP forbids the supervisor to fetch from user pages", () => {
    setControl4(machine, CR4_PAE | CR4_SMEP);
    mapPage(machine, 5, 0x20, P | RW | US);
    expect(accessPage5()).toEqual({ read: "ok", write: "ok", fetch: "14(11) at 5010" });
  });

  test("SMAP forbids the supervisor to read and write user pages", () => {
    setControl4(machine, CR4_PAE | CR4_SMAP);
    mapPage(machine, 5, 0x20, P | RW | US);
    expect(accessPage5()).toEqual({ read: "14(1) at 5000", write: "14(3) at 5008", fetch: "ok" });
  });

  test("EFLAGS.AC lifts SMAP for explicit accesses", () => {
    setControl4(machine, CR4_PAE | CR4_SMAP);
    mapPage(machine, 5, 0x20, P | RW | US);
    setSystemFlags(machine, FLAG_AC);
    expect(accessPage5()).toEqual({ read: "ok", write: "ok", fetch: "ok" });
  });

  test("EFLAGS.AC does not lift SMAP for implicit accesses", () => {
    setControl4(machine, CR4_PAE | CR4_SMAP);
    mapPage(machine, 5, 0x20, P | RW | US);
    setSystemFlags(machine, FLAG_AC);
    machine.core.readSystem64(0x5000n);
    expect(machine.fault()).toBe("14(1) at 5000");
  });

  test("an implicit access at CPL 3 is a supervisor access", () => {
    mapPage(machine, 5, 0x20, P | RW);
    machine.write64(0x20010, 0x1122n);
    setPrivilege(machine, 3);
    expect(machine.core.readSystem64(0x5010n)).toBe(0x1122n);
    machine.core.readLinear64(0x5010n);
    expect(machine.fault()).toBe("14(5) at 5010");
  });

  test("a TLB entry made with AC set is not used without", () => {
    setControl4(machine, CR4_PAE | CR4_SMAP);
    mapPage(machine, 5, 0x20, P | RW | US);
    setSystemFlags(machine, FLAG_AC);
    machine.core.readLinear8(0x5000n);
    setSystemFlags(machine, 0n);
    machine.core.readLinear8(0x5000n);
    expect(machine.fault()).toBe("14(1) at 5000");
  });

  test("a fetch of the supervisor from a user page does not open it to reads under SMAP", () => {
    setControl4(machine, CR4_PAE | CR4_SMAP);
    mapPage(machine, 5, 0x20, P | RW | US);
    expect(machine.core.translateExecute(0x5000n)).toBe(0x20000n);
    machine.core.readLinear8(0x5000n);
    expect(machine.fault()).toBe("14(1) at 5000");
  });
});

describe("accessed and dirty flags", () => {
  test("a read sets A on every level and D nowhere", () => {
    mapPage(machine, 5, 0x20, P | RW);
    machine.core.readLinear8(0x5000n);
    expect(machine.read64(PML4) & (A | D)).toBe(A);
    expect(machine.read64(PDPT) & (A | D)).toBe(A);
    expect(machine.read64(PD) & (A | D)).toBe(A);
    expect(machine.read64(PT + 40)).toBe(0x20000n | P | RW | A);
  });

  test("a write sets D on the last level, also after a read", () => {
    mapPage(machine, 5, 0x20, P | RW);
    machine.core.readLinear8(0x5000n);
    machine.core.writeLinear8(0x5000n, 1n);
    expect(machine.read64(PD) & (A | D)).toBe(A);
    expect(machine.read64(PT + 40)).toBe(0x20000n | P | RW | A | D);
  });

  test("an access that faults sets none", () => {
    mapPage(machine, 5, 0x20, P);
    machine.core.writeLinear8(0x5000n, 1n);
    expect(machine.read64(PML4) & A).toBe(0n);
    expect(machine.read64(PT + 40)).toBe(0x20000n | P);
  });

  test("flags set in a page of decoded code are told to the decoder", () => {
    mapPage(machine, 5, 0x20, P | RW);
    // The chunk of the entry at 0x103028.
    machine.bytes[0x40_0000 + (PT >> 12) * 8] = 1;
    machine.core.readLinear8(0x5000n);
    expect(machine.codeWrites).toEqual(["103 28 2b"]);
  });
});

describe("large pages", () => {
  test("a 2 MiB page", () => {
    machine.write64(PD + 8, 0x40_0000n | P | RW | US | PS);
    machine.write32(0x41_2344, 0xcafe);
    expect(machine.core.readLinear32(0x21_2344n)).toBe(0xcafen);
    machine.core.writeLinear8(0x21_2000n, 1n);
    expect(machine.read64(PD + 8)).toBe(0x40_0000n | P | RW | US | PS | A | D);
  });

  test("a 1 GiB page", () => {
    machine.write64(PDPT + 8, P | RW | US | PS);
    machine.write32(0x12_3450, 0xbeef);
    expect(machine.core.readLinear32(0x4012_3450n)).toBe(0xbeefn);
    expect(machine.read64(PDPT + 8)).toBe(P | RW | US | PS | A);
  });

  test("rights of a large page hold on each 4 KiB of it", () => {
    machine.write64(PD + 8, 0x40_0000n | P | PS);
    machine.core.writeLinear8(0x2f_f000n, 1n);
    expect(machine.fault()).toBe("14(3) at 2ff000");
  });
});

describe("reserved bits", () => {
  const rows: [name: string, at: number, entry: bigint, va: bigint, fault: string][] = [
    ["address bit 40 in a PTE", PT + 40, (1n << 40n) | P, 0x5000n, "14(9) at 5000"],
    ["address bit 51 in a PDE", PD, (1n << 51n) | P | RW, 0x5000n, "14(9) at 5000"],
    ["PS in a PML4E", PML4, BigInt(PDPT) | P | PS, 0x5000n, "14(9) at 5000"],
    ["bit 13 of a 2 MiB page", PD + 8, 0x40_2000n | P | PS, 0x20_0000n, "14(9) at 200000"],
    ["bit 29 of a 1 GiB page", PDPT + 8, 0x2000_0000n | P | PS, 0x4000_0000n, "14(9) at 40000000"],
  ];
  test.each(rows)("%s", (_name, at, entry, va, fault) => {
    machine.write64(at, entry);
    machine.core.readLinear8(va);
    expect(machine.fault()).toBe(fault);
  });

  test("bits 62 to 52 are free for software", () => {
    mapPage(machine, 5, 0x20, P | (0x7ffn << 52n));
    machine.core.readLinear8(0x5000n);
    expect(machine.fault()).toBe("none");
  });

  test("a table outside of RAM reads as ones", () => {
    machine.write64(PD, 0x9000_0000n | P | RW);
    machine.core.readLinear8(0x5000n);
    expect(machine.fault()).toBe("14(9) at 5000");
    machine.set64(CR3, 0xa000_0000n);
    machine.core.clearFault();
    machine.core.readLinear8(0x6000n);
    expect(machine.fault()).toBe("14(9) at 6000");
  });
});

describe("canonical addresses", () => {
  const rows: [va: bigint, bytes: number][] = [
    [0x8000_0000_0000n, 1],
    [0xffff_7fff_ffff_ffffn, 1],
    [0x1_0000_0000_0000n, 8],
  ];
  test.each(rows)("%x is none: #GP(0)", (va, bytes) => {
    expect(machine.core.readSlow(va, bytes)).toBe(0);
    expect(machine.takeFault()).toBe("13(0)");
    expect(machine.core.writeSlow(va, bytes, 0n)).toBe(0);
    expect(machine.takeFault()).toBe("13(0)");
    expect(machine.core.translateExecute(va)).toBe(-1n);
    expect(machine.fault()).toBe("13(0)");
  });

  test("the upper half maps", () => {
    mapKernelPage(machine, 1, 0x30, P | RW);
    machine.write64(0x30008, 0x55n);
    expect(machine.core.readLinear64(KERNEL + 0x1008n)).toBe(0x55n);
  });
});

test("a hit walks no tables, and gives the host address", () => {
  mapPage(machine, 5, 0x20, P | RW);
  setControl4(machine, CR4_PAE | CR4_PGE);
  expect(machine.core.readSlow(0x5123n, 1)).toBe(GUEST_RAM + 0x20123);
  expect(machine.core.readSlow(0x5ff8n, 8)).toBe(GUEST_RAM + 0x20ff8);
  expect(machine.core.translateExecute(0x5555n)).toBe(0x20555n);
  expect(machine.get64(COUNT_PAGE_WALK)).toBe(1n);
  expect(machine.get64(COUNT_TLB_MISS)).toBe(1n);
});
